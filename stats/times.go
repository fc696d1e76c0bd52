package stats

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// A Wire is one of the two protocols that requests come over.
type Wire uint8

// The two wires.
const (
	UDP Wire = iota
	HTTP
	NumWires
)

// NumTimes is how many classes [Times] has: class i holds what took no longer
// than [TimeBound] of i, and longer than that of i-1; the last holds all that
// took longer.
const NumTimes = 21

// TimeBound returns the upper bound of class i of [Times], from 2 µs for the
// first, doubling, to 1.05 s for the one before the last. That of the last is
// infinite.
func TimeBound(i int) time.Duration {
	if i >= NumTimes-1 {
		return math.MaxInt64
	}
	return 2 * time.Microsecond << i
}

// Times is a histogram of how long requests took that were timed.
type Times struct {
	N     [NumTimes]uint64 // requests, by class
	Nanos uint64           // all of them together
}

// Count returns how many requests were timed.
func (t *Times) Count() (n uint64) {
	for i := range t.N { // not a copy of it
		n += t.N[i]
	}
	return n
}

// Quantile returns within how many seconds the share q of requests was
// answered, 0.5 being the median, on the assumption that those of a class are
// spread evenly over it. Of the last class, whose end nobody knows, it is the
// beginning. If there are none it is not a number.
func (t *Times) Quantile(q float64) float64 {
	rank, low := q*float64(t.Count()), 0.0
	if rank == 0 {
		return math.NaN()
	}
	for i := range NumTimes - 1 {
		n := t.N[i]
		high := TimeBound(i).Seconds()
		if rank <= float64(n) {
			return low + (high-low)*rank/float64(n)
		}
		rank, low = rank-float64(n), high
	}
	return low
}

// between makes t what was timed after was, up to now.
func (t *Times) between(was, now *Times) {
	for i := range t.N {
		t.N[i] = now.N[i] - was.N[i]
	}
	t.Nanos = now.Nanos - was.Nanos
}

// atomicTimes are those of one reactor.
type atomicTimes struct {
	n     [NumTimes]atomic.Uint64
	nanos atomic.Uint64
}

// Took counts n requests that were answered together within d.
func (c *Counters) Took(d time.Duration, n int) {
	c.took.n[timeClass(d)].Add(uint64(n))
	c.took.nanos.Add(uint64(max(0, d)) * uint64(n))
}

// timeClass returns the class of d.
func timeClass(d time.Duration) int {
	micros := uint64(max(1, d)-1) / uint64(time.Microsecond)
	return min(max(1, bits.Len64(micros))-1, NumTimes-1)
}

// add adds the present numbers of a.
func (t *Times) add(a *atomicTimes) {
	for i := range a.n {
		t.N[i] += a.n[i].Load()
	}
	t.Nanos += a.nanos.Load()
}
