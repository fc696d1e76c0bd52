package guard

import (
	"math"
	"sync/atomic"
)

// A cell is one account, as the package comment draws it. 0 is an empty one.
type cell uint64

// setCells is how many cells there are in a set. Together they are the 64 bytes
// of a cache line.
const setCells = 8

// A set is the cells among which an account has its place.
type set [setCells]atomic.Uint64

// A sketch is accounts, all with the same budget. The zero value has none.
type sketch struct {
	sets []set
	mask uint32 // of a set's number
	rate uint64 // requests forgiven in a second

	// What may be owed, in requests.
	budget uint32 // without consequences
	silent uint32 // before it is silence
	most   uint32

	swept int // the next set to be swept
}

// makeSketch returns a sketch of that many cells, a power of two.
func makeSketch(cells, rate, burst int) sketch {
	budget := uint32(rate * burst)
	return sketch{
		sets:   make([]set, cells/setCells),
		mask:   uint32(cells/setCells - 1),
		rate:   uint64(rate),
		budget: budget,
		silent: 2 * budget,
		most:   4 * budget,
	}
}

// The build fails here if what is owed could not be told from what is not.
const _ = uint(math.MaxInt32 - 4*MaxRate*MaxBurst)

func (s *sketch) on() bool { return len(s.sets) > 0 }

// forgiven returns how many requests have been forgiven since the clock began,
// modulo 2^32.
func (s *sketch) forgiven(millis int64) uint32 { return uint32(uint64(millis) * s.rate / 1000) }

// attempts is how often a cell is tried that others change at the same time.
const attempts = 4

// charge charges one request to the account of that hash.
func (s *sketch) charge(hash uint64, millis int64) Verdict {
	now, name := s.forgiven(millis), nameOf(hash)
	t := &s.sets[uint32(hash)&s.mask]
	var owed uint32
	for range attempts {
		var i int
		var was cell
		i, was, owed = s.find(t, name, now)
		switch {
		case i < 0:
			return Fine
		case owed >= s.most: // nothing to write, whatever the flood
			return BadAddress
		case t[i].CompareAndSwap(uint64(was), uint64(makeCell(name, now+owed+1))):
			return s.verdict(owed + 1)
		}
	}
	return s.verdict(owed + 1)
}

// shut reports whether the account of that hash is silenced, and charges it if
// so.
func (s *sketch) shut(hash uint64, millis int64) bool {
	i, _, owed := s.find(&s.sets[uint32(hash)&s.mask], nameOf(hash), s.forgiven(millis))
	return i >= 0 && owed >= s.silent && s.charge(hash, millis).Silent()
}

func (s *sketch) verdict(owed uint32) Verdict {
	switch {
	case owed <= s.budget:
		return Fine
	case owed <= s.silent:
		return Slow
	}
	return BadAddress
}

// find returns the cell of an account in t, and what it owes. If it has none,
// that is the cell it is to take, or -1 if there is none to be had.
func (s *sketch) find(t *set, name, now uint32) (i int, was cell, owed uint32) {
	i, least := -1, s.budget+1
	for k := range t {
		c := cell(t[k].Load())
		owed := s.owes(c, now)
		if c.name() == name {
			return k, c, owed
		}
		if owed < least {
			i, was, least = k, c, owed
		}
	}
	return i, was, 0
}

// owes returns what the owner of c owes. More than the most cannot be: that is
// a time long gone by.
func (s *sketch) owes(c cell, now uint32) uint32 {
	owed := uint32(c) - now
	if c.name() == 0 || owed > s.most {
		return 0
	}
	return owed
}

// sweepRounds is over how many calls of sweep a round is spread.
const sweepRounds = 32

// sweep empties the cells of a part of the sets that owe nothing.
func (s *sketch) sweep(millis int64) {
	now := s.forgiven(millis)
	for range len(s.sets) / sweepRounds {
		t := &s.sets[s.swept]
		s.swept = (s.swept + 1) % len(s.sets)
		for i := range t {
			if c := t[i].Load(); c != 0 && s.owes(cell(c), now) == 0 {
				t[i].CompareAndSwap(c, 0)
			}
		}
	}
}

func makeCell(name, paid uint32) cell { return cell(name)<<32 | cell(paid) }

func (c cell) name() uint32 { return uint32(c >> 32) }

// nameOf returns the name of an account: never 0, which is an empty cell's.
func nameOf(hash uint64) uint32 { return max(1, uint32(hash>>32)) }
