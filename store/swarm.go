package store

import "tracker/proto"

// A swarm is a torrent too large for a record. Its peers are in four sets,
// one for each family and state:
//
//	sets[0] IPv4 leechers  sets[1] IPv4 seeders  sets[2] IPv6 leechers  sets[3] IPv6 seeders
//
// Few torrents are large, so this one structure lives on the Go heap.
type swarm struct {
	infohash   proto.Infohash
	downloaded uint32
	sets       [4]set
}

// setOf returns the number of the set for peers of width bytes.
func setOf(width int, seeder bool) int {
	n := 0
	if width == 18 {
		n = 2
	}
	if seeder {
		n++
	}
	return n
}

// setWidth is the inverse of setOf for the width.
func setWidth(set int) int { return [4]int{6, 6, 18, 18}[set] }

// view returns a view of one set of swarm number id.
func (sh *shard) view(id uint32, set int) setView {
	return setView{set: &sh.swarms[id].sets[set], sh: sh, width: setWidth(set), owner: id<<2 | uint32(set)}
}

// crowd counts the peers of sw.
func (sw *swarm) crowd() crowd {
	return crowd{sw.sets[0].n, sw.sets[1].n, sw.sets[2].n, sw.sets[3].n}
}

// recordBytes returns how long a record of the swarm's torrent would be.
func (sw *swarm) recordBytes() int {
	return recordBytes(sw.sets[0].n+sw.sets[1].n, sw.sets[2].n+sw.sets[3].n, sw.downloaded > 0)
}

// addSwarm returns the number of a new, empty swarm.
func (sh *shard) addSwarm(ih *proto.Infohash, downloaded uint32) uint32 {
	sh.budget.promised.Add(swarmPromise)
	sw := &swarm{infohash: *ih, downloaded: downloaded}
	if n := len(sh.freeSwarms); n > 0 {
		id := sh.freeSwarms[n-1]
		sh.freeSwarms = sh.freeSwarms[:n-1]
		sh.swarms[id] = sw
		return id
	}
	sh.swarms = append(sh.swarms, sw)
	return uint32(len(sh.swarms) - 1)
}

// removeSwarm forgets swarm id, whose sets were released.
func (sh *shard) removeSwarm(id uint32) {
	sh.budget.promised.Add(-swarmPromise)
	sh.swarms[id] = nil
	sh.freeSwarms = append(sh.freeSwarms, id)
}

// addBlock returns the number of a new block of class class, if there is memory
// for it.
func (sh *shard) addBlock(class uint8, owner uint32, u urgency) (at uint32, ok bool) {
	at, ok = sh.blocks[class].add(sh.budget, u)
	if !ok && u == duty && sh.scrapeUp() {
		at, ok = sh.blocks[class].add(sh.budget, u)
	}
	if ok {
		putOwner(sh.blocks[class].at(at), owner)
	}
	return at, ok
}

// removeBlock frees a block. The block that takes its number is told to its
// set.
func (sh *shard) removeBlock(class uint8, at uint32) {
	was, ok := sh.blocks[class].remove(at, sh.budget)
	if !ok {
		return
	}
	owner := getOwner(sh.blocks[class].at(at))
	dir := sh.swarms[owner>>2].sets[owner&3].dir
	for i := range dir {
		if dir[i].at == was && dir[i].class == class {
			dir[i].at = at
			return
		}
	}
	panic("store: a block has no owner")
}

// enlarge turns the record at old into a swarm and returns its place. If there
// is no memory for that, the record stays what it is.
func (sh *shard) enlarge(old ref, pos int, u urgency) (at ref, ok bool) {
	r := sh.record(old)
	id := sh.addSwarm(r.infohash(), r.downloaded())
	for _, width := range [...]int{6, 18} {
		for l, i := r.list(width), 0; i < l.len(); i++ {
			v := sh.view(id, setOf(width, l.seeder(i)))
			if _, _, ok := v.insert(l.peer(i), l.stamps[i], u); !ok {
				sh.dropSwarm(id)
				return old, false
			}
		}
	}
	at = makeRef(swarmRef, id)
	sh.tab.set(pos, at)
	sh.removeRecord(old)
	return at, true
}

// dropSwarm forgets swarm id with all that is in it.
func (sh *shard) dropSwarm(id uint32) {
	for set := range sh.swarms[id].sets {
		v := sh.view(id, set)
		v.release()
	}
	sh.removeSwarm(id)
}

// reduce turns swarm id back into a record. It must fit into one. If there is
// no memory, it stays what it is.
func (sh *shard) reduce(id uint32, pos int, now Minute) (at ref, ok bool) {
	sw := sh.swarms[id]
	if at = sh.addRecord(sw.recordBytes(), duty); at == 0 {
		return makeRef(swarmRef, id), false
	}
	r := sh.record(at)
	r.reset(&sw.infohash, sw.downloaded > 0)
	if sw.downloaded > 0 {
		r.setDownloaded(sw.downloaded)
		r.use(now)
	}
	for set := range sw.sets {
		v := sh.view(id, set)
		for b := range v.dir {
			l := v.block(b)
			for i := range l.stamps {
				r.add(l.peer(i), l.stamps[i])
			}
		}
	}
	sh.dropSwarm(id)
	sh.tab.set(pos, at)
	return at, true
}
