package store

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"tracker/proto"
)

// A Torrent is what a listing says of one torrent.
type Torrent struct {
	Infohash proto.Infohash
	Counts   proto.Counts
	Idle     Minute // since a peer was last heard of
}

// walkStep is how many torrents are looked at under one lock.
const walkStep = 128

// walk calls fn for the place of every torrent of the shard, in the order of
// the table, which nothing changes: what is there from beginning to end is met
// once. fn is called under the shard's lock, which is let go now and then.
func (sh *shard) walk(fn func(at ref)) {
	for hash, more := uint32(0), true; more; {
		sh.Lock()
		hash, more = sh.walkFrom(hash, fn)
		sh.Unlock()
	}
}

// walkFrom calls fn for some torrents whose hash is at least hash, all those
// with the same hash among them, and returns from where to go on, if there are
// more.
func (sh *shard) walkFrom(hash uint32, fn func(at ref)) (next uint32, more bool) {
	met := 0
	for pos := sh.tab.first(hash); pos < len(sh.tab.slots); pos++ {
		s := slot(sh.tab.slots[pos])
		switch {
		case s == 0 || s.hash() < hash:
			continue
		case met >= walkStep && s.hash() != next:
			return s.hash(), true
		}
		fn(s.ref())
		next = s.hash()
		met++
	}
	return 0, false
}

// Each calls fn for every torrent, in no particular order. fn must be quick and
// must not call the store: announces wait for it.
func (s *Store) Each(now Minute, fn func(t *Torrent)) {
	var t Torrent
	s.each(func(sh *shard, at ref) {
		sh.describe(at, now, &t)
		fn(&t)
	})
}

// each calls fn for the place of every torrent, under its shard's lock.
func (s *Store) each(fn func(sh *shard, at ref)) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.walk(func(at ref) { fn(sh, at) })
	}
}

// EachPeer calls fn with the compact form of every peer, in no particular
// order, without a lock. What comes or goes meanwhile may be missing or met
// twice.
func (s *Store) EachPeer(fn func(compact []byte)) {
	var w peerWalk
	for i := range s.shards {
		sh := &s.shards[i]
		w.large = w.large[:0]
		for hash, more := uint32(0), true; more; {
			sh.Lock()
			hash, more = sh.walkFrom(hash, func(at ref) { w.record(sh, at) })
			sh.Unlock()
			w.tell(fn)
		}
		for _, ih := range w.large {
			for set := range 4 {
				for key, more := uint64(0), true; more; {
					sh.Lock()
					key, more = w.blocks(sh, &ih, set, key)
					sh.Unlock()
					w.tell(fn)
				}
			}
		}
	}
}

// A peerWalk copies peers under a shard's lock, to look at them without it.
type peerWalk struct {
	wire  [2][]byte // IPv4 and IPv6
	large []proto.Infohash
}

// record copies the peers of the torrent at at, or notes that it is large.
func (w *peerWalk) record(sh *shard, at ref) {
	if at.class() == swarmRef {
		w.large = append(w.large, sh.swarms[at.index()].infohash)
		return
	}
	r := sh.record(at)
	w.wire[0] = append(w.wire[0], r.list4().wire...)
	w.wire[1] = append(w.wire[1], r.list6().wire...)
}

// blocks copies the peers of some blocks of a large torrent's set, from key on,
// and returns from where to go on, if there are more.
func (w *peerWalk) blocks(sh *shard, ih *proto.Infohash, set int, key uint64) (next uint64, more bool) {
	at, _ := sh.find(sh.secret.tableHash(ih), ih)
	if at.class() != swarmRef { // gone, or small by now
		return 0, false
	}
	v := sh.view(at.index(), set)
	if len(v.dir) == 0 {
		return 0, false
	}
	b := v.blockOf(key)
	for end := b + sweepBlocks; b < len(v.dir); b++ {
		if b == end {
			return v.dir[b].low, true
		}
		w.wire[set/2] = append(w.wire[set/2], v.block(b).wire...)
	}
	return 0, false
}

// tell calls fn with what was copied.
func (w *peerWalk) tell(fn func(compact []byte)) {
	for i, width := range [...]int{proto.Peer4Len, proto.Peer6Len} {
		for wire := w.wire[i]; len(wire) > 0; wire = wire[width:] {
			fn(wire[:width])
		}
		w.wire[i] = w.wire[i][:0]
	}
}

// describe fills t with what a listing says of the torrent at at.
func (sh *shard) describe(at ref, now Minute, t *Torrent) {
	*t = Torrent{Infohash: *sh.infohash(at), Counts: sh.counts(at, sh.crowd(at))}
	if at.class() == swarmRef {
		return // somebody announces to a large swarm all the time
	}
	r := sh.record(at)
	if r.n4()+r.n6() == 0 {
		t.Idle = r.idle(now)
		return
	}
	t.Idle = stampMinutes
	for _, l := range [...]list{r.list4(), r.list6()} {
		for _, stamp := range l.stamps {
			t.Idle = min(t.Idle, stampAge(stamp, now))
		}
	}
}

// Bounds of how many torrents Sorted keeps after each look at all, in up to
// twice the memory: 1 and 19 MB, and where memory is short 0.6 MB.
const (
	minBatch   = 1 << 14
	maxBatch   = 1 << 18
	shortBatch = 1 << 13
)

// batchLen returns how many of n torrents Sorted keeps after each look at all.
// A batch takes no more than a sixteenth of what the budget has left: others may
// be at it as well, and what is counted here is counted nowhere else.
func (s *Store) batchLen(n int) int {
	const torrentLen = 20 + 3*4 + 4 // of a Torrent, in bytes
	room := (s.budget.most.Load() - s.budget.used.Load()) / (16 * 2 * torrentLen)
	return int(max(min(int64(max(n/16, minBatch)), maxBatch, room), shortBatch))
}

// Sorted calls fn with all torrents in ascending order of their infohash, some
// at a time, until it returns false. The slice is fn's until it returns, and
// fn may take its time: no lock is held.
//
// What is sorted at once is a sixteenth of the torrents or a bit more, within
// bounds, so the memory it takes is some 4 bytes a torrent, and up to 4 million
// of them are looked at eleven times, or more often if memory is short. A torrent
// that comes or goes meanwhile may be missing or listed.
func (s *Store) Sorted(now Minute, fn func(batch []Torrent) bool) {
	n, _, _ := s.Totals()
	size := s.batchLen(n)
	batch := make([]Torrent, 0, min(n+n/8+16, 2*size))
	var last, limit *proto.Infohash
	for more := true; more; last = limit {
		limit = ahead(last, size+size/2, n)
		batch, limit = s.smallest(now, last, limit, batch[:0], size)
		more = (len(batch) == 0 || fn(batch)) && limit != nil
	}
}

// ahead returns the infohash that is about size ahead of last, if n of them are
// evenly spread, or nil if that is the end. As a rule they are, because they are
// hashes; where they are not, batches are smaller and more.
func ahead(last *proto.Infohash, size, n int) *proto.Infohash {
	var ih proto.Infohash
	if last != nil {
		ih = *last
	}
	high, step := binary.BigEndian.Uint64(ih[:]), math.MaxUint64/uint64(max(n, 1))
	if size >= n || high+step*uint64(size) < high {
		return nil
	}
	binary.BigEndian.PutUint64(ih[:], high+step*uint64(size))
	return &ih
}

// smallest returns the torrents above last and up to limit, where nil is no
// bound, in order, in batch's memory and up to as much again. If these are more
// than twice size, they are at least the size smallest. It returns with them
// up to where they are all.
func (s *Store) smallest(now Minute, last, limit *proto.Infohash, batch []Torrent, size int) ([]Torrent, *proto.Infohash) {
	order := func(a, b Torrent) int { return bytes.Compare(a.Infohash[:], b.Infohash[:]) }
	s.each(func(sh *shard, at ref) {
		// Nearly all are none of them, so they are looked at no further.
		if ih := sh.infohash(at); last != nil && bytes.Compare(ih[:], last[:]) <= 0 ||
			limit != nil && bytes.Compare(ih[:], limit[:]) > 0 {
			return
		}
		batch = append(batch, Torrent{})
		if sh.describe(at, now, &batch[len(batch)-1]); len(batch) >= 2*size {
			slices.SortFunc(batch, order)
			batch = batch[:size]
			ih := batch[size-1].Infohash
			limit = &ih
		}
	})
	slices.SortFunc(batch, order)
	return batch, limit
}

// Load makes a torrent known that has no peers, was downloaded so many times
// and last used idle minutes ago, from a state file. A torrent that is known
// keeps what it has, and the larger count.
func (s *Store) Load(ih *proto.Infohash, downloaded uint32, idle, now Minute) {
	if downloaded == 0 || idle > keepCount {
		return
	}
	h := s.secret.hash(ih)
	sh := &s.shards[h>>s.shift]
	sh.Lock()
	defer sh.Unlock()
	at, pos := sh.find(uint32(h), ih)
	if at == 0 {
		if at, pos = sh.addEmpty(uint32(h), ih, recordBytes(0, 0, true), true); at == 0 {
			return
		}
		sh.record(at).use(now - idle)
	}
	sh.credit(at, pos, downloaded, idle, now)
}

// credit notes that the torrent at at, in the table at pos, was downloaded at
// least so many times and last used idle minutes ago or later, if there is
// memory for that. It returns where the torrent is afterwards.
func (sh *shard) credit(at ref, pos int, downloaded uint32, idle, now Minute) ref {
	if at.class() == swarmRef {
		sw := sh.swarms[at.index()]
		sw.downloaded = max(sw.downloaded, downloaded)
		return at
	}
	r := sh.record(at)
	if r.tailed() {
		idle = min(idle, r.idle(now))
	}
	ok := false
	if n := max(len(r), recordBytes(r.n4(), r.n6(), true)); n > maxRecord {
		if at, ok = sh.enlarge(at, pos, wish); ok {
			return sh.credit(at, pos, downloaded, idle, now)
		}
	} else {
		at, ok = sh.refit(at, pos, n, true, wish)
	}
	if !ok {
		return at
	}
	r = sh.record(at)
	r.setDownloaded(max(r.downloaded(), downloaded))
	r.use(now - idle)
	return at
}
