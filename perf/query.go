package perf

import (
	"bytes"
	"strconv"

	"tracker/proto"
)

// appendHTTP appends r as a GET request of HTTP/1.1, as clients write it.
func appendHTTP(dst []byte, r *Request, host string, keepAlive bool) []byte {
	ih := Infohash(r.Torrent)
	dst = append(dst, "GET /announce?info_hash="...)
	dst = appendEscaped(dst, ih[:])
	dst = append(dst, "&peer_id=-PF0001-"...)
	dst = appendHex12(dst, mix(uint64(r.Source)<<16|uint64(r.Port)))
	dst = append(dst, "&port="...)
	dst = strconv.AppendUint(dst, uint64(r.Port), 10)
	dst = append(dst, "&uploaded=1048576&downloaded=1073741824&left="...)
	dst = strconv.AppendUint(dst, r.left(), 10)
	dst = append(dst, "&numwant="...)
	dst = strconv.AppendUint(dst, uint64(r.NumWant), 10)
	dst = append(dst, "&compact=1"...)
	dst = append(dst, eventQuery[r.Event]...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	dst = append(dst, "\r\nUser-Agent: perf/1\r\nAccept-Encoding: gzip\r\n"...)
	if keepAlive {
		return append(dst, "Connection: keep-alive\r\n\r\n"...)
	}
	return append(dst, "Connection: close\r\n\r\n"...)
}

var eventQuery = [...]string{
	proto.EventNone:      "",
	proto.EventCompleted: "&event=completed",
	proto.EventStarted:   "&event=started",
	proto.EventStopped:   "&event=stopped",
}

// appendHex12 appends the last 12 hexadecimal digits of x.
func appendHex12(dst []byte, x uint64) []byte {
	for shift := 44; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[x>>shift&15])
	}
	return dst
}

// appendEscaped appends b percent-encoded where a query demands it.
func appendEscaped(dst, b []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range b {
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, '%', digits[c>>4], digits[c&15])
	}
	return dst
}

// answerLen reads the start of buf as an HTTP answer. It returns the answer's
// length in bytes, 0 if not all of it is there, and whether it is an
// announce's: status 200 and a dictionary without a failure reason. An answer
// without a length lasts until the connection ends; eof says that it did.
func answerLen(buf []byte, eof bool) (n int, good bool) {
	head := bytes.Index(buf, []byte("\r\n\r\n"))
	if head < 0 {
		return 0, false
	}
	head += 4
	n = head + contentLength(buf[:head])
	if n < head && eof {
		n = len(buf)
	}
	if n < head || n > len(buf) {
		return 0, false
	}
	body := buf[head:n]
	good = bytes.HasPrefix(buf, []byte("HTTP/1.")) && bytes.HasPrefix(buf[8:], []byte(" 200")) &&
		bytes.HasPrefix(body, []byte("d")) && !bytes.HasPrefix(body, []byte("d14:failure reason"))
	return n, good
}

// contentLength returns the value of the header, or -1 if there is none.
func contentLength(head []byte) int {
	const name = "Content-Length:"
	i := bytes.Index(head, []byte(name))
	if i < 0 {
		return -1
	}
	line := head[i+len(name):]
	line = bytes.TrimSpace(line[:bytes.IndexByte(line, '\r')])
	n, err := strconv.Atoi(string(line))
	if err != nil || n < 0 {
		return -1
	}
	return n
}
