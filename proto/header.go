package proto

import "bytes"

// Header returns the value of the first header of that name in req, a whole
// request, without the white space around it. The case of name does not
// matter. The value is borrowed from req.
func Header(req []byte, name string) (value []byte, ok bool) {
	return findHeader(headers(req), name)
}

// headers returns what comes after the request line.
func headers(req []byte) []byte {
	if lf := bytes.IndexByte(req, '\n'); lf >= 0 {
		return req[lf+1:]
	}
	return nil
}

// findHeader is [Header] for what comes after the request line.
func findHeader(b []byte, name string) (value []byte, ok bool) {
	for {
		lf := bytes.IndexByte(b, '\n')
		if lf < 0 {
			lf = len(b)
		}
		if value, ok = headerValue(b[:lf], name); ok || lf == len(b) {
			return value, ok
		}
		b = b[lf+1:]
	}
}

// lastHeader is findHeader for the last header of that name. It also returns
// the headers before it.
func lastHeader(b []byte, name string) (value, before []byte, ok bool) {
	for {
		lf := bytes.LastIndexByte(b, '\n')
		if value, ok = headerValue(b[lf+1:], name); ok || lf < 0 {
			return value, b[:max(0, lf)], ok
		}
		b = b[:lf]
	}
}

// headerValue returns the value of a header line, if it is the header of that
// name.
func headerValue(line []byte, name string) (value []byte, ok bool) {
	if len(line) > len(name) && line[len(name)] == ':' && equalFold(line[:len(name)], name) {
		return bytes.TrimSpace(line[len(name)+1:]), true
	}
	return nil, false
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
	q.Close = ok && hasToken(value, "close")
	q.KeepAlive = ok && !q.Close && hasToken(value, "keep-alive")
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
