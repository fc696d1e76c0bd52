package store

import "tracker/proto"

// announce carries out q for the torrent with this hash and fills a.
func (sh *shard) announce(hash uint32, q *Query, now Minute, rnd *Rand, a *Answer) {
	now = sh.advance(now)
	at, pos := sh.find(hash, &q.Infohash)
	stopped := q.Event == proto.EventStopped
	var before crowd
	self := place{set: setOf(len(q.Peer.Compact()), q.Seeder)}
	stale := false
	switch {
	case at == 0 && stopped:
		return
	case at == 0:
		at = sh.addTorrent(hash, q, now, a)
	case at.class() == swarmRef:
		before = sh.swarms[at.index()].crowd()
		at = sh.announceSwarm(at, pos, q, now, a, &self)
	default:
		r := sh.record(at)
		before, stale = r.survey(now, sh.expire)
		if stale {
			r.expire(6, now, sh.expire)
			r.expire(18, now, sh.expire)
		}
		at = sh.announceRecord(at, pos, q, now, a, &self)
	}
	n := before
	if stale || stopped || !a.Known || a.wasSeeder != q.Seeder { // or it is as it was
		n = sh.crowd(at)
		sh.account(before, n)
	}
	a.Counts = sh.counts(at, n)
	if at == 0 || stopped || q.NumWant <= 0 {
		return
	}
	ch := chooser{rnd: rnd, self: self, local: sh.local, near: sh.near, public: sh.private == PrivateHide}
	if sh.private == PrivateSame {
		ch.public = !q.Peer.Private()
	}
	if at.class() == swarmRef {
		sh.chooseSwarm(at.index(), q, n, &ch, a)
	} else {
		sh.record(at).choose(q, n, &ch, a)
	}
}

// crowd counts the peers of the torrent at at, which are none if that is 0.
func (sh *shard) crowd(at ref) crowd {
	switch {
	case at == 0:
		return crowd{}
	case at.class() == swarmRef:
		return sh.swarms[at.index()].crowd()
	}
	return sh.record(at).crowd()
}

// counts returns the scrape counts of the torrent at at, which n are in.
func (sh *shard) counts(at ref, n crowd) proto.Counts {
	c := proto.Counts{Complete: uint32(n[1] + n[3]), Incomplete: uint32(n[0] + n[2])}
	switch {
	case at == 0:
	case at.class() == swarmRef:
		c.Downloaded = sh.swarms[at.index()].downloaded
	default:
		c.Downloaded = sh.record(at).downloaded()
	}
	return c
}

// account adds the change of one torrent's peers to the shard's.
func (sh *shard) account(before, after crowd) {
	sh.seeders += after[1] + after[3] - before[1] - before[3]
	sh.leechers += after[0] + after[2] - before[0] - before[2]
}

// addTorrent makes a record for a torrent that is not in the table, with the
// asker as its only peer. It returns 0 if that is refused.
func (sh *shard) addTorrent(hash uint32, q *Query, now Minute, a *Answer) ref {
	if a.Refused = sh.refusesTorrent(); a.Refused != NotRefused {
		return 0
	}
	completed := q.completes(a)
	c := q.Peer.Compact()
	at := sh.addRecord(recordPeers+len(c)+1+tailBytes(completed), wish)
	if at == 0 {
		a.Refused = RefusedMemory
		return 0
	}
	if a.Refused = sh.enter(hash, at); a.Refused != NotRefused {
		sh.records[at.class()].remove(at.index(), sh.budget) // the last one: nothing moves
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
// slot is at pos. It returns where the torrent is afterwards, 0 if it is gone,
// and in self where the asker is in it.
func (sh *shard) announceRecord(at ref, pos int, q *Query, now Minute, a *Answer, self *place) ref {
	r := sh.record(at)
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
		return sh.settle(at, pos, now, keepCount)
	}
	a.Completed = q.completes(a)
	if i >= 0 && !a.Completed {
		self.i = l.restamp(i, makeStamp(now, q.Seeder))
		return at
	}
	n, u := recordBytes(r.n4(), r.n6(), r.tailed() || a.Completed), duty
	if i < 0 {
		if a.Refused = sh.refusesPeer(r.n4() + r.n6()); a.Refused != NotRefused || sh.refusesPort(at, c) {
			return sh.turnAway(at, a, self)
		}
		n, u = n+len(c)+1, wish
	}
	ok := false
	if n > maxRecord {
		if at, ok = sh.enlarge(at, pos, u); ok {
			return sh.announceSwarm(at, pos, q, now, a, self)
		}
	} else {
		at, ok = sh.refit(at, pos, n, a.Completed, u)
	}
	if !ok {
		a.Refused, a.Completed = RefusedMemory, false
		if i < 0 {
			return sh.turnAway(at, a, self)
		}
	}
	r = sh.record(at)
	if a.Completed {
		r.setDownloaded(r.downloaded() + 1)
		r.use(now)
	}
	if i < 0 {
		self.i = r.add(c, makeStamp(now, q.Seeder))
	} else {
		l = r.list(len(c))
		self.i = l.restamp(i, makeStamp(now, q.Seeder))
	}
	return at
}

// announceSwarm carries out q for the torrent whose swarm is at at and whose
// slot is at pos. It returns at, or 0 if the torrent is gone, and in self where
// the asker is in it.
func (sh *shard) announceSwarm(at ref, pos int, q *Query, now Minute, a *Answer, self *place) ref {
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
		switch {
		case stopped:
			v.remove(b, i)
		case seeder == q.Seeder:
			l.stamps[i] = stamp
			self.block, self.i = b, i
			return at
		default:
			return sh.convert(at, &v, b, i, q, now, a, self)
		}
		break
	}
	if stopped {
		if sw := sh.swarms[id]; sw.crowd() == (crowd{}) && sw.downloaded == 0 {
			sh.leave(pos)
			sh.removeSwarm(id)
			return 0
		}
		return at
	}
	before := sh.swarms[id].crowd()
	if a.Refused = sh.refusesPeer(before.all()); a.Refused != NotRefused || sh.refusesPort(at, c) {
		return sh.turnAway(at, a, self)
	}
	v := sh.view(id, setOf(len(c), q.Seeder))
	b, i, ok := v.insert(c, stamp, wish)
	if !ok {
		a.Refused = RefusedMemory
		return sh.turnAway(at, a, self)
	}
	self.block, self.i = b, i
	if a.Completed = q.completes(a); a.Completed {
		sh.swarms[id].downloaded++
	}
	return at
}

// convert moves the asker, peer i of block b of v, to the other set of its
// family: it became a seeder, or is none any more. If there is no memory even
// for that, it stays where it is and is renewed.
func (sh *shard) convert(at ref, v *setView, b, i int, q *Query, now Minute, a *Answer, self *place) ref {
	to := sh.view(at.index(), self.set)
	toBlock, toPlace, ok := to.insert(q.Peer.Compact(), makeStamp(now, q.Seeder), duty)
	if !ok {
		a.Refused = RefusedMemory
		l := v.block(b)
		l.stamps[i] = makeStamp(now, a.wasSeeder)
		*self = place{v.number(), b, i}
		return at
	}
	v.remove(b, i)
	self.block, self.i = toBlock, toPlace
	if a.Completed = q.completes(a); a.Completed {
		sh.swarms[at.index()].downloaded++
	}
	return at
}

// turnAway notes that the asker is not among the peers of the torrent at at,
// for the reason that a has, or for its many ports.
func (sh *shard) turnAway(at ref, a *Answer, self *place) ref {
	if a.Refused == NotRefused {
		a.Refused = RefusedPorts
	}
	a.Completed = false // or it would be counted again and again
	self.i = -1
	return at
}

// settle gives back what the record at at, in the table at pos, no longer
// needs, the whole torrent if it has no peers and no count, or one that has been
// of no use for more than keep minutes. It returns where the torrent is
// afterwards, or 0.
func (sh *shard) settle(at ref, pos int, now, keep Minute) ref {
	r := sh.record(at)
	if r.n4()+r.n6() == 0 && (!r.tailed() || r.idle(now) > keep) {
		sh.leave(pos)
		sh.removeRecord(at)
		return 0
	}
	at, _ = sh.refit(at, pos, recordBytes(r.n4(), r.n6(), r.tailed()), false, duty) // or it stays too long
	return at
}

// A crowd counts peers by the number of their set: those of a torrent, or of
// them those that an asker may be given.
type crowd [4]int

func (n *crowd) all() int { return n[0] + n[1] + n[2] + n[3] }

// given returns who may be given to q out of n peers, of which the asker is
// one, if it is stored at all.
func (q *Query) given(n crowd, self *place) crowd {
	if self.i >= 0 {
		n[self.set]--
	}
	if q.Seeder {
		n[1], n[3] = 0, 0
	}
	if !q.Both {
		other := 2 - setOf(len(q.Peer.Compact()), false)
		n[other], n[other+1] = 0, 0
	}
	return n
}

// choose appends the peers that q gets from r, which has n, to a.
func (r record) choose(q *Query, n crowd, ch *chooser, a *Answer) {
	m := n
	if ch.hide = ch.public && r.mayPrivate(); ch.hide && q.NumWant < n.all() { // or all are given anyway
		r.dropPrivate(&n, ch)
		ch.putBack(q, &n)
	}
	n = q.given(n, &ch.self)
	w4, w6 := ch.wants(q, &n, a)
	if w4 > 0 {
		l := r.list4()
		wl, ws := ch.split(w4, n[0], n[1])
		a.V4 = ch.fromList(a.V4, &l, 0, 0, m[0], wl)
		a.V4 = ch.fromList(a.V4, &l, 1, m[0], l.len(), ws)
	}
	if w6 > 0 {
		l := r.list6()
		wl, ws := ch.split(w6, n[2], n[3])
		a.V6 = ch.fromList(a.V6, &l, 2, 0, m[2], wl)
		a.V6 = ch.fromList(a.V6, &l, 3, m[2], l.len(), ws)
	}
}

// dropPrivate takes the private peers of r that ch hides off n, which are all it
// has. If there are no private ones, r denies them from now on.
func (r record) dropPrivate(n *crowd, ch *chooser) {
	all, l4, l6 := n.all(), r.list4(), r.list6()
	m4, m6 := n[0], n[2] // where the seeders begin
	n[0] -= ch.hidden(&l4, 0, m4)
	n[1] -= ch.hidden(&l4, m4, l4.len())
	n[2] -= ch.hidden(&l6, 0, m6)
	n[3] -= ch.hidden(&l6, m6, l6.len())
	if n.all() == all && ch.local == nil {
		r[recordN6] &^= hasPrivate
	}
}

// chooseSwarm appends the peers that q gets from swarm id, which has n, to a.
func (sh *shard) chooseSwarm(id uint32, q *Query, n crowd, ch *chooser, a *Answer) {
	if ch.public && ch.local == nil { // or nearly all of them are given, and the others are passed over
		for i := range n {
			n[i] -= sh.swarms[id].sets[i].private
		}
		if sh.private == PrivateHide {
			ch.putBack(q, &n)
		}
	}
	n = q.given(n, &ch.self)
	w4, w6 := ch.wants(q, &n, a)
	var w crowd
	w[0], w[1] = ch.split(w4, n[0], n[1])
	w[2], w[3] = ch.split(w6, n[2], n[3])
	for i, want := range w {
		if want == 0 {
			continue
		}
		v := sh.view(id, i)
		if i < 2 {
			a.V4 = ch.fromSet(a.V4, &v, want)
		} else {
			a.V6 = ch.fromSet(a.V6, &v, want)
		}
	}
}
