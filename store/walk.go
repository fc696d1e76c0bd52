package store

import (
	"bytes"
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
	for i := range s.shards {
		sh := &s.shards[i]
		sh.walk(func(at ref) {
			sh.describe(at, now, &t)
			fn(&t)
		})
	}
}

// EachPeer calls fn with the compact form of every peer, in no particular
// order, on the same conditions.
func (s *Store) EachPeer(fn func(compact []byte)) {
	each := func(l list) {
		for i := range l.stamps {
			fn(l.peer(i))
		}
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.walk(func(at ref) {
			if at.class() != swarmRef {
				each(sh.record(at).list4())
				each(sh.record(at).list6())
				return
			}
			for set := range sh.swarms[at.index()].sets {
				v := sh.view(at.index(), set)
				for b := range v.dir {
					each(v.block(b))
				}
			}
		})
	}
}

// describe fills t with what a listing says of the torrent at at.
func (sh *shard) describe(at ref, now Minute, t *Torrent) {
	*t = Torrent{Infohash: *sh.infohash(at), Counts: sh.counts(at)}
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

// minBatch is the least number of torrents that Sorted keeps at once: 1 MB.
const minBatch = 1 << 14

// Sorted calls fn with all torrents in ascending order of their infohash, some
// at a time, until it returns false. The slice is fn's until it returns, and
// fn may take its time: no lock is held.
//
// What is sorted at once is a sixteenth of the torrents, or minBatch, so the
// memory it takes is some 4 bytes a torrent, and everything is looked at
// sixteen times at most. A torrent that comes or goes meanwhile may be missing
// or listed.
func (s *Store) Sorted(now Minute, fn func(batch []Torrent) bool) {
	n, _, _ := s.Totals()
	size := max(n/16, minBatch)
	batch := make([]Torrent, 0, min(n+n/8+16, 2*size))
	var last *proto.Infohash // of those handed over
	for {
		batch = s.smallest(now, last, batch[:0], size)
		if len(batch) == 0 || !fn(batch) {
			return
		}
		ih := batch[len(batch)-1].Infohash
		last = &ih
	}
}

// smallest returns the size smallest torrents above last, in order, in batch's
// memory and up to as much again.
func (s *Store) smallest(now Minute, last *proto.Infohash, batch []Torrent, size int) []Torrent {
	var limit *proto.Infohash // nothing above it is among the smallest
	cut := func() {
		slices.SortFunc(batch, func(a, b Torrent) int { return bytes.Compare(a.Infohash[:], b.Infohash[:]) })
		if len(batch) > size {
			batch = batch[:size]
			ih := batch[size-1].Infohash
			limit = &ih
		}
	}
	s.Each(now, func(t *Torrent) {
		if last != nil && bytes.Compare(t.Infohash[:], last[:]) <= 0 ||
			limit != nil && bytes.Compare(t.Infohash[:], limit[:]) > 0 {
			return
		}
		if batch = append(batch, *t); len(batch) >= 2*size {
			cut()
		}
	})
	cut()
	return batch
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
	switch {
	case at == 0:
		at = sh.addRecord(recordBytes(0, 0, true))
		if !sh.tab.add(uint32(h), at) {
			sh.records[at.class()].remove(at.index())
			return
		}
		sh.record(at).reset(ih, true)
	case at.class() == swarmRef:
		sw := sh.swarms[at.index()]
		sw.downloaded = max(sw.downloaded, downloaded)
		return
	default:
		r := sh.record(at)
		if r.tailed() {
			idle = min(idle, r.idle(now))
		}
		at = sh.refit(at, pos, recordBytes(r.n4(), r.n6(), true), true)
	}
	r := sh.record(at)
	r.setDownloaded(max(r.downloaded(), downloaded))
	r.use(now - idle)
}
