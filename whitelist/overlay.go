package whitelist

import (
	"hash/maphash"
	"sync/atomic"

	"tracker/proto"
)

// A mark is what the FIFOs said last about an infohash.
type mark uint32

const (
	unmarked mark = iota
	added
	deleted
)

// Sizes of an overlay, in infohashes.
const (
	minOverlay = 64
	// MaxOverlay is how many infohashes the FIFOs may mark between two reloads:
	// 128 MB at most. Who needs more writes a list.
	MaxOverlay = 1 << 22
)

// An overlay holds the marks. It is an open-addressed table that one writer
// changes while any number of readers look things up, without a lock: a key is
// written first, at a place no reader knows, and then published by storing its
// number in a slot. Keys never leave; a mark changes in its slot. A full overlay
// is replaced by one twice as large, so at most half of the slots are taken.
//
//	slots   …  0  12  0  0  9  …    (number of the key + 1) * 4 + mark, 0 empty
//	keys    k0 k1 k2 …
type overlay struct {
	slots []atomic.Uint32
	keys  []proto.Infohash // all of them; count are in use
	count int              // the writer's
	seed  maphash.Seed     // people choose infohashes, so the places must be secret
}

// newOverlay returns an empty overlay for size infohashes, a power of two.
func newOverlay(size int) *overlay {
	return &overlay{
		slots: make([]atomic.Uint32, 2*size),
		keys:  make([]proto.Infohash, size),
		seed:  maphash.MakeSeed(),
	}
}

// get returns the mark of ih. A nil overlay marks nothing.
func (o *overlay) get(ih *proto.Infohash) mark {
	if o == nil {
		return unmarked
	}
	_, m := o.find(ih)
	return m
}

// find returns the slot of ih, or the empty slot where it belongs.
func (o *overlay) find(ih *proto.Infohash) (slot *atomic.Uint32, m mark) {
	last := len(o.slots) - 1
	for i := int(maphash.Bytes(o.seed, ih[:])) & last; ; i = (i + 1) & last {
		v := o.slots[i].Load()
		if v == 0 {
			return &o.slots[i], unmarked
		}
		if o.keys[v/4-1] == *ih {
			return &o.slots[i], mark(v % 4)
		}
	}
}

// set marks ih, which is the writer's to do, and returns the overlay to use
// from now on: o itself, or a larger copy. It reports false, and does nothing,
// when there are [MaxOverlay] other hashes already.
func (o *overlay) set(ih *proto.Infohash, m mark) (*overlay, bool) {
	if o == nil {
		o = newOverlay(minOverlay)
	}
	slot, old := o.find(ih)
	if old != unmarked {
		slot.Store(slot.Load()&^3 | uint32(m))
		return o, true
	}
	if o.count == MaxOverlay {
		return o, false
	}
	if o.count == len(o.keys) {
		o = o.grown()
		slot, _ = o.find(ih)
	}
	o.keys[o.count] = *ih
	o.count++
	slot.Store(uint32(o.count)*4 | uint32(m))
	return o, true
}

// grown returns a copy of o with twice the room.
func (o *overlay) grown() *overlay {
	g := newOverlay(2 * len(o.keys))
	for i := range o.keys[:o.count] {
		g.set(&o.keys[i], o.get(&o.keys[i]))
	}
	return g
}

// counts returns how many infohashes carry each mark.
func (o *overlay) counts() (adds, deletes int) {
	if o == nil {
		return 0, 0
	}
	for i := range o.slots {
		switch mark(o.slots[i].Load() % 4) {
		case added:
			adds++
		case deleted:
			deletes++
		}
	}
	return adds, deletes
}

// The build fails here if a full overlay's slots could overflow.
var _ = [1]struct{}{}[(MaxOverlay+1)*4>>32]
