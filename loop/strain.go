package loop

import (
	"fmt"
	"sync/atomic"
	"time"

	"tracker/stats"
)

// A strain says how far a reactor is behind with what arrives at its sockets.
// Each reactor has its own: where UDP is flooded, HTTP goes on as ever, and so
// does IPv6 beside IPv4 if they are listened for at addresses of their own.
//
//	              calm      strained                     overloaded
//	announces     answered  with twice the interval      with the longest
//	connects      answered  unless over their budget     the same
//	wrong ids     an error  an error                     not answered
//	long pages    written   written                      the connection ends
//
// What a client needs to take part is never refused, because who gets no answer
// asks again: a longer interval is what relieves, if not at once. The rest is
// what can be done without. So a good client loses only what the system drops
// before we see it.
type strain = uint32

// The strains.
const (
	calm strain = iota
	strained
	overloaded
)

// A gauge finds the strain of a reactor by looking at its sockets once a second:
// is the queue of one more than half full, or has something been dropped there?
// That is asked of the system, so it costs a request nothing.
//
//	score   0 ────── strainedAt ─────────── overloadedAt ─── maxScore
//	        │  calm ───► │      strained ───────► │   overloaded
//	        ◄─── calm ───┘ until it is 0          └── until it is half of that
//
// A look that finds the reactor behind adds two to the score, any other takes
// one off. So it is strained after two seconds and overloaded after ten, or
// later if it is behind half of the time, and calm again after half a minute.
//
// It finds, too, whether the reactor does anything at all: see [Server.Alive].
type gauge struct {
	reactor *reactor
	sockets []*watched
	score   int

	heard uint64       // by the reactor, so far
	stuck atomic.Int32 // looks at which something was waiting, and no more was heard than at the one before
}

const (
	strainedAt   = 4
	overloadedAt = 20
	maxScore     = 30
)

// A watched socket is one that a gauge looks at.
type watched struct {
	fd      int // the listener's
	udp     bool
	dropped uint32 // by the system, so far
	waits   bool   // something did, at the last look
}

// behind reports whether what arrives at w is not read as fast as it comes.
// It knows only on Linux.
func (w *watched) behind() bool {
	q := queueOf(w)
	drops := q.dropped - w.dropped
	w.dropped = q.dropped
	w.waits = q.used > 0
	return drops > 0 || q.used > q.size/2
}

// A queue is what waits at a socket: bytes of datagrams, or connections.
type queue struct {
	used, size int
	dropped    uint32 // so far; of datagrams only
}

// look takes a look and tells the reactor.
func (g *gauge) look() {
	behind, waits := false, false
	for _, w := range g.sockets {
		behind = w.behind() || behind // every one: they remember
		waits = waits || w.waits
	}
	g.note(behind)
	heard := g.reactor.stats.Heard()
	if !waits || heard != g.heard {
		g.stuck.Store(0)
	} else {
		g.stuck.Add(1)
	}
	g.heard = heard
}

// note takes note of what a look has found.
func (g *gauge) note(behind bool) {
	if g.score--; behind {
		g.score += 3
	}
	g.score = max(0, min(g.score, maxScore))
	was := g.reactor.strain.Load()
	now := was
	switch {
	case g.score >= overloadedAt:
		now = overloaded
	case g.score >= strainedAt && was == calm, g.score < overloadedAt/2 && was == overloaded:
		now = strained
	case g.score == 0:
		now = calm
	}
	if now != was { // or its cache line would be taken from the reactor
		g.reactor.strain.Store(now)
	}
}

// Bounds on how long a server that is alive may do nothing.
const (
	// stoodStill is for the goroutine that sets the clock, once a second.
	stoodStill = 5 * time.Second
	// stuckLooks is for a reactor at whose sockets something waits, in looks.
	// Not even one that is short of everything takes so long.
	stuckLooks = 10
)

// Alive returns an error if a server that is not paused does not go on: if its
// clock has stood still, because a part of the store is locked for instance, or
// if a reactor has not taken anything for seconds of what waits for it. It does
// not find a reactor stuck for which nothing waits, nor one for UDP before Linux
// 4.12, and may be wrong for a second after the machine was suspended.
func (s *Server) Alive() error {
	if d := s.cfg.Now() - time.Duration(s.clock.millis.Load())*time.Millisecond; d > stoodStill {
		return fmt.Errorf("the clock has stood still for %v", d.Round(time.Second))
	}
	for _, g := range s.gauges {
		if n := g.stuck.Load(); n >= stuckLooks {
			return fmt.Errorf("a reactor has left everything unread for %d seconds", n)
		}
	}
	return nil
}

// watch has the gauge of r look at a socket of l.
func (s *Server) watch(r *reactor, l *listener, fd int) {
	i := len(s.gauges) - 1
	for i >= 0 && s.gauges[i].reactor != r {
		i--
	}
	if i < 0 {
		i = len(s.gauges)
		s.gauges = append(s.gauges, &gauge{reactor: r})
	}
	g := s.gauges[i]
	g.sockets = append(g.sockets, &watched{fd: fd, udp: l.addr.Network == "udp"})
}

// sheds reports whether the reactor is overloaded, and counts that as k if so.
func (r *reactor) sheds(k stats.Counter, f stats.Family) bool {
	if r.strain.Load() != overloaded {
		return false
	}
	r.stats.Inc(k, f)
	return true
}
