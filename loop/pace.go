package loop

import (
	"time"

	"tracker/stats"
	"tracker/store"
)

// defaultInterval is how long a client is asked to wait until it announces
// again.
const defaultInterval = 30 * time.Minute

// longestTold is the longest that anybody is asked to wait, unless the
// configured interval is longer.
const longestTold = 80 * time.Minute

// A pace is what clients are told about when to announce again: a number of
// seconds from base on, drawn for each answer, so that clients that came at
// once do not all come back at once.
type pace struct {
	base, spread uint32
	mean         uint32
	longest      uint32 // mean for those who are to stay away for longer
}

// makePace returns the pace that is interval, give or take a tenth.
//
// Who is asked to stay away for longer must not be forgotten meanwhile: a tenth
// is added to the longest that is told, for announces that are late, and then
// it may not reach expire.
func makePace(interval time.Duration, expire store.Minute) pace {
	longest := min(longestTold, time.Duration(expire)*time.Minute*10/11) * 10 / 11
	return paceOf(uint32(interval/time.Second), uint32(longest/time.Second))
}

func paceOf(mean, longest uint32) pace {
	return pace{
		base:    mean - mean/10,
		spread:  max(1, mean/5),
		mean:    mean,
		longest: max(mean, longest),
	}
}

// draw returns how many seconds somebody is asked to wait.
func (p *pace) draw(rnd *store.Rand) uint32 { return p.base + rnd.Uint32n(p.spread) }

// interval returns how many seconds the client should wait whose announce has
// been made.
func (r *reactor) interval() uint32 {
	if s := r.strain.Load(); s != calm || r.slowed {
		return r.longer(s)
	}
	return r.pace.draw(r.rnd)
}

// longer is interval for when it may not be the usual one.
func (r *reactor) longer(s strain) uint32 {
	mean := r.pace.mean
	if r.slowed {
		mean *= 2
	}
	switch s {
	case strained:
		mean *= 2
	case overloaded:
		mean = r.pace.longest
	}
	if s != calm {
		r.stats.Inc(stats.LoadSlowed, familyOf(r.query.Peer.Addr()))
	}
	p := paceOf(min(mean, r.pace.longest), 0)
	return p.draw(r.rnd)
}
