package stats

import "strconv"

// A Content is what the body of an answer is.
type Content uint8

// Contents of bodies.
const (
	ContentText Content = iota // plain text, with headers as below
	ContentJSON
	ContentMetrics
	ContentPage // the page for people, compressed
)

// contentHeads are the header lines of each. What is told changes all the time,
// so nobody is to keep it, and a browser is to take it for what we say it is
// and to tell no other site where it was read.
var contentHeads = [...]string{
	ContentText:    "text/plain; charset=utf-8\r\n" + contentRules,
	ContentJSON:    "application/json\r\n" + contentRules,
	ContentMetrics: "text/plain; version=0.0.4; charset=utf-8\r\n" + contentRules,
	ContentPage: "text/html; charset=utf-8\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\n" +
		"Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:;" +
		" connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n" + contentRules,
}

const contentRules = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"

// AppendHead appends the head of an answer with a body of that many bytes, and
// says that the connection is kept if that was asked for.
func AppendHead(dst []byte, c Content, bodyLen int, keepAlive bool) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: "...)
	dst = append(dst, contentHeads[c]...)
	if keepAlive {
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(bodyLen), 10)
	return append(dst, "\r\n\r\n"...)
}
