package loop

import (
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tracker/proto"
	"tracker/stats"
)

// A tcpTransport runs the connections of one [tcpReactor].
type tcpTransport interface {
	// add gives it a socket that listens for l. The descriptor stays the
	// caller's.
	add(l *listener, fd int) error
	// run serves, on the caller's goroutine, until stop.
	run()
	// stop has run return some time later. The server's barrier must have been
	// closed.
	stop()
	// closeIdle has connections closed whose time is over.
	closeIdle()
	// halt returns when the transport has stopped to accept and to read, until
	// resume.
	halt()
	resume()
	// connections returns those there are, in a pause, if they can be handed
	// to another process.
	connections() []Conn
	// adopt goes on with a connection of another process, before run serves.
	// It reports false if that cannot be; then the descriptor is the caller's.
	adopt(c *Conn) bool
}

// A link is a transport's side of a connection.
type link interface {
	// Write sends p, and keeps what cannot be sent now to send it when it can.
	// After an error the connection is of no use.
	Write(p []byte) (int, error)
	// OutboundBuffered returns how many bytes are kept to be sent.
	OutboundBuffered() int
	// Fd returns the descriptor, and Dup another one, which is the caller's.
	Fd() int
	Dup() (int, error)
}

// idleLimit is how long a client may take for a request, counted from the
// accept or from the answer before. Bytes that trickle in change nothing.
const idleLimit = 5 * time.Second

// Bounds on answers that are not on their way yet, in bytes. Answers to
// pipelined requests are collected up to flushAt and then written; a client
// that lets more than maxUnread pile up has stopped reading.
const (
	flushAt   = 64 << 10
	maxUnread = 256 << 10
)

// A quota bounds the connections of all reactors together, so that descriptors
// are never lacking: nobody else could be accepted then, lists not be read, and
// an event loop of gnet does not survive it.
type quota struct {
	limit int64 // set before serving
	used  atomic.Int64
}

// take reports whether there was room for one more, and takes it.
func (q *quota) take() bool {
	if q.used.Add(1) > q.limit {
		q.used.Add(-1)
		return false
	}
	return true
}

func (q *quota) give() { q.used.Add(-1) }

// A tcpReactor answers what comes over the TCP connections of one transport,
// on whose goroutine it lives.
type tcpReactor struct {
	*reactor
	requests requests
	conns    connList
	open     atomic.Int32 // connections, for who closes overdue ones
	unsent   int          // connections that wait for their answer to leave
	quota    *quota       // shared
	idle     int64        // milliseconds a client may take, by a clock that is late
	out      []byte       // answers not written yet
}

// newTCPReactor returns a reactor that serves nothing yet.
func newTCPReactor(r *reactor, q *quota, idle time.Duration) *tcpReactor {
	return &tcpReactor{reactor: r, quota: q, idle: idle.Milliseconds()}
}

// opened takes a new connection from src, through a listener for proxies or
// not. If it is not welcome, it returns nil, and the transport closes.
func (t *tcpReactor) opened(l link, src netip.AddrPort, proxied bool) *conn {
	t.stats.Inc(stats.TCPAccepts, familyOf(src.Addr()))
	if !proxied && t.shuts(src.Addr()) {
		return nil
	}
	if !t.quota.take() {
		t.stats.Inc(stats.TCPRefused, familyOf(src.Addr()))
		return nil
	}
	if proxied && !t.trust.proxies.contains(src.Addr()) {
		t.stats.Inc(stats.TCPUnproxied, familyOf(src.Addr()))
		t.quota.give()
		return nil
	}
	t.open.Add(1)
	c := t.conns.add()
	c.link, c.src, c.proxied = l, src, proxied
	t.extend(c)
	return c
}

// closed forgets a connection that was opened. The transport has closed it or
// is about to.
func (t *tcpReactor) closed(c *conn) {
	if !c.left {
		t.quota.give()
	}
	if t.guard != nil && !c.asked && !c.proxied {
		t.admit(c.src.Addr()) // to connect and ask nothing is no cheaper
	}
	if c.unsent {
		t.unsent--
	}
	t.requests.release(c.partial)
	t.conns.remove(c)
	t.open.Add(-1)
}

// traffic answers every request that is all here, in one write if they are not
// very many. It borrows in, and reports whether the connection is to be kept.
func (t *tcpReactor) traffic(c *conn, in []byte) bool {
	if c.draining {
		return true
	}
	if c.proxied {
		var err error
		if in, err = t.requests.proxyHeader(c, in); err != nil {
			t.stats.Inc(stats.TCPUnproxied, familyOf(c.src.Addr()))
			return false
		}
	}
	t.out = t.out[:0]
	last := fateKeep
	for last == fateKeep {
		req, rest, long := t.requests.next(c, in)
		if long {
			t.stats.Inc(stats.HTTPTooLong, familyOf(c.src.Addr()))
			t.out = append(t.out, proto.HTTP500...)
			return t.drain(c)
		}
		if req == nil {
			break
		}
		c.asked = true
		t.out, last = t.request(t.out, req, c.src)
		if last == fateDone && wholeRequest(rest) > 0 {
			last = fateKeep
		}
		if in = rest; len(t.out) > flushAt && !t.flush(c) {
			return false
		}
		t.extend(c)
	}
	t.requests.settle(c)
	c.parting = last == fateDone || last == fateClose
	switch {
	case !t.flush(c):
		return false
	case last == fateKeep:
		return true
	case last == fateLeft:
		t.leaveConn(c)
	case c.link.OutboundBuffered() > 0:
		t.partLater(c)
		return true
	}
	return false
}

// partLater has c closed when all that was written has left: closing now would
// throw the rest away.
func (t *tcpReactor) partLater(c *conn) {
	if !c.unsent {
		c.draining, c.unsent = true, true
		t.unsent++
	}
}

// leaveConn leaves c and the order for it to the desk. The transport closes
// its own descriptor then.
func (t *tcpReactor) leaveConn(c *conn) {
	if c.link.OutboundBuffered() > 0 { // of answers before this one
		t.stats.Inc(stats.TCPOverrun, t.order.family)
		return
	}
	var err error
	if t.order.fd, err = c.link.Dup(); err != nil {
		return
	}
	if c.left = t.desk.take(t.order); !c.left {
		unix.Close(t.order.fd)
		t.out, _ = t.tooBusy(t.out, t.order.family)
		t.flush(c)
	}
}

// flush writes the answers collected. It reports whether the connection is
// still of use.
func (t *tcpReactor) flush(c *conn) bool {
	if len(t.out) == 0 {
		return true
	}
	_, err := c.link.Write(t.out)
	t.out = t.out[:0]
	if err != nil {
		return false
	}
	if c.link.OutboundBuffered() > maxUnread {
		t.stats.Inc(stats.TCPOverrun, familyOf(c.src.Addr()))
		return false
	}
	return true
}

// drain says the last word on a connection whose client is still talking.
// Closed at once, with input unread, the system would send a reset, and the
// client might never see the answer. So only our side is closed, and input is
// thrown away until the client closes too or its time is over.
func (t *tcpReactor) drain(c *conn) bool {
	c.partial = c.partial[:0]
	t.requests.settle(c)
	if !t.flush(c) || c.link.OutboundBuffered() > 0 {
		return false
	}
	c.draining = true
	t.extend(c)
	_ = unix.Shutdown(c.link.Fd(), unix.SHUT_WR) // fails only if it is closed
	return true
}

// extend gives c the whole time again.
func (t *tcpReactor) extend(c *conn) {
	c.deadline = t.clock.millis.Load() + t.idle
	t.conns.touch(c)
}

// overdue returns a connection whose time is over, or nil.
func (t *tcpReactor) overdue() *conn {
	c := t.conns.first
	if c == nil || c.deadline > t.clock.millis.Load() {
		return nil
	}
	if !c.draining {
		t.stats.Inc(stats.TCPExpired, familyOf(c.src.Addr()))
	}
	return c
}
