package loop

import (
	"math"
	"sync/atomic"
	"time"

	"tracker/stats"
)

// A rank says what a connection that is not being served waits for. When there
// are too many, they go in this order: of the lowest rank, who has been there
// without getting on for the longest.
type rank uint8

// Ranks. Whoever has not been placed yet has none, and is in nobody's way.
const (
	rankNone    rank = iota
	rankIdle         // nothing of a request has come, no answer is under way
	rankAsking       // a part of a request has come
	rankSending      // a part of an answer has not left
	numRanks
)

// Limits of a connection in time. Each is late by up to a second and a half.
const (
	// idleLimit is how long a client may say nothing, counted from the accept
	// or from the answer before; and then how long it may take for a request,
	// counted from its first byte. Bytes that trickle in change nothing.
	idleLimit = 5 * time.Second
	// sendLimit is how long an answer may take to leave altogether, as long as
	// some of it leaves within every [stallLimit]. Who reads 2 KB/s will do.
	sendLimit = 2 * time.Minute
)

// maxHeld is how many bytes all connections together may have kept in memory:
// requests that are not all here, and answers that have not left. Above it, who
// has waited for the longest goes, among those who ask or those who are sent
// to, whichever hold more. So 15,000 clients that trickle fit, and 70 that read
// nothing of a long pipeline.
const maxHeld = 4 << 20

// minHeld is the least that a reactor has of that.
const minHeld = 1 << 20

// A crowd is the connections of one reactor that wait, by rank. In a list they
// stand in the order in which they came or last got on, so whoever looks for
// the oldest or an overdue one looks at the first.
type crowd struct {
	waiting  [numRanks]connList
	front    [numRanks]atomic.Int64 // since of the first, or nobody; for other reactors
	patience [numRanks]int64        // milliseconds to wait without getting on
	longest  int64                  // milliseconds to wait for an answer to leave, in all
	held     [numRanks]int          // bytes
	maxHeld  int

	wanted atomic.Uint32 // up to which rank another reactor wants one to go, or 0
}

// nobody is the time of the first connection of an empty list.
const nobody = math.MaxInt64

// init makes the crowd ready.
func (w *crowd) init(cfg *Config) {
	late := cfg.closeEvery() // the clock is
	w.patience = [numRanks]int64{
		rankIdle:    (cfg.IdleLimit + late).Milliseconds(),
		rankAsking:  (cfg.IdleLimit + late).Milliseconds(),
		rankSending: (cfg.stall + late).Milliseconds(),
	}
	w.longest = (cfg.sendLimit + late).Milliseconds()
	w.maxHeld = max(minHeld, maxHeld/max(1, cfg.TCPReactors))
	for r := range w.front {
		w.front[r].Store(nobody)
	}
}

// put has c wait in the list of rank r. It goes to the end if it came from
// another or has got on.
func (w *crowd) put(c *conn, r rank, held int, now int64) {
	w.held[c.rank] -= int(c.held)
	c.held = int32(held)
	w.held[r] += held
	if c.rank == r && !c.moved {
		return
	}
	was := c.rank
	if was != rankNone {
		w.waiting[was].remove(c)
	}
	if was != r {
		c.rank, c.began = r, now
		w.publish(was)
	}
	c.since, c.moved = now, false
	w.waiting[r].append(c)
	w.publish(r)
}

// remove takes c off its list, if it is in one.
func (w *crowd) remove(c *conn) {
	if c.rank == rankNone {
		return
	}
	w.held[c.rank] -= int(c.held)
	w.waiting[c.rank].remove(c)
	w.publish(c.rank)
}

// publish tells the other reactors who is the first of rank r.
func (w *crowd) publish(r rank) {
	since := int64(nobody)
	if c := w.waiting[r].first; c != nil {
		since = c.since
	}
	if w.front[r].Load() != since {
		w.front[r].Store(since)
	}
}

// postpone lets everybody wait for d milliseconds more.
func (w *crowd) postpone(d int64) {
	for r := range w.waiting {
		for c := w.waiting[r].first; c != nil; c = c.next {
			c.since, c.began = c.since+d, c.began+d
		}
		w.publish(rank(r))
	}
}

// due reports whether somebody's time is over at now. Any goroutine may call
// it.
func (w *crowd) due(now int64) bool {
	for r := rankIdle; r < numRanks; r++ {
		if since := w.front[r].Load(); since != nobody && since+w.patience[r] <= now {
			return true
		}
	}
	return false
}

// rankOf returns the rank of c, of whose answers so many bytes have not left.
func rankOf(c *conn, unsent int) rank {
	switch {
	case unsent > 0:
		return rankSending
	case len(c.partial) > 0:
		return rankAsking
	}
	return rankIdle
}

// place has c wait for what comes next, after it has been served. It reports
// whether it is to be kept.
func (t *tcpReactor) place(c *conn) bool { return t.placeAt(c, t.clock.millis.Load()) }

// placeAt does so at a time that may be past.
func (t *tcpReactor) placeAt(c *conn, now int64) bool {
	unsent := c.link.OutboundBuffered()
	r := rankOf(c, unsent)
	if r == rankSending && c.rank == r && now-c.began > t.longest {
		t.stats.Inc(stats.TCPOverrun, familyOf(c.src.Addr()))
		return false
	}
	if c.rank == rankNone && t.quota.over() && !t.makeRoom(rankSending) {
		t.stats.Inc(stats.TCPRefused, familyOf(c.src.Addr()))
		return false
	}
	t.put(c, r, unsent+cap(c.partial)+len(c.rest), now)
	return t.held[rankAsking]+t.held[rankSending] <= t.maxHeld || t.lighten(c)
}

// lighten closes connections until the others hold no more than they may. It
// reports whether c is to be kept, and does not close it.
func (t *tcpReactor) lighten(c *conn) bool {
	for t.held[rankAsking]+t.held[rankSending] > t.maxHeld {
		r := rankAsking
		if t.held[rankSending] > t.held[rankAsking] {
			r = rankSending
		}
		first := t.waiting[r].first
		t.stats.Inc(stats.TCPCrowded, familyOf(first.src.Addr()))
		if first == c {
			return false
		}
		t.hangUp(first)
	}
	return true
}

// makeRoom closes the connection that can best be spared, of all reactors', and
// reports whether there is one. None of a rank above last is. One of another
// reactor it closes soon.
func (t *tcpReactor) makeRoom(last rank) bool {
	for r := rankIdle; r <= last; r++ {
		oldest, whose := t.front[r].Load(), t
		for _, o := range t.quota.reactors {
			if since := o.front[r].Load(); since < oldest {
				oldest, whose = since, o
			}
		}
		if whose != t && whose.wanted.CompareAndSwap(0, uint32(r)) {
			whose.wake()
			return true
		}
		if t.spare(r) {
			return true
		}
	}
	return false
}

// spare closes the first connection of rank r, if there is one.
func (t *tcpReactor) spare(r rank) bool {
	c := t.waiting[r].first
	if c == nil {
		return false
	}
	k := stats.TCPEvicted
	if r != rankIdle {
		k = stats.TCPCut
	}
	t.stats.Inc(k, familyOf(c.src.Addr()))
	t.hangUp(c)
	return true
}

// oblige closes the connection that another reactor has asked for, if there
// still is one.
func (t *tcpReactor) oblige() {
	last := rank(t.wanted.Swap(0))
	for r := rankIdle; r <= last; r++ {
		if t.spare(r) {
			return
		}
	}
}

// maxOverdue is how many overdue connections are closed before somebody else
// has a turn: a millisecond's work. Those who came at once are overdue at once.
const maxOverdue = 128

// closeSome closes connections whose time is over, and reports whether there
// may be more.
func (t *tcpReactor) closeSome() bool {
	now, n := t.clock.millis.Load(), 0
	for r := rankIdle; r < numRanks; r++ {
		for c := t.waiting[r].first; c != nil && c.since+t.patience[r] <= now; c = t.waiting[r].first {
			if n++; n > maxOverdue {
				return true
			}
			if !c.draining || r == rankSending {
				t.stats.Inc(expiry[r], familyOf(c.src.Addr()))
			}
			t.hangUp(c)
		}
	}
	return false
}

// expiry is as what connections of a rank are counted when their time is over.
var expiry = [numRanks]stats.Counter{
	rankIdle:    stats.TCPExpired,
	rankAsking:  stats.TCPTrickled,
	rankSending: stats.TCPOverrun,
}

// A quota bounds the connections of all reactors together, so that descriptors
// are never lacking: nobody else could be accepted then, lists not be read, and
// an event loop of gnet does not survive it. Each reactor may be over it by the
// connection it is serving first, and by one that another is about to close.
type quota struct {
	limit    int64         // set before serving
	reactors []*tcpReactor // the same
	used     atomic.Int64
	lack     lack
}

// over reports whether there are too many.
func (q *quota) over() bool { return q.used.Load() > q.limit }
