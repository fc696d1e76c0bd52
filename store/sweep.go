package store

// keepCount is for how many minutes a torrent without peers keeps its count
// of downloads. Where there is hardly room for new torrents, no sweep leaves one:
// anybody can make torrents that seem to have been downloaded, and would have
// taken the place of all others for a day.
const keepCount = 24 * 60

// keeps returns for how long a sweep that is under way lets such torrents be.
func (sh *shard) keeps() Minute {
	if sh.budget.short() || sh.limits.Torrents > 0 && sh.budget.torrents.Load() >= int64(sh.limits.Torrents) {
		return 0
	}
	return keepCount
}

// Bounds of one step of a sweep, which nobody can announce during: each takes
// some ten microseconds.
const (
	sweepRecords = 256
	sweepBlocks  = 16
	// A record that changes counts as so many, because its place in the table
	// and perhaps the record itself has to be found and moved.
	sweepChanged = 8
)

// A sweeper is where a shard's sweep is. Records are visited from the last to
// the first of their pool, so that what a removal moves was seen already, and
// pools from small to large, because records only get smaller without anybody
// announcing to them. An announce looks after its own record. Sets are visited
// in the order of their keys, which no insertion changes.
type sweeper struct {
	class int    // of records; past the last one, swarms are visited
	left  uint32 // records of the class not visited yet, or noneLeft at its start
	swarm uint32
	set   int
	key   uint64 // least key of the set not visited yet
}

const atStart = 1<<32 - 1

// sweepStep forgets what is too old at now in a part of the shard, and reports
// whether it has come round.
func (sh *shard) sweepStep(now Minute) (done bool) {
	now = sh.advance(now)
	w := &sh.sweep
	if w.class == 0 {
		*w = sweeper{class: 1, left: atStart}
	}
	switch {
	case w.class < len(sh.records):
		sh.sweepRecords(w, now)
	case int(w.swarm) < len(sh.swarms):
		sh.sweepSwarm(w, now)
	default:
		sh.trim()
		*w = sweeper{}
		return true
	}
	return false
}

func (sh *shard) sweepRecords(w *sweeper, now Minute) {
	p := &sh.records[w.class]
	w.left = min(w.left, p.n) // some may have gone since the last step
	for left := sweepRecords; left > 0; left-- {
		if w.left == 0 {
			w.class, w.left = w.class+1, atStart
			return
		}
		w.left--
		if sh.sweepRecord(makeRef(w.class, w.left), now) {
			left -= sweepChanged
		}
	}
}

// sweepRecord looks after one record and reports whether it changed.
func (sh *shard) sweepRecord(at ref, now Minute) bool {
	r := sh.record(at)
	fits := int(classFor[recordBytes(r.n4(), r.n6(), r.tailed())]) == at.class()
	before, stale := r.survey(now, sh.expire)
	if fits && r.n4()+r.n6() > 0 && !stale {
		return false
	}
	r.expire(6, now, sh.expire)
	r.expire(18, now, sh.expire)
	sh.account(before, r.crowd())
	_, pos := sh.find(sh.secret.tableHash(r.infohash()), r.infohash())
	sh.settle(at, pos, now, sh.keeps())
	return true
}

func (sh *shard) sweepSwarm(w *sweeper, now Minute) {
	sw := sh.swarms[w.swarm]
	if sw == nil {
		w.swarm, w.set, w.key = w.swarm+1, 0, 0
		return
	}
	v := sh.view(w.swarm, w.set)
	if v.n > 0 && sh.sweepSet(&v, w, now) {
		return
	}
	w.key = 0
	if w.set++; w.set < len(sw.sets) {
		return
	}
	if sw.recordBytes() <= maxRecord/2 {
		_, pos := sh.find(sh.secret.tableHash(&sw.infohash), &sw.infohash)
		if at, ok := sh.reduce(w.swarm, pos, now); ok {
			sh.settle(at, pos, now, sh.keeps())
		}
	}
	w.set = 0
	w.swarm++
}

// sweepSet visits some blocks of v from w.key on and reports whether there are
// more.
func (sh *shard) sweepSet(v *setView, w *sweeper, now Minute) (more bool) {
	before := sh.swarms[w.swarm].crowd()
	lo := v.blockOf(w.key)
	hi := min(lo+sweepBlocks, len(v.dir))
	more = hi < len(v.dir)
	if more {
		w.key = v.dir[hi].low
	}
	removed := 0
	for b := lo; b < hi; b++ {
		removed += v.expireBlock(b, now, sh.expire)
	}
	if removed == 0 {
		return more
	}
	for b := hi - 1; b >= lo; b-- {
		if b < len(v.dir) {
			v.tidy(b)
		}
	}
	sh.account(before, sh.swarms[w.swarm].crowd())
	return more
}

// trim gives memory that is no longer used back to the system.
func (sh *shard) trim() {
	sh.tab.trim(sh.budget)
	sh.trimPools()
}

// trimPools gives back the pages behind the last item of each pool. For pools
// that have not shrunk it costs a comparison.
func (sh *shard) trimPools() {
	for class := 1; class < len(sh.records); class++ {
		sh.records[class].trim(sh.budget)
	}
	for cls := range sh.blocks {
		sh.blocks[cls].trim(sh.budget)
	}
}
