package loop

import (
	"time"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// defaultInterval is how long a client is asked to wait until it announces
// again.
const defaultInterval = 30 * time.Minute

// Bounds of what anybody is asked to wait, unless the configured interval is
// longer or shorter: lists of trackers and clients take one that asks for more
// than an announce in five minutes for broken.
const (
	shortestTold = 5 * time.Minute
	longestTold  = 80 * time.Minute
)

// A pace is what clients are told about when to announce again: a number of
// seconds from base on, drawn for each answer, so that clients that came at
// once do not all come back at once.
type pace struct {
	base, spread uint32
	mean         uint32
	shortest     uint32 // mean for those who are to come back sooner
	longest      uint32 // mean for those who are to stay away for longer
	adaptive     bool   // it depends on the swarm
}

// makePace returns the pace that is interval, give or take a tenth.
//
// Who is asked to stay away for longer must not be forgotten meanwhile: a tenth
// is added to the longest that is told, for announces that are late, and then
// it may not reach expire.
func makePace(interval time.Duration, expire store.Minute) pace {
	longest := min(longestTold, time.Duration(expire)*time.Minute*10/11) * 10 / 11
	p := around(uint32(interval / time.Second))
	p.longest = max(p.mean, uint32(longest/time.Second))
	p.shortest = min(p.mean, uint32((shortestTold*10/9+time.Second-1)/time.Second))
	return p
}

// around returns the pace that is mean, give or take a tenth, for everybody.
func around(mean uint32) pace {
	return pace{base: mean - mean/10, spread: max(1, mean/5), mean: mean}
}

// draw returns how many seconds somebody is asked to wait.
func (p *pace) draw(rnd *store.Rand) uint32 { return p.base + rnd.Uint32n(p.spread) }

// interval returns how many seconds the client should wait whose announce has
// been made.
func (r *reactor) interval() uint32 {
	if s := r.strain.Load(); s != calm || r.slowed || r.pace.adaptive {
		return r.unusual(s)
	}
	return r.pace.draw(r.rnd)
}

// unusual is interval for when it may not be the usual one.
func (r *reactor) unusual(s strain) uint32 {
	mean := r.pace.mean
	if r.pace.adaptive {
		mean = adapted(mean, r.found.Counts, r.query.Seeder)
	}
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
	p := around(max(r.pace.shortest, min(mean, r.pace.longest)))
	return p.draw(r.rnd)
}

// Sizes of swarms, for [adapted].
const (
	fewPeers  = 8    // one that may not find anybody who is connectable
	enough    = 50   // as many as one answer has
	manyPeers = 1000 // peers find each other without us by now (BEP 11)
)

// adapted returns the mean interval for a peer of a swarm with those counts.
//
//	                 leecher   seeder
//	  8 and fewer      1/2       1
//	 50 and fewer      1         1
//	up to 1,000        3/2       3/2
//	more               2         2
//
// A leecher with few peers comes back sooner, because each that it is told of
// makes a difference to it. Most swarms are a seeder alone, who has nothing to
// gain: leechers find him.
func adapted(mean uint32, c proto.Counts, seeder bool) uint32 {
	switch n := c.Complete + c.Incomplete; {
	case n <= fewPeers && !seeder:
		return mean / 2
	case n <= enough:
		return mean
	case n <= manyPeers:
		return mean + mean/2
	}
	return mean * 2
}
