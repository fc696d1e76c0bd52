//go:build trackercheck

package store

import "fmt"

// checked says whether every operation is followed by a check of the shard.
const checked = true

// check panics, naming the broken rule, if the shard contradicts itself.
func (sh *shard) check() {
	must := func(ok bool, rule string, args ...any) {
		if !ok {
			panic("store: " + fmt.Sprintf(rule, args...))
		}
	}
	var n, last uint32
	var seeders, leechers, records, swarms int
	for pos, s := range sh.tab.slots {
		s := slot(s)
		if s == 0 {
			continue
		}
		n++
		must(s.hash() >= last, "slot %d is out of order", pos)
		last = s.hash()
		first := sh.tab.first(s.hash())
		must(first <= pos, "slot %d is before its first slot %d", pos, first)
		for i := first; i < pos; i++ {
			must(sh.tab.slots[i] != 0, "there is a gap before slot %d", pos)
		}
		at := s.ref()
		ih := *sh.infohash(at)
		must(sh.secret.tableHash(&ih) == s.hash(), "slot %d points to another torrent", pos)
		found, _ := sh.find(s.hash(), &ih)
		must(found == at, "slot %d is not found", pos)
		c := sh.counts(at, sh.crowd(at))
		seeders, leechers = seeders+int(c.Complete), leechers+int(c.Incomplete)
		if at.class() != swarmRef {
			records++
			r := sh.record(at)
			must(recordBytes(r.n4(), r.n6(), r.tailed()) <= len(r), "record %x overflows", ih)
			for _, l := range []list{r.list4(), r.list6()} {
				must(r.mayPrivate() || new(chooser).hidden(&l, 0, l.len()) == 0, "record %x denies private peers", ih)
				for i := 1; i < l.len(); i++ {
					must(!l.seeder(i-1) || l.seeder(i), "record %x has a leecher behind a seeder", ih)
				}
			}
			continue
		}
		swarms++
		sh.checkSwarm(at.index(), must)
	}
	must(n == sh.tab.n, "table counts %d, has %d", sh.tab.n, n)
	must(seeders == sh.seeders && leechers == sh.leechers, "shard counts %d seeders, %d leechers, has %d, %d",
		sh.seeders, sh.leechers, seeders, leechers)
	must(swarms == len(sh.swarms)-len(sh.freeSwarms), "%d swarms, table knows %d", len(sh.swarms)-len(sh.freeSwarms), swarms)
	var blocks, inDirs int
	for i := range sh.records {
		records -= int(sh.records[i].n)
	}
	must(records == 0, "%d records too few", records)
	for i := range sh.blocks {
		blocks += int(sh.blocks[i].n)
	}
	for _, sw := range sh.swarms {
		if sw != nil {
			for i := range sw.sets {
				inDirs += len(sw.sets[i].dir)
			}
		}
	}
	must(blocks == inDirs, "%d blocks, sets know %d", blocks, inDirs)
}

func (sh *shard) checkSwarm(id uint32, must func(bool, string, ...any)) {
	for set := range sh.swarms[id].sets {
		v := sh.view(id, set)
		n, hidden := 0, 0
		last := uint64(0)
		for b := range v.dir {
			r := v.dir[b]
			must(b > 0 || r.low == 0, "set %d.%d does not begin at 0", id, set)
			must(r.n > 0 && int(r.n) <= blockCap(r.class, v.width), "block %d of set %d.%d has %d peers", b, id, set, r.n)
			must(getOwner(sh.blocks[r.class].at(r.at)) == v.owner, "block %d of set %d.%d is another's", b, id, set)
			l := v.block(b)
			for i := range l.stamps {
				k := sh.secret.key(l.peer(i))
				must(k >= r.low && k >= last, "peer %d of block %d of set %d.%d is out of order", i, b, id, set)
				must(l.seeder(i) == (set&1 == 1), "peer %d of block %d of set %d.%d is in the wrong set", i, b, id, set)
				last = k
				if private(l.peer(i)) {
					hidden++
				}
			}
			n += l.len()
		}
		must(hidden == v.private, "set %d.%d counts %d private peers, has %d", id, set, v.private, hidden)
		must(n == v.n, "set %d.%d counts %d, has %d", id, set, v.n, n)
	}
}
