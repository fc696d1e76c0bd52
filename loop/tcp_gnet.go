package loop

import (
	"context"
	"net"
	"net/netip"

	"github.com/panjf2000/gnet/v2"
)

// A gnetTCPReactor is a [tcpReactor] on an event loop of gnet. It works
// wherever gnet does. On Linux, [epollReactor] is cheaper.
type gnetTCPReactor struct {
	engine
	*tcpReactor
	home   gnet.EventLoop // ours, to see when there is a new one
	expire gnet.RunnableFunc
}

func newGnetTCPReactor(t *tcpReactor) *gnetTCPReactor {
	r := &gnetTCPReactor{tcpReactor: t}
	r.expire = r.closeOverdue
	return r
}

func (r *gnetTCPReactor) run() { r.engine.run(r) }

// OnOpen implements [gnet.EventHandler].
func (r *gnetTCPReactor) OnOpen(g gnet.Conn) ([]byte, gnet.Action) {
	c := r.opened(g, sourceOf(g.RemoteAddr()), r.forProxies(g.LocalAddr()))
	if c == nil {
		return nil, gnet.Close
	}
	if loop := g.EventLoop(); loop != r.home {
		r.home = loop
		r.learn(loop)
	}
	g.SetContext(c)
	return nil, gnet.None
}

// OnClose implements [gnet.EventHandler].
func (r *gnetTCPReactor) OnClose(g gnet.Conn, _ error) gnet.Action {
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
	if !ok || err != nil || r.traffic(c, in) {
		return gnet.None
	}
	return gnet.Close // nothing happens if a failed write has closed it
}

// closeIdle implements [tcpTransport]. An event loop without connections is
// not woken up.
func (r *gnetTCPReactor) closeIdle() {
	if r.open.Load() > 0 {
		r.execute(r.expire)
	}
}

// connections implements [tcpTransport]. gnet gives none away: they are closed
// when its event loop ends, in a pause.
func (r *gnetTCPReactor) connections() []Conn { return nil }

// adopt implements [tcpTransport]. gnet takes none but those it has accepted.
func (r *gnetTCPReactor) adopt(*Conn) bool { return false }

// closeOverdue closes connections whose time is over, and those that only
// waited for their answer to leave: gnet does not tell when it has. It runs on
// the event loop.
func (r *gnetTCPReactor) closeOverdue(context.Context) error {
	for c := r.conns.first; c != nil && r.unsent > 0; {
		next := c.next
		if c.unsent && c.link.OutboundBuffered() == 0 {
			hangUp(c)
		}
		c = next
	}
	for c := r.overdue(); c != nil; c = r.overdue() {
		hangUp(c)
	}
	return nil
}

// hangUp closes c, which calls OnClose.
func hangUp(c *conn) {
	if g, ok := c.link.(gnet.Conn); ok {
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
