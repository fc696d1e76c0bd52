package cluster

import (
	"math/bits"
	"runtime"
	"sync"
)

// stops remembers who stopped when, so that an older renewal that comes late
// does not bring a peer back, and whoever came back since, so that an older stop
// does not remove it. It has a fixed size; in each set the oldest goes first.
//
//	keys   hash of the infohash and the peer, with the lowest bit set if it came back
//	times  when, in seconds
type stops struct {
	sync.Mutex
	keys  []uint64
	times []uint32
	salt  uint64 // odd; nobody outside can choose peers that meet in one set
}

const (
	// stopsLen is how many are remembered: at 500 stops a second, nine minutes.
	stopsLen = 1 << 18
	// stopsWays is how many are in a set.
	stopsWays = 8
	// stopsBytes is the memory that takes.
	stopsBytes = stopsLen * 12
)

func newStops(salt uint64) *stops {
	return &stops{keys: make([]uint64, stopsLen), times: make([]uint32, stopsLen), salt: salt | 1}
}

// set returns the first place of the set for a key.
func (s *stops) set(key uint64) int {
	hi, _ := bits.Mul64(key*s.salt, uint64(len(s.keys)/stopsWays))
	return int(hi) * stopsWays
}

// find returns the place of a key, or -1.
func (s *stops) find(key uint64) int {
	first := s.set(key)
	for i, k := range s.keys[first : first+stopsWays] {
		if (k^key)&^1 == 0 && s.times[first+i] != 0 {
			return first + i
		}
	}
	return -1
}

// touch has the sets of keys brought into the cache, all at the same time.
func (s *stops) touch(keys []uint64) {
	var sum uint64
	for _, key := range keys {
		sum += s.keys[s.set(key)]
	}
	runtime.KeepAlive(sum)
}

// stopped notes that a peer stopped at when, and reports whether nothing newer
// is known of it.
func (s *stops) stopped(key uint64, when uint32) bool {
	if i := s.find(key); i >= 0 {
		if s.times[i] > when {
			return false
		}
		s.keys[i], s.times[i] = key&^1, when
		return true
	}
	oldest := s.set(key)
	for i := oldest + 1; i < s.set(key)+stopsWays; i++ {
		if s.times[i] < s.times[oldest] {
			oldest = i
		}
	}
	s.keys[oldest], s.times[oldest] = key&^1, when
	return true
}

// heard notes that a peer was heard of at when. If it stopped after that, it
// returns when.
func (s *stops) heard(key uint64, when uint32) (stopped uint32) {
	i := s.find(key)
	if i < 0 {
		return 0
	}
	if back := s.keys[i]&1 != 0; s.times[i] > when {
		if back {
			return 0
		}
		return s.times[i]
	}
	s.keys[i], s.times[i] = key|1, when
	return 0
}

// forgetFuture makes what is later than now of now.
func (s *stops) forgetFuture(now uint32) {
	s.Lock()
	defer s.Unlock()
	for i, t := range s.times {
		s.times[i] = min(t, now)
	}
}

// since returns when a peer that came back did, to the second, or 0.
func (s *stops) since(key uint64) uint32 {
	if i := s.find(key); i >= 0 && s.keys[i]&1 != 0 {
		return s.times[i]
	}
	return 0
}
