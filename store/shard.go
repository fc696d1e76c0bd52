package store

import (
	"encoding/binary"
	"sync"

	"tracker/proto"
)

// A ref says where a torrent is: 5 bits for the class of its record, or
// swarmRef, and 27 bits for its number there. 0 is no torrent.
type ref uint32

const (
	refBits  = 27
	swarmRef = 31
)

func makeRef(class int, i uint32) ref { return ref(class)<<refBits | ref(i) }

func (r ref) class() int    { return int(r >> refBits) }
func (r ref) index() uint32 { return uint32(r) & (1<<refBits - 1) }

// recordClasses are the lengths records are made in, counted in IPv4 peers:
// exact for the smallest, which are most, then in steps of about a sixth. The
// first class is unused, so that no ref is 0.
var recordClasses = [...]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 28, 33, 39, 46, 54, 64, 76}

// maxRecord is the length of the longest record, in bytes.
const maxRecord = recordPeers + 7*76

// classFor[n] is the smallest class of records of n bytes or more.
var classFor = func() (t [maxRecord + 1]uint8) {
	class := 1
	for n := range t {
		if n > recordPeers+7*recordClasses[class] {
			class++
		}
		t[n] = uint8(class)
	}
	return t
}()

// A shard is a part of the store with everything it needs under one lock: a
// table, the records and blocks it points to, and its large swarms.
type shard struct {
	sync.Mutex
	tab        table
	records    [len(recordClasses)]pool
	blocks     [blockClasses]pool
	swarms     []*swarm
	freeSwarms []uint32
	sweep      sweeper
	now        Minute // the latest this shard was told of
	leechers   int
	seeders    int

	secret  *secrets
	scratch *scratch
	budget  *budget
	limits  *Limits
	expire  Minute
	private Private
	near    bool
	local   func(c []byte) bool
	_       [64]byte // keeps the next shard's lock out of this one's cache line
}

// scratch is where a set's peers lie while they are divided anew. All shards
// share it; its lock is taken under a shard's.
type scratch struct {
	sync.Mutex
	wire, stamps []byte
}

// init makes sh an empty shard.
func (sh *shard) init(s *Store, expire Minute) {
	sh.secret, sh.scratch, sh.budget, sh.limits, sh.expire = &s.secret, &s.scratch, &s.budget, &s.limits, expire
	sh.private, sh.local, sh.near = s.private, s.local, s.near
	for class := 1; class < len(recordClasses); class++ {
		sh.records[class].init(recordPeers+7*recordClasses[class], s.mem)
	}
	for class := range sh.blocks {
		sh.blocks[class].init(blockOwner+(class+1)*blockUnit, s.mem)
		sh.blocks[class].blocks = true
	}
	sh.tab.mem = s.mem
}

// advance returns now, or the latest minute the shard was told of if that is
// later: who read the clock first may get the lock last, and a stamp from the
// future would look like the oldest of all.
func (sh *shard) advance(now Minute) Minute {
	if int32(now-sh.now) > 0 {
		sh.now = now
	}
	return sh.now
}

func putOwner(b []byte, owner uint32) { binary.LittleEndian.PutUint32(b, owner) }
func getOwner(b []byte) uint32        { return binary.LittleEndian.Uint32(b) }

// record returns the record at at, which is not a swarm.
func (sh *shard) record(at ref) record { return sh.records[at.class()].at(at.index()) }

// addRecord returns the place of a new record of at least n bytes, or 0 if
// there is no memory for it. When there are as many of one length as a ref can
// count, the next length will do.
func (sh *shard) addRecord(n int, u urgency) ref {
	class := int(classFor[n])
	for class < len(sh.records)-1 && sh.records[class].n >= maxItems {
		class++
	}
	i, ok := sh.records[class].add(sh.budget, u)
	if !ok && u == duty && sh.scrapeUp() {
		i, ok = sh.records[class].add(sh.budget, u)
	}
	if !ok {
		return 0
	}
	return makeRef(class, i)
}

// scrapeUp gives back at once what would wait for Trim, and reports whether that
// was anything.
func (sh *shard) scrapeUp() bool {
	before := sh.budget.used.Load()
	sh.trimPools()
	return sh.budget.used.Load() < before
}

// removeRecord frees a record. The one that takes its place is told to the
// table.
func (sh *shard) removeRecord(at ref) {
	p := &sh.records[at.class()]
	was, ok := p.remove(at.index(), sh.budget)
	if !ok {
		return
	}
	hash := sh.secret.tableHash(record(p.at(at.index())).infohash())
	moved := makeRef(at.class(), was)
	for pos := sh.tab.first(hash); ; pos++ {
		if pos = sh.tab.next(hash, pos); pos < 0 {
			panic("store: a record is not in the table")
		}
		if slot(sh.tab.slots[pos]).ref() == moved {
			sh.tab.set(pos, at)
			return
		}
	}
}

// find returns the place of a torrent and its position in the table, or a ref
// of 0.
func (sh *shard) find(hash uint32, ih *proto.Infohash) (at ref, pos int) {
	for pos = sh.tab.first(hash); ; pos++ {
		if pos = sh.tab.next(hash, pos); pos < 0 {
			return 0, -1
		}
		if at = slot(sh.tab.slots[pos]).ref(); *sh.infohash(at) == *ih {
			return at, pos
		}
	}
}

func (sh *shard) infohash(at ref) *proto.Infohash {
	if at.class() == swarmRef {
		return &sh.swarms[at.index()].infohash
	}
	return sh.record(at).infohash()
}

// refit moves the torrent at old, in the table at pos, to a record of n bytes
// if that is another class, and gives it a tail if withTail. It returns where
// the torrent is afterwards: if there is no memory, where and as it was.
func (sh *shard) refit(old ref, pos, n int, withTail bool, u urgency) (at ref, ok bool) {
	if int(classFor[n]) == old.class() && (!withTail || sh.record(old).tailed()) {
		return old, true
	}
	if at = sh.addRecord(n, u); at == 0 {
		return old, false
	}
	sh.record(old).copyTo(sh.record(at), withTail)
	sh.tab.set(pos, at)
	sh.removeRecord(old) // which may move the new one, if it was the last
	return slot(sh.tab.slots[pos]).ref(), true
}

// enter puts a torrent into the table, which must not hold it. It returns why
// not.
func (sh *shard) enter(hash uint32, at ref) (why Refusal) {
	n, most := sh.budget.torrents.Add(1), int64(sh.limits.Torrents)
	switch {
	case most > 0 && n > most:
		why = RefusedTorrents
	case !sh.tab.add(hash, at, sh.budget):
		why = RefusedMemory
	default:
		return NotRefused
	}
	sh.budget.torrents.Add(-1)
	return why
}

// leave takes the torrent at pos out of the table.
func (sh *shard) leave(pos int) {
	sh.tab.remove(pos)
	sh.budget.torrents.Add(-1)
}
