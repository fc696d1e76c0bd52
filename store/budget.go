package store

import (
	"math"
	"sync/atomic"
)

// A budget is how much memory the store may take, and takes, to the byte of
// every page that was ever written to. All shards draw on one. Only when
// something is added that needs another page is it looked at, never by a
// renewal.
//
//	0          easy: all grow           near: the larger     reserve
//	├──────────────────────────────────┼── do not ──────────┼───────────┤
//	                               7/8 of grow            grow        most
//
// Near grow only swarms of less than a bound may get another peer, and the
// bound falls from 2¹⁶ peers to 1 on the way there: a peer more is worth most to
// a small swarm. What lies between grow and most is for what must not fail
// although it may take memory: a renewal that moves a peer to another set, a
// record that needs room for its count of downloads, a smaller record that
// takes the place of a larger one.
//
// How much that is at worst is known for swarms, and promised to them when they
// grow: see swarmPromise and promiseShift. A torrent's first download takes 6
// bytes more; for all torrents at once there may not be so much, and the count
// of some is lost then, but not the peer.
type budget struct {
	_        [64]byte     // what is read with every request is not in its cache lines
	used     atomic.Int64 // bytes of pages
	promised atomic.Int64 // bytes that swarms may come to need
	grow     atomic.Int64 // used and promised together, at most, for a peer more
	most     atomic.Int64 // used, at most, for what must not fail
	torrents atomic.Int64 // how many there are, which may be limited too
	_        [64]byte
}

// An urgency says how far memory may be taken.
type urgency bool

const (
	wish urgency = false // as far as budget.grow: something new
	duty urgency = true  // as far as budget.most: what is known is kept
)

// swarmPromise is what is set aside for each swarm, in bytes: two blocks of one
// unit for the first seeders, or leechers, of both families.
const swarmPromise = 2 * (blockOwner + blockUnit)

// promiseShift: an eighth of what blocks take is set aside. Peers that leave a
// set one by one for another leave up to two units of 24 unused in each block,
// and those of the other set are not quite full either.
const promiseShift = 3

// nearShift: the last 1/8 before grow is near.
const nearShift = 3

// maxNear bounds the swarms that grow where near begins, as a power of two.
const maxNear = 16

// set sets how far things may go, in bytes.
func (b *budget) set(grow, most int64) {
	b.grow.Store(grow)
	b.most.Store(most)
}

// unlimited is a budget that nothing ever exceeds.
const unlimited = math.MaxInt64

// take takes n bytes, or reports that there are not that many.
func (b *budget) take(n int, u urgency) bool {
	used, limit := b.used.Add(int64(n)), b.most.Load()
	if u == wish {
		used, limit = used+b.promised.Load(), b.grow.Load()
	}
	if used > limit {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

// give gives n bytes back.
func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// crowded reports whether a torrent of n peers may not get another one because
// memory is short.
func (b *budget) crowded(n int) bool {
	left, near := b.left()
	if left >= near && left > 0 {
		return false
	}
	return left <= 0 || n >= 1<<(left*maxNear/near)
}

// short reports whether it is near that nobody is stored any more.
func (b *budget) short() bool {
	left, near := b.left()
	return left < near || left <= 0
}

// left returns how many bytes are left for peers more, and below how many that
// is near the end.
func (b *budget) left() (left, near int64) {
	grow := b.grow.Load()
	return grow - b.used.Load() - b.promised.Load(), grow >> nearShift
}
