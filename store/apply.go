package store

import (
	"runtime"

	"tracker/proto"
)

// A Change is what another tracker says of a peer: it was heard of, or it
// stopped, in some minute. The newest wins, so changes may come late, in any
// order and more than once.
type Change struct {
	Infohash  proto.Infohash
	Peer      proto.Peer
	Seeder    bool
	Stopped   bool
	Completed bool // it finished a download, which is counted every time
	Gone      bool // something newer is known elsewhere: only the download counts
	// Late says that nothing is known of the order in which it came: then what is
	// known of the same minute is taken for newer than a stop, and a seeder stays
	// one, so that all have the same in the end. Otherwise the last one counts.
	Late   bool
	Minute Minute  // of this store's clock; one in the future is the present
	Done   Outcome // what became of it, set by Apply
}

// An Outcome says what became of a [Change].
type Outcome uint8

// The outcomes.
const (
	Unchanged  Outcome = iota // what it says is known
	Renewed                   // the peer is as it was, but was heard of later
	Added                     // the peer is new
	Turned                    // a leecher became a seeder, or a seeder a leecher
	Removed                   // the peer is gone
	Stale                     // something newer is known, or it would have expired
	Conflicted                // it came late, and the same minute says another thing
	NotStored                 // limits or memory
)

// Changed reports whether a torrent's peers are others now.
func (o Outcome) Changed() bool { return o == Added || o == Turned || o == Removed }

// Bounds of what Apply does at once. Changes of some hundred are put in the order
// of their shards, so that each lock is taken once for several, and what they
// need of the table and the records is touched before it is needed: the memory
// is slow, but does many things at a time. A lock is held for some ten
// microseconds.
const (
	applyRun  = 512
	applyLock = 64
)

// Apply carries out changes and notes in each what became of it. Those of one
// torrent are carried out in their order. They are under the same limits as
// announces. now is what it is for Announce.
func (s *Store) Apply(changes []Change, now Minute) {
	var r applier
	for len(changes) > 0 {
		run := changes[:min(len(changes), applyRun)]
		s.arrange(&r, run)
		for order := r.order[:len(run)]; len(order) > 0; {
			order = order[s.applySome(&r, run, order, now):]
		}
		changes = changes[len(run):]
	}
}

// An applier has the order of a run of changes.
type applier struct {
	hashes [applyRun]uint64
	order  [applyRun]uint16 // indices, by shard
}

// arrange puts the changes of a run in the order of their shards.
func (s *Store) arrange(r *applier, run []Change) {
	var begin [maxShards + 1]uint16
	for i := range run {
		r.hashes[i] = s.secret.hash(&run[i].Infohash)
		begin[r.hashes[i]>>s.shift+1]++
	}
	for i := 1; i < len(s.shards); i++ {
		begin[i] += begin[i-1]
	}
	for i := range run {
		at := &begin[r.hashes[i]>>s.shift]
		r.order[*at] = uint16(i)
		*at++
	}
}

// applySome carries out the first changes of order that are of one shard, and
// returns how many.
func (s *Store) applySome(r *applier, run []Change, order []uint16, now Minute) (n int) {
	shard := r.hashes[order[0]] >> s.shift
	for n < len(order) && n < applyLock && r.hashes[order[n]]>>s.shift == shard {
		n++
	}
	sh := &s.shards[shard]
	sh.Lock()
	defer sh.Unlock()
	now = sh.advance(now)
	sh.prefetch(r, order[:n])
	for _, i := range order[:n] {
		sh.apply(uint32(r.hashes[i]), &run[i], now)
	}
	if checked {
		sh.check()
	}
	return n
}

// prefetch has the slots and records of changes brought into the cache, all at the
// same time.
func (sh *shard) prefetch(r *applier, order []uint16) {
	var refs [applyLock]ref
	var sum uint64
	if len(sh.tab.slots) == 0 {
		return
	}
	for _, i := range order {
		sum += sh.tab.slots[sh.tab.first(uint32(r.hashes[i]))]
	}
	for k, i := range order {
		if pos := sh.tab.next(uint32(r.hashes[i]), sh.tab.first(uint32(r.hashes[i]))); pos >= 0 {
			refs[k] = slot(sh.tab.slots[pos]).ref()
		}
	}
	for _, at := range refs[:len(order)] {
		if at != 0 && at.class() != swarmRef {
			sum += uint64(sh.record(at)[recordN4])
		}
	}
	runtime.KeepAlive(sum)
}

// apply carries out c for the torrent with this hash.
func (sh *shard) apply(hash uint32, c *Change, now Minute) {
	age := now - c.Minute
	if int32(age) < 0 {
		age = 0
	}
	wire := c.Peer.Compact()
	if len(wire) == 0 || age >= sh.expire {
		c.Done = Stale
		return
	}
	at, pos := sh.find(hash, &c.Infohash)
	if at == 0 {
		if c.Stopped || c.Gone && !c.Completed {
			c.Done = Unchanged
			return
		}
		n := recordPeers + len(wire) + 1 + tailBytes(c.Completed)
		if at, pos = sh.addEmpty(hash, &c.Infohash, n, c.Completed); at == 0 {
			c.Done = NotStored
			return
		}
	}
	if c.Gone {
		if c.Done = Stale; c.Completed {
			sh.credit(at, pos, sh.counts(at, crowd{}).Downloaded+1, age, now)
		}
		return
	}
	u := update{sh: sh, c: c, wire: wire, age: age, now: now, stamp: makeStamp(now-age, c.Seeder)}
	if at.class() == swarmRef {
		at = u.swarm(at, pos)
	} else {
		at = u.record(at, pos)
	}
	if c.Completed && at != 0 {
		sh.credit(at, pos, sh.counts(at, crowd{}).Downloaded+1, age, now)
	}
}

// An update is a change under way.
type update struct {
	sh       *shard
	c        *Change
	wire     []byte
	age, now Minute
	stamp    byte
}

// judge returns what becomes of the change if the peer is known with that
// stamp: Stale or Unchanged if it stays as it is.
func (u *update) judge(stamp byte) Outcome {
	known := stampAge(stamp, u.now)
	same := (stamp^u.stamp)&stampSeeder == 0
	switch {
	case u.age > known, u.c.Stopped && u.c.Late && u.age == known:
		return Stale
	case u.c.Stopped:
		return Removed
	case u.age < known && same:
		return Renewed
	case u.age < known:
		return Turned
	case same:
		return Unchanged
	case u.c.Seeder, !u.c.Late:
		return Turned
	}
	return Conflicted
}

// note notes what becomes of the change of a peer that is known.
func (u *update) note(stamp byte) Outcome {
	u.c.Done = u.judge(stamp)
	return u.c.Done
}

// record carries the change out in the record at at, in the table at pos. It
// returns where the torrent is afterwards, or 0.
func (u *update) record(at ref, pos int) ref {
	sh := u.sh
	r := sh.record(at)
	if r.tailed() && r.idle(u.now) > u.age {
		r.use(u.now - u.age)
	}
	l := r.list(len(u.wire))
	i := l.find(u.wire)
	if i < 0 {
		return u.admit(at, pos)
	}
	switch u.note(l.stamps[i]) {
	case Renewed:
		l.stamps[i] = u.stamp
	case Turned:
		before := r.crowd()
		l.restamp(i, u.stamp)
		sh.account(before, r.crowd())
	case Removed:
		before := r.crowd()
		r.remove(len(u.wire), i)
		sh.account(before, r.crowd())
		return sh.settle(at, pos, u.now, keepCount)
	}
	return at
}

// swarm carries the change out in the large swarm at at, in the table at pos.
// It returns where the torrent is afterwards, or 0.
func (u *update) swarm(at ref, pos int) ref {
	sh, id := u.sh, at.index()
	key := sh.secret.key(u.wire)
	for _, seeder := range [...]bool{u.c.Seeder, !u.c.Seeder} {
		v := sh.view(id, setOf(len(u.wire), seeder))
		b, i, ok := v.find(key, u.wire)
		if !ok {
			continue
		}
		l := v.block(b)
		before := sh.swarms[id].crowd()
		switch u.note(l.stamps[i]) {
		case Renewed:
			l.stamps[i] = u.stamp
			return at
		case Turned:
			to := sh.view(id, setOf(len(u.wire), u.c.Seeder))
			if _, _, ok := to.insert(u.wire, u.stamp, duty); !ok {
				l.stamps[i] = makeStamp(u.now-u.age, seeder)
				u.c.Done = NotStored
				return at
			}
			v.remove(b, i)
		case Removed:
			v.remove(b, i)
		default:
			return at
		}
		sw := sh.swarms[id]
		sh.account(before, sw.crowd())
		if sw.crowd() == (crowd{}) && sw.downloaded == 0 {
			sh.leave(pos)
			sh.removeSwarm(id)
			return 0
		}
		return at
	}
	return u.admit(at, pos)
}

// admit adds the peer, which the torrent at at, in the table at pos, does not
// have. It returns where the torrent is afterwards, or 0.
func (u *update) admit(at ref, pos int) ref {
	if u.c.Stopped {
		u.c.Done = Unchanged
		return at
	}
	sh := u.sh
	at, ok := sh.admit(at, pos, u.wire, u.stamp)
	if ok {
		u.c.Done = Added
		if u.c.Seeder {
			sh.seeders++
		} else {
			sh.leechers++
		}
		return at
	}
	u.c.Done, u.c.Completed = NotStored, false
	if at.class() != swarmRef {
		return sh.settle(at, pos, u.now, 0) // it may have been made for this one
	}
	return at
}
