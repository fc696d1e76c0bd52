package store

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"

	"tracker/proto"
)

// Sizes of blocks. 133 bytes hold 19 IPv4 peers with their stamps or 7 IPv6
// ones, and not a byte is left over.
const (
	blockUnit    = 133
	blockClasses = 24 // a block has 1 to 24 units: up to 456 or 168 peers
	blockOwner   = 4  // bytes before the peers that say whose block it is

	// spreadBlocks is how many neighbours a full block of the largest size
	// shares its peers with before there is one more block. More of them
	// means fuller blocks and more bytes to move: 64 are some 200 kB.
	spreadBlocks = 64
)

// A set is the peers of a large swarm that are of one family and all leechers
// or all seeders. They are in ascending order of their key, a secret hash of
// their compact form, cut into blocks:
//
//	dir  [low, at, n] [low, at, n] [low, at, n]      low: least key there may be
//	       |            |            |
//	     block        block        block             wire n × width, stamps n
//
// A peer is found by a binary search in dir for its block and an
// interpolation within: keys are evenly spread, so the guess is off by some
// ten peers. A full block grows by one unit. The largest size cannot; then it
// and its neighbours share what they have evenly, and only if those are full
// too there is one more block. So a set's blocks are nearly full at every
// number of peers, and no insertion moves more than spreadBlocks blocks.
type set struct {
	n       int // peers
	private int // those of them with private addresses
	dir     []blockRef
}

type blockRef struct {
	low   uint64
	at    uint32 // number in its pool
	n     uint16 // peers
	class uint8  // units - 1, which is the number of its pool
}

// blockCap returns how many peers of width bytes fit into a block of class c.
func blockCap(c uint8, width int) int {
	if width == proto.Peer4Len { // a division by a constant is none
		return (int(c) + 1) * (blockUnit / (proto.Peer4Len + 1))
	}
	return (int(c) + 1) * (blockUnit / (proto.Peer6Len + 1))
}

// blockClass returns the smallest class for n peers of width bytes.
func blockClass(n, width int) uint8 {
	return uint8((n*(width+1)+blockUnit-1)/blockUnit - 1)
}

// Keys order the peers of a set. A secret and two rounds of multiplication make
// neighbours unguessable; IPv4 keys are even free of collisions. Two IPv6 peers
// with one key, of which some 2³² would be needed, could at worst both be kept
// twice, until they expire.

func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

func (s *secrets) key(c []byte) uint64 {
	if s.byAddress {
		return s.addressKey(c)
	}
	if len(c) == 6 {
		return mix(s.peer[0] ^ (uint64(binary.LittleEndian.Uint32(c)) | uint64(binary.LittleEndian.Uint16(c[4:]))<<32))
	}
	x := mix(s.peer[0] ^ binary.LittleEndian.Uint64(c))
	x = mix(x + s.peer[1] ^ binary.LittleEndian.Uint64(c[8:]))
	return mix(x + s.peer[2] ^ uint64(binary.LittleEndian.Uint16(c[16:])))
}

// portBits are those of a key that tell an address's peers apart, if peers are
// in the order of their addresses.
const portBits = 1<<16 - 1

// addressKey is key with all but portBits from the address alone. A limit of
// ports keeps those with one address so few that keys are still evenly spread.
func (s *secrets) addressKey(c []byte) uint64 {
	if len(c) == 6 {
		x := mix(s.peer[0] ^ uint64(binary.LittleEndian.Uint32(c)))
		return x ^ uint64(binary.LittleEndian.Uint16(c[4:]))
	}
	x := mix(s.peer[0] ^ binary.LittleEndian.Uint64(c))
	y := mix(x + s.peer[1] ^ binary.LittleEndian.Uint64(c[8:]))
	y = mix(y + s.peer[2] ^ uint64(binary.LittleEndian.Uint16(c[16:])))
	return x&^portBits | y&portBits
}

// A setView is a set together with what is needed to reach its blocks. It is
// made for one operation, under the shard's lock.
type setView struct {
	*set
	sh    *shard
	width int
	owner uint32 // what its blocks say they belong to
}

// number returns which of its swarm's sets v is.
func (v *setView) number() int { return int(v.owner & 3) }

// block returns the peers of block b, with room for cap(stamps) in all.
func (v *setView) block(b int) list {
	r := &v.dir[b]
	n, room := int(r.n), blockCap(r.class, v.width)
	mem := v.sh.blocks[r.class].at(r.at)[blockOwner:]
	return list{mem[:v.width*n], mem[v.width*room:][:n:room], v.width}
}

// resize makes block b hold n peers, of which those in both the old and the
// new number stay, in a block of class class. It reports whether there is
// memory for that; if not, nothing has changed.
func (v *setView) resize(b, n int, class uint8, u urgency) bool {
	r := &v.dir[b]
	if class != r.class {
		old := v.block(b)
		was := *r
		at, ok := v.sh.addBlock(class, v.owner, u)
		if !ok {
			return false
		}
		*r = blockRef{low: was.low, at: at, n: uint16(min(n, int(was.n))), class: class}
		to := v.block(b)
		copy(to.wire, old.wire)
		copy(to.stamps, old.stamps)
		v.sh.removeBlock(was.class, was.at)
	}
	v.dir[b].n = uint16(n)
	return true
}

// near is how far from where it is guessed to be a peer is looked for by its
// compact form, which costs less than hashing its neighbours. It is twice the
// standard deviation of the guess.
const near = 16

// find returns the place of the peer with this key and compact form: its block
// and its index there, or where it would have to be.
func (v *setView) find(key uint64, c []byte) (b, i int, ok bool) {
	if len(v.dir) == 0 {
		return 0, 0, false
	}
	b = v.blockOf(key)
	l := v.block(b)
	i = v.guess(b, key)
	lo, hi := max(0, i-near), min(l.len(), i+near)
	around := list{wire: l.wire[lo*v.width : hi*v.width], width: v.width}
	if k := around.find(c); k >= 0 {
		return b, lo + k, true
	}
	for i > 0 && v.sh.secret.key(l.peer(i-1)) >= key {
		i--
	}
	for ; i < l.len(); i++ {
		switch k := v.sh.secret.key(l.peer(i)); {
		case k > key:
			return b, i, false
		case k == key && string(l.peer(i)) == string(c):
			return b, i, true
		}
	}
	return b, i, false
}

// blockOf returns the block in which key belongs. There must be one.
func (v *setView) blockOf(key uint64) int {
	lo, hi := 0, len(v.dir) // dir[lo].low <= key < dir[hi].low
	for hi-lo > 1 {
		if mid := int(uint(lo+hi) >> 1); v.dir[mid].low <= key {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// guess returns about how many peers of block b have smaller keys.
func (v *setView) guess(b int, key uint64) int {
	low, high := v.dir[b].low, uint64(1<<64-1)
	if b+1 < len(v.dir) {
		high = v.dir[b+1].low
	}
	span := (high-low)>>32 + 1
	return int((key - low) >> 32 * uint64(v.dir[b].n) / span)
}

// lower returns how many peers of block b have keys below key.
func (v *setView) lower(b int, key uint64) int {
	l := v.block(b)
	return sort.Search(l.len(), func(i int) bool { return v.sh.secret.key(l.peer(i)) >= key })
}

// insert adds a peer that is not in the set and returns its place: its block
// and its index there. It reports whether there is memory for it; if not, the
// peers are those that there were.
func (v *setView) insert(c []byte, stamp byte, u urgency) (b, i int, ok bool) {
	key := v.sh.secret.key(c)
	if len(v.dir) == 0 {
		at, ok := v.sh.addBlock(0, v.owner, u)
		if !ok {
			return 0, 0, false
		}
		v.dir = append(v.dir, blockRef{at: at})
	}
	b, i, _ = v.find(key, c)
	if r := v.dir[b]; int(r.n) == blockCap(r.class, v.width) {
		if r.class+1 < blockClasses {
			ok = v.resize(b, int(r.n), r.class+1, u)
		} else if ok = v.spread(b, u); ok {
			b, i, _ = v.find(key, c)
		}
		if !ok {
			return 0, 0, false
		}
	}
	v.dir[b].n++
	l := v.block(b)
	copy(l.wire[v.width*(i+1):], l.wire[v.width*i:v.width*(l.len()-1)])
	copy(l.stamps[i+1:], l.stamps[i:])
	l.put(i, c, stamp)
	v.n++
	v.countPrivate(c, 1)
	return b, i, true
}

// countPrivate counts by more private peers if c is one.
func (v *setView) countPrivate(c []byte, by int) {
	if private(c) {
		v.private += by
	}
}

// remove removes peer i of block b.
func (v *setView) remove(b, i int) {
	l := v.block(b)
	v.countPrivate(l.peer(i), -1)
	copy(l.wire[v.width*i:], l.wire[v.width*(i+1):])
	copy(l.stamps[i:], l.stamps[i+1:])
	v.dir[b].n--
	v.n--
	v.tidy(b)
}

// tidy gives back what block b no longer needs: the block if it is empty, one
// of two neighbours that fit into one, or units of the block. If there is no
// memory for what is smaller, beside the larger, that waits.
func (v *setView) tidy(b int) {
	r := v.dir[b]
	full := blockCap(blockClasses-1, v.width)
	switch n := int(r.n); {
	case n == 0:
		v.sh.removeBlock(r.class, r.at)
		v.dir = slices.Delete(v.dir, b, b+1)
		if b == 0 && len(v.dir) > 0 {
			v.dir[0].low = 0
		}
	case b+1 < len(v.dir) && n+int(v.dir[b+1].n) <= full*3/4:
		v.merge(b)
	case b > 0 && n+int(v.dir[b-1].n) <= full*3/4:
		v.merge(b - 1)
	case blockCap(r.class, v.width)-n >= 2*blockCap(0, v.width):
		v.resize(b, n, blockClass(n+blockCap(0, v.width)/2, v.width), duty)
	}
}

// merge moves the peers of block b+1 to block b, if there is memory.
func (v *setView) merge(b int) {
	n, more := int(v.dir[b].n), int(v.dir[b+1].n)
	if class := blockClass(n+more, v.width); class > v.dir[b].class && !v.resize(b, n, class, duty) {
		return
	}
	v.dir[b].n = uint16(n + more)
	to, from := v.block(b), v.block(b+1)
	copy(to.wire[v.width*n:], from.wire)
	copy(to.stamps[n:], from.stamps)
	v.sh.removeBlock(v.dir[b+1].class, v.dir[b+1].at)
	v.dir = slices.Delete(v.dir, b+1, b+2)
}

// spread makes room in block b, which is full and of the largest size: it and
// some neighbours share their peers evenly, and if they are all nearly full
// they get one more block. It reports whether there is memory for that.
func (v *setView) spread(b int, u urgency) bool {
	full := blockCap(blockClasses-1, v.width)
	for w := 4; ; w *= 2 {
		lo := max(0, min(b-w/2, len(v.dir)-w))
		hi := min(lo+w, len(v.dir))
		n := 0
		for _, r := range v.dir[lo:hi] {
			n += int(r.n)
		}
		free := full*(hi-lo) - n
		most := w >= spreadBlocks || hi-lo == len(v.dir)
		switch {
		case free >= 2*(hi-lo), most && free >= hi-lo:
			return v.share(lo, hi, hi-lo, n, u)
		case most:
			return v.share(lo, hi, hi-lo+1, n, u)
		}
	}
}

// share divides the n peers of the blocks lo to hi evenly among count blocks of
// one size, which replace them. It reports whether there is memory for that; if
// not, nothing has changed.
func (v *setView) share(lo, hi, count, n int, u urgency) bool {
	class := min(blockClass((n+count-1)/count+blockCap(0, v.width)/2, v.width), blockClasses-1)
	need := count
	for _, r := range v.dir[lo:hi] {
		if r.class == class {
			need--
		}
	}
	p := &v.sh.blocks[class]
	if !p.reserve(need, v.sh.budget, u) && !(u == duty && v.sh.scrapeUp() && p.reserve(need, v.sh.budget, u)) {
		return false
	}
	s := v.sh.scratch
	s.Lock()
	defer s.Unlock()
	wire, stamps := v.gather(s, lo, hi)
	for ; hi-lo < count; hi++ {
		if len(v.dir) == cap(v.dir) {
			v.dir = slices.Grow(v.dir, len(v.dir)+1) // append's quarters leave more garbage
		}
		at, _ := v.sh.addBlock(class, v.owner, u) // was reserved, as those below are
		v.dir = slices.Insert(v.dir, hi, blockRef{at: at, class: class, low: v.dir[hi-1].low})
	}
	for i := range count {
		from, to := n*i/count, n*(i+1)/count
		b := lo + i
		v.resize(b, to-from, class, u)
		l := v.block(b)
		copy(l.wire, wire[v.width*from:])
		copy(l.stamps, stamps[from:])
		if i > 0 {
			v.dir[b].low = v.sh.secret.key(l.peer(0))
		}
	}
	return true
}

// gather copies the peers of the blocks lo to hi to s, which is locked.
func (v *setView) gather(s *scratch, lo, hi int) (wire, stamps []byte) {
	if s.wire == nil {
		most := (spreadBlocks + 1) * blockClasses * blockUnit
		s.wire, s.stamps = make([]byte, 0, most), make([]byte, 0, most/proto.Peer4Len)
	}
	wire, stamps = s.wire[:0], s.stamps[:0]
	for b := lo; b < hi; b++ {
		l := v.block(b)
		wire, stamps = append(wire, l.wire...), append(stamps, l.stamps...)
	}
	return wire, stamps
}

// expireBlock removes the peers of block b that are expire minutes old or
// older at now, without giving back any memory, and returns how many.
func (v *setView) expireBlock(b int, now, expire Minute) (removed int) {
	l := v.block(b)
	to := 0
	for i, stamp := range l.stamps {
		if stampAge(stamp, now) < expire {
			l.move(to, i)
			to++
		} else {
			v.countPrivate(l.peer(i), -1)
		}
	}
	removed = l.len() - to
	v.dir[b].n = uint16(to)
	v.n -= removed
	return removed
}

// release gives back all blocks.
func (v *setView) release() {
	for len(v.dir) > 0 {
		r := v.dir[len(v.dir)-1]
		v.dir = v.dir[:len(v.dir)-1]
		v.sh.removeBlock(r.class, r.at)
	}
	*v.set = set{}
}

// fromSet appends want peers of the set to dst, in a run from a random one.
func (ch *chooser) fromSet(dst []byte, v *setView, want int) []byte {
	if want <= 0 || v.n == 0 {
		return dst
	}
	ch.hide = ch.public && v.private > 0
	b, i := ch.start(v)
	for left := min(v.n, want+maxSkip); left > 0 && want > 0; {
		l := v.block(b)
		ch.enter(v.number(), b)
		end := min(l.len(), i+left)
		dst, want = ch.take(dst, &l, i, end, want)
		left -= end - i
		if b, i = b+1, 0; b == len(v.dir) {
			b = 0
		}
	}
	return dst
}

// start returns the place of a random peer that the asker may see: a random
// block and a random place in it, until there is one.
func (ch *chooser) start(v *setView) (b, i int) {
	most := 0
	if len(v.dir) > 2 {
		most = blockCap(blockClasses-1, v.width)
	} else {
		for _, r := range v.dir {
			most = max(most, int(r.n))
		}
	}
	for range maxSkip {
		x := ch.rnd.Uint64()
		hi, _ := bits.Mul64(x<<32, uint64(len(v.dir)))
		b = int(hi)
		i = int(x >> 32 * uint64(most) >> 32)
		if i < int(v.dir[b].n) {
			var l list // looked at only if something is hidden
			if ch.hide {
				l = v.block(b)
			}
			if ch.enter(v.number(), b); ch.sees(&l, i) {
				return b, i
			}
		}
	}
	return b, 0
}
