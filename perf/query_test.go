package perf

import (
	"strings"
	"testing"

	"tracker/proto"
)

func TestAppendHTTP(t *testing.T) {
	r := Request{Kind: Announce, Torrent: 3, Port: 6881, NumWant: 50, Event: proto.EventStarted, Seeder: true}
	got := string(appendHTTP(nil, &r, "127.0.0.1:6969", false))
	ih := Infohash(3)
	for _, want := range []string{
		"GET /announce?info_hash=" + string(appendEscaped(nil, ih[:])) + "&peer_id=-PF0001-",
		"&port=6881&", "&left=0&", "&numwant=50&", "&event=started HTTP/1.1\r\n",
		"\r\nHost: 127.0.0.1:6969\r\n", "\r\nConnection: close\r\n\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := string(appendEscaped(nil, []byte{0, '0', 'a', 'Z', '/', '~', 0xff})); got != "%000aZ%2F%7E%FF" {
		t.Errorf("escaped as %s", got)
	}
}

func TestAnswerLen(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nd8:intervali1e"
	tests := []struct {
		name, in string
		eof      bool
		n        int
		good     bool
	}{
		{name: "whole", in: ok, n: len(ok), good: true},
		{name: "followed by another", in: ok + ok, n: len(ok), good: true},
		{name: "version 1.0", in: strings.Replace(ok, "1.1", "1.0", 1), n: len(ok), good: true},
		{name: "no length, connection open", in: "HTTP/1.0 200 OK\r\n\r\nd1:ae"},
		{name: "no length, connection ended", in: "HTTP/1.0 200 OK\r\n\r\nd1:ae", eof: true, n: 24, good: true},
		{name: "length is no number", in: "HTTP/1.0 200 OK\r\nContent-Length: x\r\n\r\nd", eof: true, n: 39, good: true},
		{name: "failure reason", in: "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nd14:failure reason0", n: 58},
		{name: "other status", in: "HTTP/1.1 400 Bad\r\nContent-Length: 1\r\n\r\nd", n: 40},
		{name: "empty", in: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", n: 38},
	}
	for _, tt := range tests {
		if n, good := answerLen([]byte(tt.in), tt.eof); n != tt.n || good != tt.good {
			t.Errorf("%s: %d bytes, good %v, want %d, %v", tt.name, n, good, tt.n, tt.good)
		}
	}
	for n := range len(ok) {
		if got, _ := answerLen([]byte(ok[:n]), false); got != 0 {
			t.Errorf("the first %d bytes are an answer of %d", n, got)
		}
	}
}
