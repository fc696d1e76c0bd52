//go:build !router || !linux || 386 || s390x

package loop

import (
	"github.com/panjf2000/gnet/v2"

	"tracker/stats"
)

// A gnetUDPReactor answers what comes to UDP sockets through an event loop of
// gnet, one datagram at a time. It works wherever gnet does, at about twice
// the cost of batches, and cannot choose the address an answer leaves from.
type gnetUDPReactor struct {
	engine
	*reactor
	out []byte
}

// addGnetUDP gives a socket of l to UDP reactor i, which serves socket i of every
// address. The reactor is made if it is the next.
func (s *Server) addGnetUDP(i int, l *listener, fd int) error {
	if i == len(s.gnetUDP) {
		u := &gnetUDPReactor{reactor: s.newReactor(stats.UDP)}
		s.prepare(&u.engine)
		s.gnetUDP = append(s.gnetUDP, u)
	}
	u := s.gnetUDP[i].(*gnetUDPReactor)
	s.watch(u.reactor, l, fd)
	u.add(l, fd)
	return nil
}

func (u *gnetUDPReactor) run() { u.engine.run(u) }

// OnTraffic implements [gnet.EventHandler]: one call is one datagram.
func (u *gnetUDPReactor) OnTraffic(g gnet.Conn) gnet.Action {
	pkt, err := g.Next(-1) // borrowed until we return
	src := sourceOf(g.RemoteAddr())
	if err != nil || !src.IsValid() {
		return gnet.None
	}
	u.watch.start()
	defer u.watch.stop(u.stats, 1)
	if u.out = u.datagram(u.out[:0], pkt, src); len(u.out) == 0 {
		return gnet.None
	}
	if _, err := g.Write(u.out); err != nil {
		u.stats.Inc(stats.UDPSendErrors, familyOf(src.Addr()))
	}
	return gnet.None
}
