package store

import (
	"encoding/binary"

	"tracker/proto"
)

// A torrent as a snapshot tells it. The lists' stamps are ages.
type snapshotRecord struct {
	infohash   proto.Infohash
	lists      [2]list
	tail       bool
	downloaded uint32
	idle       Minute
}

// parse reads a record from b, whose memory it goes on using, and returns what
// is behind it.
func (r *snapshotRecord) parse(b []byte) (rest []byte, ok bool) {
	if len(b) < recordPeers {
		return nil, false
	}
	n4, n6, tail := int(b[recordN4]), int(b[recordN6]&^hasTail), b[recordN6]&hasTail != 0
	if len(b) < recordBytes(n4, n6, tail) {
		return nil, false
	}
	*r = snapshotRecord{infohash: proto.Infohash(b), tail: tail}
	b = b[recordPeers:]
	r.lists[0] = list{b[:6*n4], b[6*n4:][:n4], 6}
	b = b[7*n4:]
	r.lists[1] = list{b[:18*n6], b[18*n6:][:n6], 18}
	b = b[19*n6:]
	if tail {
		r.downloaded = binary.LittleEndian.Uint32(b)
		r.idle = Minute(binary.LittleEndian.Uint16(b[4:]))
		b = b[recordTail:]
	}
	return b, true
}

// LoadSnapshot fills the store, which must be empty, with what is left of a
// snapshot that was begun elapsed minutes before now, leaving out torrents that
// are not allowed. It returns how much the snapshot had. After an error the
// store is empty again; it is that of the reader or a [*SnapshotError].
func (s *Store) LoadSnapshot(from *Snapshot, now, elapsed Minute, allowed func(*proto.Infohash) bool) (SnapshotTotals, error) {
	elapsed = min(elapsed, 2*keepCount) // nothing is left by then
	var totals SnapshotTotals
	for {
		records, n, err := from.next(totals)
		if err == nil && n == 0 {
			return totals, nil
		}
		begin := from.offset - int64(len(records)) - snapshotSumLen
		for left := len(records); err == nil && left > 0; left = len(records) {
			var r snapshotRecord
			rest, ok := r.parse(records)
			if !ok {
				err = &SnapshotError{Offset: begin, what: wrongRecord}
				break
			}
			begin += int64(left - len(rest))
			records = rest
			n--
			totals.Records++
			totals.Peers += int64(r.lists[0].len() + r.lists[1].len())
			if allowed(&r.infohash) {
				totals.Refused += int64(s.restore(&r, now, elapsed))
			}
		}
		if err == nil && n != 0 {
			err = &SnapshotError{Offset: begin, what: wrongCount}
		}
		if err != nil {
			s.clear()
			return totals, err
		}
		if checked {
			for i := range s.shards {
				s.shards[i].check()
			}
		}
	}
}

// restore adds what is left of a torrent, and returns how many of its peers were
// refused.
func (s *Store) restore(r *snapshotRecord, now, elapsed Minute) (refused int) {
	h := s.secret.hash(&r.infohash)
	sh := &s.shards[h>>s.shift]
	sh.Lock()
	defer sh.Unlock()
	now = sh.advance(now)
	for i := range r.lists {
		r.lists[i].age(now, elapsed, sh.expire)
	}
	r.idle += elapsed
	n4, n6 := r.lists[0].len(), r.lists[1].len()
	if n4+n6 == 0 && (!r.tail || r.idle > keepCount) {
		return 0
	}
	at, pos := sh.find(uint32(h), &r.infohash)
	if at == 0 {
		if at, pos = sh.addEmpty(uint32(h), &r.infohash, recordBytes(n4, n6, r.tail), r.tail); at == 0 {
			return n4 + n6
		}
		if at.class() != swarmRef {
			sh.record(at).use(now - r.idle)
		}
	}
	before := sh.crowd(at)
	if r.tail {
		at = sh.credit(at, pos, r.downloaded, r.idle, now)
	}
	for _, l := range r.lists {
		for i := range l.stamps {
			var ok bool
			if at, ok = sh.settleIn(at, pos, l.peer(i), l.stamps[i]); !ok {
				refused++
			}
		}
	}
	sh.account(before, sh.crowd(at))
	return refused
}

// age turns the ages of l, elapsed minutes before now, into stamps, and drops
// what is expire minutes old or older.
func (l *list) age(now, elapsed, expire Minute) {
	to := 0
	for i, a := range l.stamps {
		age := Minute(a&stampMinutes) + elapsed
		if age >= expire {
			continue
		}
		l.stamps[i] = makeStamp(now-age, a&stampSeeder != 0)
		l.move(to, i)
		to++
	}
	l.wire, l.stamps = l.wire[:to*l.width], l.stamps[:to]
}

// addEmpty makes a torrent that is not in the table and has no peers yet, but
// room for a record of n bytes. It returns 0 if that is refused.
func (sh *shard) addEmpty(hash uint32, ih *proto.Infohash, n int, tail bool) (at ref, pos int) {
	if sh.refusesTorrent() != NotRefused {
		return 0, -1
	}
	if n > maxRecord {
		at = makeRef(swarmRef, sh.addSwarm(ih, 0))
	} else {
		if at = sh.addRecord(n, wish); at == 0 {
			return 0, -1
		}
		sh.record(at).reset(ih, tail)
	}
	switch {
	case sh.enter(hash, at) == NotRefused:
		return sh.find(hash, ih)
	case at.class() == swarmRef:
		sh.removeSwarm(at.index())
	default:
		sh.records[at.class()].remove(at.index(), sh.budget) // the last one: nothing moves
	}
	return 0, -1
}

// settleIn adds a peer to the torrent at at, in the table at pos, unless it is
// there already. It returns where the torrent is afterwards, and whether the
// peer is in it.
func (sh *shard) settleIn(at ref, pos int, c []byte, stamp byte) (ref, bool) {
	if sh.has(at, c) {
		return at, true
	}
	return sh.admit(at, pos, c, stamp)
}

// has reports whether c is a peer of the torrent at at.
func (sh *shard) has(at ref, c []byte) bool {
	if at.class() != swarmRef {
		l := sh.record(at).list(len(c))
		return l.find(c) >= 0
	}
	key := sh.secret.key(c)
	for _, seeder := range [...]bool{false, true} {
		v := sh.view(at.index(), setOf(len(c), seeder))
		if _, _, ok := v.find(key, c); ok {
			return true
		}
	}
	return false
}

// admit adds a peer to the torrent at at, in the table at pos, which does not
// have it. It returns where the torrent is afterwards, and whether the limits
// and the memory let it in. The shard's counts are the caller's.
func (sh *shard) admit(at ref, pos int, c []byte, stamp byte) (ref, bool) {
	if at.class() != swarmRef {
		r := sh.record(at)
		if sh.refusesPeer(r.n4()+r.n6()) != NotRefused || sh.refusesPort(at, c) {
			return at, false
		}
		ok := true
		n := recordBytes(r.n4(), r.n6(), r.tailed()) + len(c) + 1
		if n <= maxRecord {
			if n > len(r) {
				at, ok = sh.refit(at, pos, n, false, wish)
			}
			if ok {
				sh.record(at).add(c, stamp)
			}
			return at, ok
		}
		if at, ok = sh.enlarge(at, pos, wish); !ok {
			return at, false
		}
	}
	n := sh.crowd(at)
	if sh.refusesPeer(n.all()) != NotRefused || sh.refusesPort(at, c) {
		return at, false
	}
	v := sh.view(at.index(), setOf(len(c), stamp&stampSeeder != 0))
	_, _, ok := v.insert(c, stamp, wish)
	return at, ok
}

// clear forgets everything and gives the memory back.
func (s *Store) clear() {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.Lock()
		sh.budget.torrents.Add(-int64(sh.tab.n))
		sh.release()
		sh.tab, sh.records, sh.blocks = table{}, [len(recordClasses)]pool{}, [blockClasses]pool{}
		sh.swarms, sh.freeSwarms, sh.sweep = nil, nil, sweeper{}
		sh.seeders, sh.leechers = 0, 0
		sh.init(s, sh.expire)
		sh.Unlock()
	}
}

// release unmaps all memory of the shard, which is unusable then.
func (sh *shard) release() {
	sh.tab.release(sh.budget)
	for _, pools := range [...][]pool{sh.records[:], sh.blocks[:]} {
		for i := range pools {
			if p := &pools[i]; p.size > 0 { // the first class of records is unused
				sh.budget.give(p.cost())
				p.promise(sh.budget, -p.cost())
				for _, c := range p.chunks {
					p.mem.unmapMemory(c)
				}
			}
		}
	}
	sh.budget.promised.Add(-swarmPromise * int64(len(sh.swarms)-len(sh.freeSwarms)))
}
