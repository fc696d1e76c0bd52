// Package store remembers who is in which swarm.
//
// # Layout
//
// A [Store] is a power-of-two number of shards. The top bits of an infohash's
// hash choose the shard, its lower half a place in that shard's table, so the
// two never correlate. A shard owns everything below it and has one lock.
//
//	hash(infohash) = ssss............................tttttttttttttttttttttttttttttttt
//	                 |                               |
//	                 shard                           first slot to probe
//
//	shard ── table ── record   a torrent with up to some 76 peers, in one piece
//	              └── swarm ── set ── block   a large one: its peers by family
//	                                          and state, some hundred to a block
//
// Most swarms have one or two peers, so bytes per torrent decide: a torrent
// with one IPv4 peer takes 29 bytes of record and 9 of table. A peer is its
// 6 or 18 compact bytes and one more, which holds the minute it was last heard
// of and whether it is a seeder.
//
// Records of one length lie in a pool, as do blocks: a dense array outside the
// Go heap, in which the last item takes the place of one that is removed. What
// is free is therefore always at the end, and is given back to the system at
// once. Tables grow by an eighth and sets by a block, never by doubling, so
// the figures hold at every size, and no step needs twice the memory.
//
// # Secrets
//
// Clients choose infohashes, addresses and ports. Where something is kept
// depends on a hash with a secret of this process, and what one long probe may
// cost is bounded all the same.
//
// # Who is handed out
//
// Every peer of a family that the asker may see is equally likely: never the
// asker, no seeder for a seeder, and private addresses only for private askers,
// unless [Options] say otherwise, as they can that neighbours are to come first.
// See chooser. How many of each family there are is decided as opentracker
// does, which keeps a small family from drowning in a large one; see shares.
//
// # Time
//
// Nothing here reads a clock. Callers pass the current [Minute]. What has
// expired is forgotten by a sweep, in steps that each lock a shard for some
// ten microseconds; a small torrent is also looked after when it is announced
// to. The longest that one request can wait for another is when a shard's table
// grows: one pass over it, some 7 ns a torrent.
//
// # Limits
//
// All memory outside the Go heap is counted, by the page, and taken out of a
// budget: see budget.go. What cannot be had, from the budget or the system, is
// never an error. Who is new is not stored and answered all the same; who is
// known is renewed where it is; what would be smaller stays as large as it was.
//
// # Snapshots
//
// Everything there is can be written to a stream and loaded from it by another
// process, with other secrets and at another minute, while announces go on. The
// format is told in snapshot.go.
//
// Or another process goes on with the memory itself; see adopt.go.
//
// # Locks
//
// A call holds one shard's lock, and under it at most that of the scratch
// buffer. No lock is held across a call out of this package.
package store

import (
	"crypto/rand"
	"encoding/binary"
	"runtime"

	"github.com/cespare/xxhash/v2"

	"tracker/proto"
)

// Minute counts minutes of the monotonic boot clock. Only differences matter.
type Minute uint32

// Bounds of Options.Expire, and what it is if nobody says.
const (
	MinExpire     Minute = 45
	MaxExpire     Minute = 127
	DefaultExpire Minute = 50
)

// Query is one announce as the store sees it.
type Query struct {
	Infohash proto.Infohash
	Peer     proto.Peer  // who asks; its address decides which peers it may see. Not the zero Peer
	Event    proto.Event // stopped removes the peer and hands out none
	Seeder   bool        // has everything, and is given leechers only
	Both     bool        // hand out both families, as HTTP can, not only the asker's
	NumWant  int         // most peers to hand out
}

// completes reports whether q finishes a download: the peer says so, has
// everything, and was not known to have it before.
func (q *Query) completes(a *Answer) bool {
	return q.Event == proto.EventCompleted && q.Seeder && !(a.Known && a.wasSeeder)
}

// Answer is what an announce found and hands out. The caller owns it and uses
// it again for the next one: all of it is overwritten, the slices' memory is
// kept.
type Answer struct {
	V4        []byte // whole 6-byte peers (BEP 23)
	V6        []byte // whole 18-byte peers (BEP 7)
	Counts    proto.Counts
	Known     bool // the peer was in the swarm before
	Refused   Refusal
	Completed bool   // this announce was counted as a download
	Age       Minute // since the peer was last heard of, if it was known
	wasSeeder bool
	keep      int // of a sample of the asker's family, how many peers are to be left
}

// found notes what was known of the asker.
func (a *Answer) found(stamp byte, now Minute) {
	a.Known, a.Age, a.wasSeeder = true, stampAge(stamp, now), stamp&stampSeeder != 0
}

// WasSeeder reports whether the asker was known as a seeder before.
func (a *Answer) WasSeeder() bool { return a.wasSeeder }

// Options say how large and how lasting a store is.
type Options struct {
	// Shards is the number of shards, a power of two up to maxShards. 0 means 8
	// for every CPU.
	Shards int
	// Expire is for how long a peer is remembered that is not heard of,
	// MinExpire to MaxExpire minutes. 0 means DefaultExpire.
	Expire Minute
	// Shared keeps everything in memory that another process can go on with,
	// if the system has that. See [Store.Adopt].
	Shared bool
	// Limits of what is stored; those of memory are set with SetMemory.
	Limits Limits
	// Private says who is given peers with private addresses.
	Private Private
	// Local, if not nil, says of a compact peer with a private address that
	// everybody is given it all the same: what becomes of it then is the caller's
	// business. It is called under a lock, must not keep its argument and not
	// call the store.
	Local func(c []byte) bool
	// Near hands out those first that are in the asker's network: see near.go.
	Near bool
}

// Private says who is given peers with private addresses.
type Private uint8

// The choices.
const (
	PrivateSame Private = iota // who has a private address as well
	PrivateHide                // nobody
	PrivateAll                 // everybody
)

// maxShards is the most shards of a store.
const maxShards = 256

// Store remembers who is in which swarm. Its methods may be called by several
// goroutines at once, except SweepStep.
type Store struct {
	secret  secrets
	shards  []shard
	shift   uint8 // hash >> shift is the shard
	scratch scratch
	budget  budget
	limits  Limits
	private Private
	local   func(c []byte) bool
	near    bool
	swept   int // shards that this sweep is through with
	mem     *arena
}

// secrets make it impossible to choose infohashes or addresses that meet in
// one place: nobody outside the process knows them.
type secrets struct {
	torrent [24]byte  // mixed into infohashes
	peer    [3]uint64 // mixed into peers' keys
	// byAddress: peers are in the order of their addresses' keys. It is only
	// needed to count an address's ports.
	byAddress bool
}

// New returns an empty store. It panics if the system has no random numbers.
func New(o Options) *Store {
	if o.Shards == 0 {
		for o.Shards = 8; o.Shards < 8*runtime.GOMAXPROCS(0) && o.Shards < maxShards; {
			o.Shards *= 2
		}
	}
	if o.Expire == 0 {
		o.Expire = DefaultExpire
	}
	o.Expire = max(MinExpire, min(o.Expire, MaxExpire))
	s := &Store{limits: o.Limits, private: o.Private, local: o.Local, near: o.Near}
	s.divide(o.Shards)
	if o.Shared {
		s.mem = newArena()
	}
	s.budget.set(unlimited, unlimited)
	s.secret.byAddress = o.Limits.byAddress()
	var seed [24]byte
	mustRead(s.secret.torrent[:])
	mustRead(seed[:])
	for i := range s.secret.peer {
		s.secret.peer[i] = binary.LittleEndian.Uint64(seed[8*i:])
	}
	for i := range s.shards {
		s.shards[i].init(s, o.Expire)
	}
	return s
}

// Expire returns for how long a peer is remembered that is not heard of.
func (s *Store) Expire() Minute { return s.shards[0].expire }

// divide gives s n shards, a power of two, that are not ready yet.
func (s *Store) divide(n int) {
	s.shards, s.shift = make([]shard, n), 64
	for ; n > 1; n /= 2 {
		s.shift--
	}
}

func mustRead(b []byte) {
	if _, err := rand.Read(b); err != nil {
		panic("store: " + err.Error())
	}
}

// hash returns the hash of ih: its upper bits choose the shard, its lower half
// the place in the table. The secret is mixed in before xxHash sees the bytes,
// because differences that cancel out in xxHash are known for every seed.
func (s *secrets) hash(ih *proto.Infohash) uint64 {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], binary.LittleEndian.Uint64(ih[:])^binary.LittleEndian.Uint64(s.torrent[:]))
	binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(ih[8:])^binary.LittleEndian.Uint64(s.torrent[8:]))
	binary.LittleEndian.PutUint32(b[16:], binary.LittleEndian.Uint32(ih[16:])^binary.LittleEndian.Uint32(s.torrent[16:]))
	copy(b[20:], s.torrent[20:])
	return xxhash.Sum64(b[:])
}

func (s *secrets) tableHash(ih *proto.Infohash) uint32 { return uint32(s.hash(ih)) }

// Announce adds, refreshes or removes the asking peer and fills a with what it
// gets. The counts include the asker, unless it stopped or was refused: then it
// is not stored, but given peers all the same. Who is stored already is never
// refused. A stopped announce creates nothing and is given no peers. It returns
// a.Counts. now is the minute of the sweep under way, or of the last one.
func (s *Store) Announce(q *Query, now Minute, rnd *Rand, a *Answer) proto.Counts {
	*a = Answer{V4: a.V4[:0], V6: a.V6[:0]}
	if len(q.Peer.Compact()) == 0 {
		return a.Counts // nobody
	}
	h := s.secret.hash(&q.Infohash)
	sh := &s.shards[h>>s.shift]
	sh.Lock()
	sh.announce(uint32(h), q, now, rnd, a)
	if checked {
		sh.check()
	}
	near := sh.near
	sh.Unlock()
	if near {
		a.keepNear(q)
	}
	return a.Counts
}

// Scrape returns the counts of a torrent and whether it is known. Peers that
// expired within the last minute may still be counted.
func (s *Store) Scrape(ih *proto.Infohash) (proto.Counts, bool) {
	h := s.secret.hash(ih)
	sh := &s.shards[h>>s.shift]
	sh.Lock()
	at, _ := sh.find(uint32(h), ih)
	c := sh.counts(at, sh.crowd(at))
	sh.Unlock()
	return c, at != 0
}

// SweepStep forgets what has expired at now in a part of the store small
// enough that nobody waits for it, and reports whether the round over
// everything is complete. Peers' ages are kept modulo 128 minutes, so it has
// to be called by one goroutine until it returns true for every value of now
// in turn, and no announce may know of a minute before it.
func (s *Store) SweepStep(now Minute) bool {
	sh := &s.shards[s.swept]
	sh.Lock()
	done := sh.sweepStep(now)
	if checked {
		sh.check()
	}
	sh.Unlock()
	if !done {
		return false
	}
	s.swept = (s.swept + 1) % len(s.shards)
	return s.swept == 0
}

// Trim gives memory back that came free since it was called last. It is meant
// to be called every second: swarms that grow or shrink leave a page here and
// there, and to give back each at once would cost more than it is worth.
func (s *Store) Trim() {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		sh.trimPools()
		sh.Unlock()
	}
}

// Totals returns how many torrents, seeders and leechers there are.
func (s *Store) Totals() (torrents, seeders, leechers int) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		torrents += int(sh.tab.n)
		seeders += sh.seeders
		leechers += sh.leechers
		sh.Unlock()
	}
	return torrents, seeders, leechers
}
