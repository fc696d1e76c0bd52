package store

import "tracker/proto"

// announce carries out q for the torrent with this hash and fills a.
func (sh *shard) announce(hash uint32, q *Query, now Minute, rnd *Rand, a *Answer) {
	now = sh.advance(now)
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
		at = sh.announceSwarm(at, pos, q, now, a)
	default:
		before = sh.record(at).counts()
		at = sh.announceRecord(at, pos, q, now, a)
	}
	a.Counts = sh.counts(at)
	sh.account(before, a.Counts)
	if at == 0 || stopped || q.NumWant <= 0 {
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
	completed := q.completes(a)
	c := q.Peer.Compact()
	at := sh.addRecord(recordPeers + len(c) + 1 + tailBytes(completed))
	if !sh.tab.add(hash, at) {
		sh.records[at.class()].remove(at.index()) // the last one: nothing moves
		return 0
	}
	a.Completed = completed
	r := sh.record(at)
	r.reset(&q.Infohash, completed)
	if completed {
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
		return sh.announceSwarm(sh.enlarge(at, pos), pos, q, now, a)
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

// announceSwarm carries out q for the torrent whose swarm is at at and whose
// slot is at pos. It returns at, or 0 if the torrent is gone.
func (sh *shard) announceSwarm(at ref, pos int, q *Query, now Minute, a *Answer) ref {
	id := at.index()
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
			return at
		}
		v.remove(b, i)
		break
	}
	if stopped {
		if sw := sh.swarms[id]; sw.counts() == (proto.Counts{}) {
			sh.tab.remove(pos)
			sh.removeSwarm(id)
			return 0
		}
		return at
	}
	v := sh.view(id, setOf(len(c), q.Seeder))
	v.insert(c, stamp)
	if a.Completed = q.completes(a); a.Completed {
		sh.swarms[id].downloaded++
	}
	return at
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

// A crowd is how many peers an asker may be given, by the number of their set:
// those it may see, without itself.
type crowd [4]int

// crowd returns who may be given to q out of n peers, of which the asker is one.
func (q *Query) crowd(n crowd) crowd {
	if q.Seeder {
		n[1], n[3] = 0, 0
	} else {
		n[setOf(len(q.Peer.Compact()), false)]--
	}
	if !q.Both {
		other := 2 - setOf(len(q.Peer.Compact()), false)
		n[other], n[other+1] = 0, 0
	}
	return n
}

// choose appends the peers that q gets from r to a.
func (r record) choose(q *Query, ch *chooser, a *Answer) {
	l := [...]list{r.list4(), r.list6()}
	m := [...]int{l[0].leechers(), l[1].leechers()}
	n := crowd{m[0], l[0].len() - m[0], m[1], l[1].len() - m[1]}
	if ch.public && q.NumWant < l[0].len()+l[1].len() { // or all are given anyway
		for i := range l {
			n[2*i] -= l[i].private(0, m[i])
			n[2*i+1] -= l[i].private(m[i], l[i].len())
		}
	}
	n = q.crowd(n)
	w4, w6 := shares(q.NumWant, n[0]+n[1], n[2]+n[3])
	wl, ws := ch.split(w4, n[0], n[1])
	a.V4 = ch.fromList(a.V4, &l[0], 0, m[0], wl)
	a.V4 = ch.fromList(a.V4, &l[0], m[0], l[0].len(), ws)
	wl, ws = ch.split(w6, n[2], n[3])
	a.V6 = ch.fromList(a.V6, &l[1], 0, m[1], wl)
	a.V6 = ch.fromList(a.V6, &l[1], m[1], l[1].len(), ws)
}

// chooseSwarm appends the peers that q gets from swarm id to a.
func (sh *shard) chooseSwarm(id uint32, q *Query, ch *chooser, a *Answer) {
	var n crowd
	for i, s := range sh.swarms[id].sets {
		if n[i] = s.n; ch.public {
			n[i] -= s.private
		}
	}
	n = q.crowd(n)
	w4, w6 := shares(q.NumWant, n[0]+n[1], n[2]+n[3])
	var w crowd
	w[0], w[1] = ch.split(w4, n[0], n[1])
	w[2], w[3] = ch.split(w6, n[2], n[3])
	for i := range w {
		v := sh.view(id, i)
		if setWidth(i) == proto.Peer4Len {
			a.V4 = ch.fromSet(a.V4, &v, w[i])
		} else {
			a.V6 = ch.fromSet(a.V6, &v, w[i])
		}
	}
}
