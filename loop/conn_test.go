package loop

import (
	"bytes"
	"strings"
	"testing"

	"tracker/proto"
)

// collect feeds the pieces to a connection one after the other, as they would
// be read, and returns the requests that came of them.
func collect(r *requests, c *conn, pieces ...[]byte) (got []string, long bool) {
	for _, in := range pieces {
		in = bytes.Clone(in) // the read buffer is used again
		for rest := in; ; {
			var req []byte
			if req, rest, long = r.next(c, rest); req == nil {
				break
			}
			got = append(got, string(req))
		}
		r.settle(c)
		for i := range in {
			in[i] = 'X'
		}
		if long {
			break
		}
	}
	return got, long
}

func TestRequestsInPieces(t *testing.T) {
	want := []string{"GET /a HTTP/1.1\r\nX: y\r\n\r\n", "GET /b\n\n", "GET /c HTTP/1.0\r\n\r\n"}
	all := []byte(strings.Join(want, ""))
	check := func(pieces ...[]byte) {
		t.Helper()
		var r requests
		var c conn
		got, long := collect(&r, &c, pieces...)
		if strings.Join(got, "|") != strings.Join(want, "|") || long {
			t.Errorf("%q: got %q", pieces, got)
		}
		if c.partial != nil {
			t.Errorf("%q: %d bytes are kept", pieces, len(c.partial))
		}
	}
	check(all)
	for i := range all {
		check(all[:i], all[i:])
		for j := range all[i:] {
			check(all[:i], all[i:i+j], all[i+j:])
		}
	}
	var bytewise [][]byte
	for i := range all {
		bytewise = append(bytewise, all[i:i+1])
	}
	check(bytewise...)
}

func TestRequestTooLong(t *testing.T) {
	request := func(n int) []byte {
		return []byte("GET /" + strings.Repeat("x", n-9) + "\r\n\r\n")
	}
	tests := []struct {
		name string
		n    int
		long bool
	}{
		{"longest", proto.MaxHTTPRequest, false},
		{"one byte more", proto.MaxHTTPRequest + 1, true},
		{"much more", 2 * proto.MaxHTTPRequest, true},
	}
	for _, tt := range tests {
		for _, step := range []int{1, 7, smallPartial, 4000, 8191, 8192, 20000} {
			var pieces [][]byte
			for b := request(tt.n); len(b) > 0; b = b[min(step, len(b)):] {
				pieces = append(pieces, b[:min(step, len(b))])
			}
			var r requests
			got, long := collect(&r, new(conn), pieces...)
			if long != tt.long || (len(got) == 1) == tt.long {
				t.Errorf("%s in steps of %d: long = %v, %d requests", tt.name, step, long, len(got))
			}
		}
	}
}

// TestPartialBuffers checks that small buffers are used again, and that their
// number is bounded.
func TestPartialBuffers(t *testing.T) {
	var r requests
	conns := make([]conn, 2*maxFree)
	for i := range conns {
		r.next(&conns[i], []byte("GET /"))
	}
	for i := range conns {
		r.next(&conns[i], []byte("\n\n"))
		r.settle(&conns[i])
	}
	if len(r.free) != maxFree {
		t.Errorf("%d buffers kept, want %d", len(r.free), maxFree)
	}
	c, in, end := new(conn), []byte("GET /"), []byte("\n\n")
	n := testing.AllocsPerRun(100, func() {
		r.next(c, in)
		r.next(c, end)
		r.settle(c)
	})
	if n != 0 {
		t.Errorf("%v allocations per request in two pieces, want 0", n)
	}
}

func TestConnList(t *testing.T) {
	var l connList
	order := func() (s string) {
		back := ""
		for c := l.first; c != nil; c = c.next {
			s += string(rune('a' + c.since))
		}
		for c := l.last; c != nil; c = c.prev {
			back = string(rune('a'+c.since)) + back
		}
		if s != back {
			t.Errorf("forwards %q, backwards %q", s, back)
		}
		return s
	}
	var cs [4]*conn
	for i := range cs {
		cs[i] = &conn{since: int64(i)}
		l.append(cs[i])
	}
	touch := func(c *conn) { l.remove(c); l.append(c) }
	steps := []struct {
		do   func()
		want string
	}{
		{func() {}, "abcd"},
		{func() { touch(cs[0]) }, "bcda"},
		{func() { touch(cs[2]) }, "bdac"},
		{func() { touch(cs[2]) }, "bdac"},
		{func() { l.remove(cs[3]) }, "bac"},
		{func() { l.remove(cs[1]) }, "ac"},
		{func() { l.remove(cs[2]) }, "a"},
		{func() { l.remove(cs[0]) }, ""},
	}
	for i, s := range steps {
		s.do()
		if got := order(); got != s.want {
			t.Errorf("step %d: got %q, want %q", i, got, s.want)
		}
	}
}

// TestConnPool checks that closed connections are used again, and that not all
// of a flood are kept.
func TestConnPool(t *testing.T) {
	var p connPool
	c := p.get()
	c.since = 1
	p.put(c)
	if p.get() != c || c.since != 0 {
		t.Errorf("a closed connection is not used again, or not as new")
	}
	for range 2 * maxFreeConns {
		p.put(new(conn))
	}
	if p.n != maxFreeConns {
		t.Errorf("%d kept, want %d", p.n, maxFreeConns)
	}
}
