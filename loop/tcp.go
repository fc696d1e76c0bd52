package loop

import (
	"bytes"
	"net/netip"

	"golang.org/x/sys/unix"

	"tracker/proto"
	"tracker/stats"
)

// A tcpTransport runs the connections of one [tcpReactor].
type tcpTransport interface {
	// add gives it a socket that listens for l. The descriptor stays the
	// caller's.
	add(l *listener, fd int)
	// run serves, on the caller's goroutine, until stop.
	run()
	// stop has run return some time later. The server's barrier must have been
	// closed.
	stop()
	// closeOverdue has connections closed whose time is over.
	closeOverdue()
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

// Bounds on answers that are not on their way yet, in bytes. Answers to
// pipelined requests are collected up to flushAt and then written. If that does
// not leave at once, a transport that resumes does nothing more for the client
// until it has, so that no more than flushAt, one answer and readBuffer wait for
// it: under 60 KB, or 100 KB with the page in it. With another transport, a client that lets more than
// maxUnread pile up has stopped reading.
const (
	flushAt   = 32 << 10
	maxUnread = 256 << 10
)

// maxDrained is how many bytes of a client that has had its last answer, and
// has not stopped talking, are thrown away: closing with input unread would be
// a reset.
const maxDrained = 2 << 20

// readBuffer is how many bytes are read from a connection at once: two requests
// of the greatest length.
const readBuffer = 16 << 10

// A tcpReactor answers what comes over the TCP connections of one transport,
// on whose goroutine it lives.
type tcpReactor struct {
	*reactor
	crowd
	requests requests
	pool     connPool
	open     int    // connections
	quota    *quota // shared
	out      []byte // answers not written yet
	answered int    // requests of this read, but for those left to the desk
	resumes  bool   // the transport brings conn.rest when all of an answer has left

	hangUp func(*conn) // closes a connection at once; the transport's
	wake   func()      // has the transport do its chores; any goroutine may call it
}

// newTCPReactor returns a reactor that serves nothing yet. The transport gives
// it hangUp and wake.
func newTCPReactor(r *reactor, q *quota, cfg *Config) *tcpReactor {
	t := &tcpReactor{reactor: r, quota: q}
	t.crowd.init(cfg)
	return t
}

// opened takes a new connection from src to an address of ours. If it is not welcome, it returns nil, and the transport closes.
// Otherwise the transport either has it placed or closes it, soon.
func (t *tcpReactor) opened(l link, src netip.AddrPort, to *Addr) *conn {
	t.stats.Inc(stats.TCPAccepts, familyOf(src.Addr()))
	if !to.Proxy && t.shuts(src.Addr()) {
		return nil
	}
	if to.Proxy && !t.trust.proxies.contains(src.Addr()) {
		t.stats.Inc(stats.TCPUnproxied, familyOf(src.Addr()))
		return nil
	}
	return t.enter(l, src, to.Proxy, to.Metrics)
}

// enter returns a new connection, which has a place in the quota and none in the
// crowd.
func (t *tcpReactor) enter(l link, src netip.AddrPort, proxied, metrics bool) *conn {
	t.quota.used.Add(1)
	t.open++
	c := t.pool.get()
	c.link, c.src, c.proxied, c.metrics = l, src, proxied, metrics
	return c
}

// closed forgets a connection that was opened. The transport has closed it or
// is about to.
func (t *tcpReactor) closed(c *conn) {
	if !c.left {
		t.quota.used.Add(-1)
	}
	if t.guard != nil && !c.asked && !c.proxied {
		t.admit(c.src.Addr()) // to connect and ask nothing is no cheaper, whoever ends it
	}
	t.requests.release(c.partial)
	t.crowd.remove(c)
	t.pool.put(c)
	t.open--
}

// traffic answers what was read, and has that timed. It borrows in, and reports
// whether the connection is to be kept; then it has to be placed.
func (t *tcpReactor) traffic(c *conn, in []byte) bool {
	t.answered = 0
	t.watch.start()
	keep := t.converse(c, in)
	t.watch.stop(t.stats, t.answered)
	return keep
}

// converse answers every request that is all here, in one write if they are not
// very many.
func (t *tcpReactor) converse(c *conn, in []byte) bool {
	if c.draining {
		c.drained += int32(len(in))
		return c.drained <= maxDrained
	}
	if c.proxied {
		var err error
		if in, err = t.requests.proxyHeader(c, in); err != nil {
			t.stats.Inc(stats.TCPUnproxied, familyOf(c.src.Addr()))
			return false
		}
	}
	t.out, t.metrics = t.out[:0], c.metrics
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
		c.asked, c.moved = true, true
		if t.out, last = t.request(t.out, req, c.src); last != fateLeft {
			t.answered++
		}
		if last == fateDone && wholeRequest(rest) > 0 {
			last = fateKeep
		}
		if in = rest; len(t.out) <= flushAt {
			continue
		}
		if !t.flush(c) {
			return false
		}
		if t.resumes && last == fateKeep && len(in) > 0 && c.link.OutboundBuffered() > 0 {
			c.rest = bytes.Clone(in)
			break
		}
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
		c.draining = true // closing now would throw the rest away
		return true
	}
	return false
}

// leaveConn leaves c and the order for it to the desk. The transport closes
// its own descriptor then.
func (t *tcpReactor) leaveConn(c *conn) {
	if c.link.OutboundBuffered() > 0 { // of answers before this one
		t.stats.Inc(stats.TCPOverrun, t.order.family)
		return
	}
	var err error
	if t.order.fd, err = c.link.Dup(); err == nil {
		if c.left = t.desk.take(t.order); !c.left {
			unix.Close(t.order.fd)
		}
	}
	if !c.left { // for want of room or of a descriptor
		if t.order.profile.name != "" {
			t.out = t.answerTaken(&t.order)
		} else {
			t.out, _ = t.tooBusy(t.out, t.order.family)
		}
		t.flush(c)
		return
	}
	if c.rank == rankNone && t.quota.over() { // it has been in nobody's way so far
		t.makeRoom(rankSending)
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
	c.draining, c.moved = true, true
	_ = unix.Shutdown(c.link.Fd(), unix.SHUT_WR) // fails only if it is closed
	return true
}
