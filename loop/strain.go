package loop

import "tracker/stats"

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
type gauge struct {
	reactor *reactor
	sockets []*watched
	score   int
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
}

// behind reports whether what arrives at w is not read as fast as it comes.
// It knows only on Linux.
func (w *watched) behind() bool {
	q := queueOf(w)
	drops := q.dropped - w.dropped
	w.dropped = q.dropped
	return drops > 0 || q.used > q.size/2
}

// A queue is what waits at a socket: bytes of datagrams, or connections.
type queue struct {
	used, size int
	dropped    uint32 // so far; of datagrams only
}

// look takes a look and tells the reactor.
func (g *gauge) look() {
	behind := false
	for _, w := range g.sockets {
		behind = w.behind() || behind // every one: they remember
	}
	g.note(behind)
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
