package store

import "tracker/proto"

// announce carries out q for the torrent with this hash and fills a.
func (sh *shard) announce(hash uint32, q *Query, now Minute, rnd *Rand, a *Answer) {
	at, pos := sh.find(hash, &q.Infohash)
	stopped := q.Event == proto.EventStopped
	var before proto.Counts
	switch {
	case at == 0 && stopped:
		return
	case at == 0:
		at = sh.addTorrent(hash, q, now, a)
	case at.class() == swarmRef:
		before = sh.swarms[at.index()].counts()
		sh.announceSwarm(at.index(), q, now, a)
	default:
		before = sh.record(at).counts()
		at = sh.announceRecord(at, pos, q, now, a)
	}
	a.Counts = sh.counts(at)
	sh.account(before, a.Counts)
	if at == 0 || stopped || q.NumWant == 0 {
		return
	}
	ch := chooser{rnd: rnd, self: q.Peer.Compact(), public: !q.Peer.Private()}
	if at.class() == swarmRef {
		sh.chooseSwarm(at.index(), q, &ch, a)
	} else {
		sh.record(at).choose(q, &ch, a)
	}
}

// counts returns the scrape counts of the torrent at at, zeros for none.
func (sh *shard) counts(at ref) proto.Counts {
	switch {
	case at == 0:
		return proto.Counts{}
	case at.class() == swarmRef:
		return sh.swarms[at.index()].counts()
	}
	return sh.record(at).counts()
}

// account adds the change of one torrent's counts to the shard's.
func (sh *shard) account(before, after proto.Counts) {
	sh.seeders += int(after.Complete) - int(before.Complete)
	sh.leechers += int(after.Incomplete) - int(before.Incomplete)
}

// addTorrent makes a record for a torrent that is not in the table, with the
// asker as its only peer. It returns 0 if the table has no room for it.
func (sh *shard) addTorrent(hash uint32, q *Query, now Minute, a *Answer) ref {
	a.Completed = q.completes(a)
	c := q.Peer.Compact()
	at := sh.addRecord(recordPeers + len(c) + 1 + tailBytes(a.Completed))
	if !sh.tab.add(hash, at) {
		sh.records[at.class()].remove(at.index()) // the last one: nothing moves
		return 0
	}
	r := sh.record(at)
	r.reset(&q.Infohash, a.Completed)
	if a.Completed {
		r.setDownloaded(1)
		r.use(now)
	}
	r.add(c, makeStamp(now, q.Seeder))
	return at
}

// announceRecord carries out q for the torrent whose record is at at and whose
// slot is at pos. It returns where the torrent is afterwards, 0 if it is gone.
func (sh *shard) announceRecord(at ref, pos int, q *Query, now Minute, a *Answer) ref {
	r := sh.record(at)
	r.expire(6, now, sh.expire)
	r.expire(18, now, sh.expire)
	r.use(now)
	c := q.Peer.Compact()
	l := r.list(len(c))
	i := l.find(c)
	if i >= 0 {
		a.found(l.stamps[i], now)
	}
	if q.Event == proto.EventStopped {
		if i >= 0 {
			r.remove(len(c), i)
		}
		return sh.settle(at, pos, now)
	}
	a.Completed = q.completes(a)
	if i >= 0 && !a.Completed {
		l.restamp(i, makeStamp(now, q.Seeder))
		return at
	}
	n := recordBytes(r.n4(), r.n6(), r.tailed() || a.Completed)
	if i < 0 {
		n += len(c) + 1
	}
	if n > maxRecord {
		at = sh.enlarge(at, pos)
		sh.announceSwarm(at.index(), q, now, a)
		return at
	}
	at = sh.refit(at, pos, n, a.Completed)
	r = sh.record(at)
	if a.Completed {
		r.setDownloaded(r.downloaded() + 1)
		r.use(now)
	}
	if i < 0 {
		r.add(c, makeStamp(now, q.Seeder))
	} else {
		l = r.list(len(c))
		l.restamp(i, makeStamp(now, q.Seeder))
	}
	return at
}

// announceSwarm carries out q for the torrent in swarm id.
func (sh *shard) announceSwarm(id uint32, q *Query, now Minute, a *Answer) {
	c := q.Peer.Compact()
	key := sh.secret.key(c)
	stamp := makeStamp(now, q.Seeder)
	stopped := q.Event == proto.EventStopped
	for _, seeder := range [...]bool{q.Seeder, !q.Seeder} { // most peers stay what they are
		v := sh.view(id, setOf(len(c), seeder))
		b, i, ok := v.find(key, c)
		if !ok {
			continue
		}
		l := v.block(b)
		a.found(l.stamps[i], now)
		if seeder == q.Seeder && !stopped {
			l.stamps[i] = stamp
			return
		}
		v.remove(b, i)
		break
	}
	if stopped {
		return
	}
	v := sh.view(id, setOf(len(c), q.Seeder))
	v.insert(c, stamp)
	if a.Completed = q.completes(a); a.Completed {
		sh.swarms[id].downloaded++
	}
}

// settle gives back what the record at at, in the table at pos, no longer
// needs, the whole torrent if it has no peers and no count worth keeping. It
// returns where the torrent is afterwards, or 0.
func (sh *shard) settle(at ref, pos int, now Minute) ref {
	r := sh.record(at)
	if r.n4()+r.n6() == 0 && (!r.tailed() || r.idle(now) > keepCount) {
		sh.tab.remove(pos)
		sh.removeRecord(at)
		return 0
	}
	return sh.refit(at, pos, recordBytes(r.n4(), r.n6(), r.tailed()), false)
}

// choose appends the peers that q gets from r to a.
func (r record) choose(q *Query, ch *chooser, a *Answer) {
	l4, l6 := r.list4(), r.list6()
	n4, n6 := l4.leechers(), l6.leechers()
	w4, w6 := q.wants(n4, l4.len()-n4, n6, l6.len()-n6)
	if w4 > 0 {
		wl, ws := ch.split(w4, q.others(6, n4), q.seedersFor(l4.len()-n4))
		a.V4 = ch.fromList(a.V4, &l4, 0, n4, wl)
		a.V4 = ch.fromList(a.V4, &l4, n4, l4.len(), ws)
	}
	if w6 > 0 {
		wl, ws := ch.split(w6, q.others(18, n6), q.seedersFor(l6.len()-n6))
		a.V6 = ch.fromList(a.V6, &l6, 0, n6, wl)
		a.V6 = ch.fromList(a.V6, &l6, n6, l6.len(), ws)
	}
}

// chooseSwarm appends the peers that q gets from swarm id to a.
func (sh *shard) chooseSwarm(id uint32, q *Query, ch *chooser, a *Answer) {
	s := &sh.swarms[id].sets
	w4, w6 := q.wants(s[0].n, s[1].n, s[2].n, s[3].n)
	if w4 > 0 {
		a.V4 = sh.chooseFamily(a.V4, id, 0, q, w4, ch)
	}
	if w6 > 0 {
		a.V6 = sh.chooseFamily(a.V6, id, 2, q, w6, ch)
	}
}

func (sh *shard) chooseFamily(dst []byte, id uint32, set int, q *Query, want int, ch *chooser) []byte {
	leechers, seeders := sh.view(id, set), sh.view(id, set+1)
	wl, ws := ch.split(want, q.others(leechers.width, leechers.n), q.seedersFor(seeders.n))
	dst = ch.fromSet(dst, &leechers, wl)
	return ch.fromSet(dst, &seeders, ws)
}
