package whitelist

import (
	"cmp"
	"encoding/binary"
	"slices"

	"tracker/proto"
)

// MaxHashes is how many infohashes one source may hold: twenty times the
// largest list anyone is known to serve, and few enough for 32-bit indexes.
const MaxHashes = 100_000_000

// hashesPerRun is how many hashes share one entry of the index, on average
// and at least. Eight keep the index below 3 % of the hashes, and a search
// inside a run within three cache lines.
const hashesPerRun = 8

// A Set is an immutable set of infohashes: all of them in one ascending array,
// and an index that says where each value of their top bits begins.
//
//	top bits of ih      first            hashes, 20 bytes each
//	     t ──────────►  first[t]   ────► 0a31… ┐
//	                    first[t+1] ──┐   0a3f… │ the run to search
//	                                 └─► 0b00… ┘
//
// A million hashes take 20.6 MB. Any number of goroutines may use a Set. A nil
// Set is empty.
type Set struct {
	hashes []proto.Infohash // ascending, each once
	first  []uint32         // first[t]: index of the first hash with top bits t or more
	shift  uint8            // 32 less the number of top bits
}

// newSet makes a Set of hashes, which it takes over, sorts in place and rids
// of duplicates.
func newSet(hashes []proto.Infohash) *Set {
	sortHashes(hashes, 0)
	hashes = slices.Compact(hashes)
	if cap(hashes)-len(hashes) > len(hashes)/16 {
		hashes = append(make([]proto.Infohash, 0, len(hashes)), hashes...)
	}
	bits := 0
	for len(hashes)>>bits >= 2*hashesPerRun {
		bits++
	}
	s := &Set{hashes: hashes, first: make([]uint32, 1<<bits+1), shift: uint8(32 - bits)}
	next := 0
	for i := range hashes {
		for top := s.top(&hashes[i]); next <= top; next++ {
			s.first[next] = uint32(i)
		}
	}
	for ; next < len(s.first); next++ {
		s.first[next] = uint32(len(hashes))
	}
	return s
}

// top returns the top bits of ih, an index into first.
func (s *Set) top(ih *proto.Infohash) int {
	return int(binary.BigEndian.Uint32(ih[:]) >> s.shift)
}

// Has reports whether ih is in s. It does not allocate. Whoever chose the
// hashes in s, it takes no more than log2(Len) steps.
func (s *Set) Has(ih *proto.Infohash) bool {
	if s.Len() == 0 {
		return false
	}
	top := s.top(ih)
	lo, hi := s.first[top], s.first[top+1]
	for lo < hi {
		mid := (lo + hi) / 2
		switch c := compare(&s.hashes[mid], ih); {
		case c == 0:
			return true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return false
}

// Len returns how many infohashes are in s.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.hashes)
}

// Size returns the bytes that s keeps in memory.
func (s *Set) Size() int {
	if s == nil {
		return 0
	}
	return cap(s.hashes)*len(proto.Infohash{}) + cap(s.first)*4
}

// equal reports whether s and o hold the same infohashes.
func (s *Set) equal(o *Set) bool {
	if s.Len() == 0 || o.Len() == 0 {
		return s.Len() == o.Len()
	}
	return slices.Equal(s.hashes, o.hashes)
}

// compare orders infohashes as bytes.Compare does, in three words.
func compare(a, b *proto.Infohash) int {
	if c := cmp.Compare(binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(b[:])); c != 0 {
		return c
	}
	if c := cmp.Compare(binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:])); c != 0 {
		return c
	}
	return cmp.Compare(binary.BigEndian.Uint32(a[16:]), binary.BigEndian.Uint32(b[16:]))
}

// radixMin is the shortest slice worth a pass of radix sort. For five million
// hashes, 24 to 64 cost the same 0.35 s of CPU time, 256 cost 1 s.
const radixMin = 64

// sortHashes sorts h, whose first depth bytes are all the same. It sorts in
// place, because a second copy is what a small machine lacks while it loads:
// the hashes are dealt into 256 piles by their next byte (American flag sort),
// then pile by pile. Five million take a ninth of what slices.SortFunc takes.
// Equal prefixes on purpose cost at most 20 passes.
func sortHashes(h []proto.Infohash, depth int) {
	if len(h) < radixMin || depth == len(proto.Infohash{}) {
		slices.SortFunc(h, func(a, b proto.Infohash) int { return compare(&a, &b) })
		return
	}
	var head, tail [256]int // of each pile: its next place to fill, its end
	for i := range h {
		tail[h[i][depth]]++
	}
	for b := 1; b < 256; b++ {
		head[b] = tail[b-1]
		tail[b] += tail[b-1]
	}
	for b := range head {
		for head[b] < tail[b] {
			at := head[b]
			for d := h[at][depth]; int(d) != b; d = h[at][depth] {
				h[at], h[head[d]] = h[head[d]], h[at]
				head[d]++
			}
			head[b]++
		}
	}
	start := 0
	for _, end := range tail {
		if end-start > 1 {
			sortHashes(h[start:end], depth+1)
		}
		start = end
	}
}
