//go:build !router || !linux || 386 || s390x

package loop

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/panjf2000/gnet/v2"
	errorx "github.com/panjf2000/gnet/v2/pkg/errors"

	"tracker/stats"
)

// A gnetTCPReactor is a [tcpReactor] on an event loop of gnet. It works
// wherever gnet does. On Linux, [epollReactor] is cheaper.
type gnetTCPReactor struct {
	engine
	*tcpReactor
	home   gnet.EventLoop // ours, to see when there is a new one
	chores gnet.RunnableFunc
}

// newGnetTCP returns the transport of t on gnet.
func (s *Server) newGnetTCP(t *tcpReactor) tcpTransport {
	r := &gnetTCPReactor{tcpReactor: t}
	s.prepare(&r.engine)
	r.chores = r.doChores
	t.hangUp = hangUp
	t.wake = func() { r.execute(r.chores) }
	return r
}

func (r *gnetTCPReactor) run() { r.engine.run(r) }

// OnOpen implements [gnet.EventHandler].
func (r *gnetTCPReactor) OnOpen(g gnet.Conn) ([]byte, gnet.Action) {
	to := r.through(g.LocalAddr())
	if to == nil { // it has no address any more
		return nil, gnet.Close
	}
	c := r.opened(g, sourceOf(g.RemoteAddr()), to)
	if c == nil {
		return nil, gnet.Close
	}
	if loop := g.EventLoop(); loop != r.home {
		r.home = loop
		r.learn(loop)
	}
	g.SetContext(c)
	if !r.place(c) {
		return nil, gnet.Close
	}
	return nil, gnet.None
}

// OnClose implements [gnet.EventHandler].
//
// gnet closes a connection at once when the client has nothing more to say,
// but not without having tried to send what is left of the answer. So we see
// to it that there is room.
func (r *gnetTCPReactor) OnClose(g gnet.Conn, why error) gnet.Action {
	if errors.Is(why, io.EOF) && g.OutboundBuffered() > 0 {
		widen(g.Fd(), maxUnread)
	}
	if c, ok := g.Context().(*conn); ok { // or it was not welcome
		g.SetContext(nil)
		r.closed(c)
	}
	return gnet.None
}

// OnTraffic implements [gnet.EventHandler].
func (r *gnetTCPReactor) OnTraffic(g gnet.Conn) gnet.Action {
	c, ok := g.Context().(*conn)
	in, err := g.Next(-1) // borrowed until we return
	if !ok || err != nil || r.traffic(c, in) && r.place(c) {
		return gnet.None
	}
	return gnet.Close // nothing happens if a failed write has closed it
}

// closeOverdue implements [tcpTransport]. An event loop that has nothing to do
// is not woken up.
func (r *gnetTCPReactor) closeOverdue() {
	if r.due(r.clock.millis.Load()) || r.front[rankSending].Load() != nobody {
		r.wake()
	}
}

// halt implements [tcpTransport]. The event loop stands still, and nothing is lost
// if it goes on. One that has had no connection yet cannot be told to, and ends.
func (r *gnetTCPReactor) halt() {
	r.brake.put()
	if !r.execute(r.stand) {
		r.engine.stop()
	}
	r.brake.wait()
}

// stand has the event loop, on which it runs, stand still, or end if everything
// does. Before that, answers leave as far as the kernel takes them.
func (r *gnetTCPReactor) stand(context.Context) error {
	r.eachSending(func(c *conn) {
		if g, ok := c.link.(gnet.Conn); ok {
			widen(g.Fd(), maxUnread)
			_ = g.Flush() // an error has closed it
		}
	})
	r.eachSending(r.lookAt)
	r.brake.hold(r.barrier.closed)
	if r.barrier.isClosed() {
		return errorx.ErrEngineShutdown
	}
	return nil
}

// connections implements [tcpTransport]. What has not left of an answer is known
// to gnet alone, so who has not taken it is not handed to another process.
func (r *gnetTCPReactor) connections() (all []Conn) {
	now := r.clock.millis.Load()
	for _, rank := range [...]rank{rankIdle, rankAsking} {
		for c := r.waiting[rank].first; c != nil; c = c.next {
			all = append(all, c.handedOn(c.link.Fd(), now))
		}
	}
	return all
}

// adopt implements [tcpTransport]. gnet takes none but those it has accepted.
func (r *gnetTCPReactor) adopt(*Conn) bool { return false }

// doChores closes connections whose time is over or whose place another
// reactor needs, and looks how far answers have got: gnet does not tell when
// they have left. It runs on the event loop.
func (r *gnetTCPReactor) doChores(context.Context) error {
	r.oblige()
	r.eachSending(r.lookAt)
	for r.closeSome() {
	}
	return nil
}

// eachSending calls f, which may close it or place it again, with each connection
// that has not taken its answer.
func (r *gnetTCPReactor) eachSending(f func(*conn)) {
	for c, last := r.waiting[rankSending].first, r.waiting[rankSending].last; c != nil; {
		next := c.next
		if c == last {
			next = nil
		}
		f(c)
		c = next
	}
}

// lookAt sees what has left of the answer for c.
func (r *gnetTCPReactor) lookAt(c *conn) {
	unsent := c.link.OutboundBuffered()
	if unsent == 0 && c.parting {
		hangUp(c)
		return
	}
	c.moved = c.moved || unsent+cap(c.partial) != int(c.held)
	now := r.clock.millis.Load()
	if unsent > 0 && now-c.began > r.longest {
		r.stats.Inc(stats.TCPOverrun, familyOf(c.src.Addr()))
		hangUp(c)
		return
	}
	r.put(c, rankOf(c, unsent), unsent+cap(c.partial), now)
}

// hangUp closes c, which calls OnClose.
func hangUp(c *conn) {
	if g, ok := c.link.(gnet.Conn); ok {
		if g.OutboundBuffered() > 0 {
			abort(g.Fd())
		}
		_ = g.EventLoop().Close(g)
	}
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
