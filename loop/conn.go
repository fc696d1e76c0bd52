package loop

import (
	"net/netip"

	"tracker/proto"
)

// A conn is what is known about one TCP connection. It belongs to the reactor
// that accepted it, and is reused for another when it is closed.
type conn struct {
	link     link // the transport's side of it
	src      netip.AddrPort
	partial  []byte // a request or PROXY header that is not all here, or empty
	rest     []byte // what has come behind requests whose answers have not left, or nil
	drained  int32  // bytes thrown away while draining
	proxied  bool   // a PROXY header has to come first
	metrics  bool   // it came to an address for metrics
	parting  bool   // what is written now is the last, and then it closes
	draining bool   // answered for the last time; input is thrown away
	left     bool   // the desk has it; the transport's descriptor is not the last
	asked    bool   // there has been a request

	moved bool  // it has got on: a request was answered, or bytes of an answer left
	rank  rank  // in whose list it is
	held  int32 // bytes of memory it takes there
	since int64 // when it came to its rank or last got on, milliseconds of the clock
	began int64 // when it came to its rank

	prev, next *conn // in connList
}

// requests cuts what arrives on a connection into requests.
//
// A whole request is parsed where it was read to, without being copied. Only
// what is left over is kept, in a buffer that is small at first, because
// connections that dawdle are the ones that come in great numbers.
type requests struct {
	free [][]byte // buffers of smallPartial bytes
}

// Sizes of the buffer for a request that is not all here, in bytes, and how
// many of the small ones are kept for the next. The small one is for clients
// that trickle; few requests of others come in pieces.
const (
	smallPartial = 256
	largePartial = proto.MaxHTTPRequest + 1 // one more, to see that it is too long
	maxFree      = 64
)

// next returns the next whole request of c, whose bytes are those kept and
// then in, and what is left of in behind it. The request is borrowed from
// either until the next call. If there is none, req is nil, and long says
// that there will never be one: it is over [proto.MaxHTTPRequest] bytes.
// Otherwise everything has been kept.
func (r *requests) next(c *conn, in []byte) (req, rest []byte, long bool) {
	if len(c.partial) == 0 {
		if end := wholeRequest(in); end > 0 {
			return in[:end], in[end:], false
		}
		if len(in) > proto.MaxHTTPRequest {
			return nil, nil, true
		}
		r.keep(c, in)
		return nil, nil, false
	}
	had := len(c.partial)
	r.keep(c, in[:min(len(in), largePartial-had)])
	window := c.partial[:min(len(c.partial), proto.MaxHTTPRequest)]
	if end := proto.HTTPEnd(window, min(had, len(window))); end > 0 {
		req, c.partial = c.partial[:end], c.partial[:0]
		return req, in[end-had:], false
	}
	return nil, nil, len(c.partial) > proto.MaxHTTPRequest
}

// proxyHeader takes the PROXY header off the front of what c sends, in being
// what arrived now, and makes c come from where it says. It returns what is
// left of in: nothing while the header is not all here.
func (r *requests) proxyHeader(c *conn, in []byte) (rest []byte, err error) {
	had, head := len(c.partial), in
	if had > 0 {
		r.keep(c, in[:min(len(in), proto.MaxPROXY-had)])
		head = c.partial
	}
	n, src, err := proto.ParsePROXY(head)
	switch {
	case err != nil:
		return nil, err
	case n == 0 && had == 0:
		r.keep(c, in)
		return nil, nil
	case n == 0:
		return nil, nil
	}
	if c.proxied, c.partial = false, c.partial[:0]; src.IsValid() {
		c.src = src
	}
	return in[n-had:], nil
}

// wholeRequest returns the length of the request that b starts with, or 0 if
// it is not all there or too long.
func wholeRequest(b []byte) int {
	return proto.HTTPEnd(b[:min(len(b), proto.MaxHTTPRequest)], 0)
}

// keep appends b to what is kept of c.
func (r *requests) keep(c *conn, b []byte) {
	if len(b) == 0 {
		return
	}
	if need := len(c.partial) + len(b); need > cap(c.partial) {
		old := c.partial
		c.partial = append(r.buffer(need), old...)
		r.release(old)
	}
	c.partial = append(c.partial, b...)
}

// buffer returns an empty buffer for n bytes.
func (r *requests) buffer(n int) []byte {
	if n > smallPartial {
		return make([]byte, 0, largePartial)
	}
	if last := len(r.free) - 1; last >= 0 {
		b := r.free[last]
		r.free = r.free[:last]
		return b
	}
	return make([]byte, 0, smallPartial)
}

// release takes a buffer back.
func (r *requests) release(b []byte) {
	if cap(b) == smallPartial && len(r.free) < maxFree {
		r.free = append(r.free, b[:0])
	}
}

// settle gives the buffer of c back if nothing is kept in it.
func (r *requests) settle(c *conn) {
	if len(c.partial) == 0 && c.partial != nil {
		r.release(c.partial)
		c.partial = nil
	}
}

// A connList is a list of connections, the one that was put there first first.
type connList struct{ first, last *conn }

// append puts c, which is in no list, at the end.
func (l *connList) append(c *conn) {
	c.prev, c.next = l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
}

// remove takes c off the list.
func (l *connList) remove(c *conn) {
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// A connPool holds closed connections, linked by next, to be used again.
type connPool struct {
	free *conn
	n    int
}

// maxFreeConns is how many closed connections are kept, so that a flood leaves
// little behind.
const maxFreeConns = 1024

// get returns a connection with nothing in it.
func (p *connPool) get() *conn {
	c := p.free
	if c == nil {
		return new(conn)
	}
	p.free, c.next = c.next, nil
	p.n--
	return c
}

// put takes back c, which is in no list.
func (p *connPool) put(c *conn) {
	*c = conn{}
	if p.n < maxFreeConns {
		c.next, p.free = p.free, c
		p.n++
	}
}
