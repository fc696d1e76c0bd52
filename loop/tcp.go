package loop

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"tracker/proto"
	"tracker/stats"
)

// link is gnet's side of a connection.
type link = gnet.Conn

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

// A quota bounds the connections of all reactors together. gnet's event loop
// does not survive a lack of descriptors, so there must never be one.
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

// A tcpReactor answers what comes over the TCP connections of one event loop,
// on whose goroutine it lives. Other goroutines may call closeIdle, and what
// engine allows them.
type tcpReactor struct {
	engine
	*reactor
	requests requests
	conns    connList
	home     gnet.EventLoop // ours, to see when there is a new one
	open     atomic.Int32   // connections, for closeIdle
	unsent   int            // connections that wait for their answer to leave
	quota    *quota         // shared
	idle     int64          // milliseconds a client may take, by a clock that is late
	out      []byte         // answers not written yet
	expire   gnet.RunnableFunc
}

// newTCPReactor returns a reactor that serves nothing yet.
func newTCPReactor(r *reactor, q *quota, idle time.Duration) *tcpReactor {
	t := &tcpReactor{reactor: r, quota: q, idle: idle.Milliseconds()}
	t.expire = t.closeOverdue
	return t
}

// OnOpen implements [gnet.EventHandler].
func (t *tcpReactor) OnOpen(g gnet.Conn) ([]byte, gnet.Action) {
	src := sourceOf(g.RemoteAddr())
	t.stats.Inc(stats.TCPAccepts, familyOf(src.Addr()))
	if !t.quota.take() {
		t.stats.Inc(stats.TCPRefused, familyOf(src.Addr()))
		return nil, gnet.Close
	}
	proxied := t.forProxies(g.LocalAddr())
	if proxied && !t.trust.proxies.contains(src.Addr()) {
		t.stats.Inc(stats.TCPUnproxied, familyOf(src.Addr()))
		t.quota.give()
		return nil, gnet.Close
	}
	if loop := g.EventLoop(); loop != t.home {
		t.home = loop
		t.learn(loop)
	}
	t.open.Add(1)
	c := t.conns.add()
	c.link, c.src, c.proxied = g, src, proxied
	t.extend(c)
	g.SetContext(c)
	return nil, gnet.None
}

// OnClose implements [gnet.EventHandler].
func (t *tcpReactor) OnClose(g gnet.Conn, _ error) gnet.Action {
	c, ok := g.Context().(*conn)
	if !ok {
		return gnet.None // was refused
	}
	g.SetContext(nil)
	if !c.left {
		t.quota.give()
	}
	if c.unsent {
		t.unsent--
	}
	t.requests.release(c.partial)
	t.conns.remove(c)
	t.open.Add(-1)
	return gnet.None
}

// OnTraffic implements [gnet.EventHandler]. It answers every request that is
// all here, in one write if they are not very many.
func (t *tcpReactor) OnTraffic(g gnet.Conn) gnet.Action {
	c, ok := g.Context().(*conn)
	in, err := g.Next(-1) // borrowed until we return
	if !ok || err != nil || c.draining {
		return gnet.None
	}
	if c.proxied {
		if in, err = t.requests.proxyHeader(c, in); err != nil {
			t.stats.Inc(stats.TCPUnproxied, familyOf(c.src.Addr()))
			return gnet.Close
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
		t.out, last = t.request(t.out, req, c.src)
		if last == fateDone && wholeRequest(rest) > 0 {
			last = fateKeep
		}
		if in = rest; len(t.out) > flushAt && !t.flush(c) {
			return gnet.Close
		}
		t.extend(c)
	}
	t.requests.settle(c)
	switch {
	case !t.flush(c):
		return gnet.Close
	case last == fateKeep:
		return gnet.None
	case last == fateLeft:
		return t.leaveConn(c)
	case c.link.OutboundBuffered() > 0:
		c.draining, c.unsent = true, true // closing would throw the rest away
		t.unsent++
		return gnet.None
	}
	return gnet.Close
}

// leaveConn leaves c and the order for it to the desk. gnet closes its own
// descriptor then.
func (t *tcpReactor) leaveConn(c *conn) gnet.Action {
	if c.link.OutboundBuffered() > 0 { // of answers before this one
		t.stats.Inc(stats.TCPOverrun, t.order.family)
		return gnet.Close
	}
	var err error
	if t.order.fd, err = c.link.Dup(); err != nil {
		return gnet.Close
	}
	if c.left = t.desk.take(t.order); !c.left {
		unix.Close(t.order.fd)
		t.out, _ = t.tooBusy(t.out, t.order.family)
		t.flush(c)
	}
	return gnet.Close
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
		return false // gnet has closed it
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
func (t *tcpReactor) drain(c *conn) gnet.Action {
	c.partial = c.partial[:0]
	t.requests.settle(c)
	if !t.flush(c) || c.link.OutboundBuffered() > 0 {
		return gnet.Close
	}
	c.draining = true
	t.extend(c)
	_ = unix.Shutdown(c.link.Fd(), unix.SHUT_WR) // fails only if it is closed
	return gnet.None
}

// extend gives c the whole time again.
func (t *tcpReactor) extend(c *conn) {
	c.deadline = t.clock.millis.Load() + t.idle
	t.conns.touch(c)
}

// closeIdle has connections closed whose time is over. A reactor without
// connections is not woken up.
func (t *tcpReactor) closeIdle() {
	if t.open.Load() > 0 {
		t.execute(t.expire)
	}
}

// closeOverdue closes connections whose time is over, and those that only
// waited for their answer to leave: gnet does not tell when it has. It runs on
// the event loop.
func (t *tcpReactor) closeOverdue(context.Context) error {
	for c := t.conns.first; c != nil && t.unsent > 0; {
		next := c.next
		if c.unsent && c.link.OutboundBuffered() == 0 {
			_ = c.link.EventLoop().Close(c.link) // calls OnClose
		}
		c = next
	}
	now := t.clock.millis.Load()
	for c := t.conns.first; c != nil && c.deadline <= now; c = t.conns.first {
		if !c.draining {
			t.stats.Inc(stats.TCPExpired, familyOf(c.src.Addr()))
		}
		_ = c.link.EventLoop().Close(c.link) // calls OnClose, which removes c
	}
	return nil
}

// sourceOf returns the address gnet has for a client, without a zone; IPv4 is
// IPv4, whichever socket it came through.
func sourceOf(a net.Addr) netip.AddrPort {
	var at netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		at = a.AddrPort()
	case *net.UDPAddr:
		at = a.AddrPort()
	}
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}
