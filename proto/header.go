package proto

import "bytes"

// Header returns the value of the first header of that name in req, a whole
// request, without the white space around it. The case of name does not
// matter. The value is borrowed from req.
func Header(req []byte, name string) (value []byte, ok bool) {
	lf := bytes.IndexByte(req, '\n')
	if lf < 0 {
		return nil, false
	}
	return findHeader(req[lf+1:], name)
}

// findHeader is [Header] for what comes after the request line.
func findHeader(b []byte, name string) (value []byte, ok bool) {
	for {
		lf := bytes.IndexByte(b, '\n')
		if lf < 0 {
			lf = len(b)
		}
		line := b[:lf]
		if len(line) > len(name) && line[len(name)] == ':' && equalFold(line[:len(name)], name) {
			return bytes.TrimSpace(line[len(name)+1:]), true
		}
		if lf == len(b) {
			return nil, false
		}
		b = b[lf+1:]
	}
}

// equalFold reports whether b is s, whatever the case of ASCII letters. It is
// here because bytes.EqualFold folds Unicode, where "k" equals a Kelvin sign.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// connection reads what a request says about its connection: the version at
// the end of the line that b starts in, and the Connection header below it.
func (q *HTTPRequest) connection(b []byte) {
	lf := bytes.IndexByte(b, '\n')
	if lf < 0 {
		return
	}
	q.Minor11 = bytes.HasSuffix(bytes.TrimSuffix(b[:lf], carriageReturn), http11)
	value, ok := findHeader(b[lf+1:], "Connection")
	q.KeepAlive = ok && hasToken(value, "keep-alive")
}

var (
	carriageReturn = []byte("\r")
	http11         = []byte(" HTTP/1.1")
)

// hasToken reports whether the comma-separated list holds token, whatever the
// case.
func hasToken(list []byte, token string) bool {
	for len(list) > 0 {
		item, rest := list, []byte(nil)
		if comma := bytes.IndexByte(list, ','); comma >= 0 {
			item, rest = list[:comma], list[comma+1:]
		}
		if equalFold(bytes.TrimSpace(item), token) {
			return true
		}
		list = rest
	}
	return false
}
