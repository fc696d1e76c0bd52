package store

// A slot of a table is 8 bytes: the upper half is 32 bits of a torrent's hash,
// the lower half says where the torrent is. An empty slot is 0.
type slot uint64

func makeSlot(hash uint32, at ref) slot { return slot(hash)<<32 | slot(at) }

func (s slot) hash() uint32 { return uint32(s >> 32) }
func (s slot) ref() ref     { return ref(s) }

// Limits of a table.
const (
	minTableLen = 441 // slots of the first table: with its tail, one page
	// A table grows by an eighth when 9 of 10 slots are taken, so between 8
	// and 9 of 10 slots are in use at every size, and growing never needs
	// more than a shard's own table a second time. The first one is made with
	// the first torrent.
	maxLoadNum, maxLoadDen = 9, 10
	// maxProbe bounds the slots one insertion looks at or moves. With a
	// secret hash runs stay below a few hundred; a longer one is an attack
	// or a broken machine, and the torrent is served but not remembered.
	maxProbe = 8192
)

// A table finds torrents by 32 bits of their hash. It is open-addressed with
// linear probing, and its slots are in ascending order of the hash: a hash's
// first slot is its share of the table's length (hash × length / 2³²), and a
// search walks right from there until it meets a larger hash or an empty
// slot, about 5 slots at the highest load. The order makes a miss as cheap as
// a hit, and makes growing one pass over old and new memory from left to
// right, without looking at any torrent. Any length will do, so a table can
// grow by small factors. Removing shifts later slots back instead of leaving a
// tombstone.
//
// The last slots, behind the length that hashes are spread over, take the run
// that overflows there; nothing wraps around.
type table struct {
	slots words
	home  uint32 // how many slots the hashes are spread over
	n     uint32 // slots taken
	mem   *arena
}

// first returns the first slot to probe for hash.
func (t *table) first(hash uint32) int { return int(uint64(hash) * uint64(t.home) >> 32) }

// next returns the position of the first slot at or after pos whose hash is
// hash, or -1 if there is none.
func (t *table) next(hash uint32, pos int) int {
	for ; pos < len(t.slots); pos++ {
		switch s := slot(t.slots[pos]); {
		case s == 0 || s.hash() > hash:
			return -1
		case s.hash() == hash:
			return pos
		}
	}
	return -1
}

// set changes where the torrent in the slot at pos is.
func (t *table) set(pos int, at ref) { t.slots[pos] = uint64(makeSlot(slot(t.slots[pos]).hash(), at)) }

// add puts a torrent into the table, which must not hold it. It reports false
// if that would take more than maxProbe steps, or memory that there is not.
func (t *table) add(hash uint32, at ref, b *budget) bool {
	if uint64(t.n+1)*maxLoadDen > uint64(t.home)*maxLoadNum && !t.resize(max(t.home+t.home/8, minTableLen), b, wish) {
		return false
	}
	for {
		if ok, full := t.place(makeSlot(hash, at)); !full {
			return ok
		}
		if !t.resize(t.home+t.home/8, b, wish) { // the tail is full
			return false
		}
	}
}

// place stores s. If the run of s reaches the end of the table it stores
// nothing and reports full.
func (t *table) place(s slot) (ok, full bool) {
	pos := t.first(s.hash())
	for limit := pos + maxProbe; pos < len(t.slots) && t.slots[pos] != 0 && slot(t.slots[pos]).hash() <= s.hash(); pos++ {
		if pos == limit {
			return false, false
		}
	}
	end := pos
	for limit := pos + maxProbe; end < len(t.slots) && t.slots[end] != 0; end++ {
		if end == limit {
			return false, false
		}
	}
	if end >= len(t.slots) {
		return false, true
	}
	copy(t.slots[pos+1:end+1], t.slots[pos:end])
	t.slots[pos] = uint64(s)
	t.n++
	return true, false
}

// remove empties the slot at pos and shifts those behind it back, as far as
// each may go.
func (t *table) remove(pos int) {
	end := pos + 1
	for end < len(t.slots) && t.slots[end] != 0 && t.first(slot(t.slots[end]).hash()) < end {
		end++
	}
	copy(t.slots[pos:end-1], t.slots[pos+1:end])
	t.slots[end-1] = 0
	t.n--
}

// trim gives memory back when most of the table is empty.
func (t *table) trim(b *budget) {
	if want := t.n + t.n/4; want < t.home/2 && t.home > minTableLen {
		t.resize(max(want, minTableLen), b, duty) // or stays as it is until the next time
	}
}

// resize moves everything to new memory with the hashes spread over home
// slots, or reports that there is no memory for it while there is the old.
func (t *table) resize(home uint32, b *budget, u urgency) bool {
	old := *t
	for tail := home/64 + 64; ; tail *= 2 {
		n := int(home + tail)
		if !b.take(wordsLen(n), u) {
			break
		}
		if t.slots, t.home = t.mem.mapWords(n), home; t.slots == nil {
			b.give(wordsLen(n))
			break
		}
		if t.refill(old.slots) {
			old.release(b)
			return true
		}
		t.release(b) // a run longer than the tail; never seen
	}
	*t = old
	return false
}

// release gives the table's memory back.
func (t *table) release(b *budget) {
	if len(t.slots) > 0 {
		b.give(wordsLen(len(t.slots)))
		t.mem.unmapWords(t.slots)
	}
}

// wordsLen returns how many bytes of pages n slots take.
func wordsLen(n int) int { return roundToPage(8 * n) }

// refill puts the slots of old, which are in order, into the empty table. It
// reports false if they do not fit into the tail.
func (t *table) refill(old words) bool {
	free := 0 // first slot behind the last one taken
	for _, s := range old {
		if s == 0 {
			continue
		}
		pos := max(t.first(slot(s).hash()), free)
		if pos >= len(t.slots) {
			return false
		}
		t.slots[pos] = s
		free = pos + 1
	}
	return true
}
