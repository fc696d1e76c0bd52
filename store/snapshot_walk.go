package store

import (
	"encoding/binary"

	"tracker/proto"
)

// shard writes the torrents of sh.
func (w *snapshotWriter) shard(sh *shard) error {
	add := func(at ref) { w.record(sh, at) }
	for hash, more := uint32(0), true; more; {
		sh.Lock()
		hash, more = sh.walkFrom(hash, add)
		sh.Unlock()
		if err := w.flush(snapshotFlush); err != nil {
			return err
		}
		for i := range w.large {
			if err := w.swarm(sh, &w.large[i]); err != nil {
				return err
			}
		}
		w.large = w.large[:0]
	}
	return nil
}

// record adds the torrent at at to the block, or notes that it is large.
func (w *snapshotWriter) record(sh *shard, at ref) {
	if at.class() == swarmRef {
		w.large = append(w.large, sh.swarms[at.index()].infohash)
		return
	}
	r := sh.record(at)
	l4, l6 := r.list4(), r.list6()
	w.begin(r.infohash(), l4.len(), l6.len(), r.tailed())
	w.peers(&l4, sh.now)
	w.peers(&l6, sh.now)
	if r.tailed() {
		later := w.now
		if int32(sh.now-later) > 0 {
			later = sh.now
		}
		w.tail(r.downloaded(), r.idle(later))
	}
}

// begin begins a record.
func (w *snapshotWriter) begin(ih *proto.Infohash, n4, n6 int, tail bool) {
	w.n++
	w.totals.Peers += int64(n4 + n6)
	w.block = append(w.block, ih[:]...)
	if tail {
		n6 |= hasTail
	}
	w.block = append(w.block, byte(n4), byte(n6))
}

// peers adds l, whose stamps are those of a shard at now.
func (w *snapshotWriter) peers(l *list, now Minute) {
	w.block = append(w.block, l.wire...)
	late := int32(w.now - now) // how far the shard is behind, or ahead
	for _, stamp := range l.stamps {
		age := max(0, min(int32(stampAge(stamp, now))+late, stampMinutes))
		w.block = append(w.block, byte(age)|stamp&stampSeeder)
	}
}

func (w *snapshotWriter) tail(downloaded uint32, idle Minute) {
	w.block = binary.LittleEndian.AppendUint32(w.block, downloaded)
	w.block = binary.LittleEndian.AppendUint16(w.block, uint16(idle))
}

// swarm writes a torrent that was large when it was met. It is visited in the
// order of its peers' keys, seeders and leechers at the same time, so whoever
// changes from one to the other meanwhile is met once.
func (w *snapshotWriter) swarm(sh *shard, ih *proto.Infohash) error {
	hash := sh.secret.tableHash(ih)
	sh.Lock()
	at, _ := sh.find(hash, ih)
	downloaded := sh.counts(at, sh.crowd(at)).Downloaded
	sh.Unlock()
	for _, width := range [...]int{proto.Peer4Len, proto.Peer6Len} {
		for key, more := uint64(0), true; more; {
			w.found = list{w.found.wire[:0], w.found.stamps[:0], width}
			sh.Lock()
			at, _ := sh.find(hash, ih)
			now := sh.now
			key, more = w.found.copyPart(sh, at, key)
			sh.Unlock()
			if err := w.part(ih, downloaded, now); err != nil {
				return err
			}
			downloaded = 0
		}
	}
	return nil
}

// copyPart copies the peers of f's family of the torrent at at whose key is at
// least from, up to some thousand, to f, and returns from where to go on, if
// there are more.
func (f *list) copyPart(sh *shard, at ref, from uint64) (next uint64, more bool) {
	switch {
	case at == 0: // gone by now
		return 0, false
	case at.class() != swarmRef: // small by now
		l := sh.record(at).list(f.width)
		for i := range l.stamps {
			if sh.secret.key(l.peer(i)) >= from {
				f.wire, f.stamps = append(f.wire, l.peer(i)...), append(f.stamps, l.stamps[i])
			}
		}
		return 0, false
	}
	views := [...]setView{sh.view(at.index(), setOf(f.width, false)), sh.view(at.index(), setOf(f.width, true))}
	larger := &views[0]
	if views[1].n > views[0].n {
		larger = &views[1]
	}
	if larger.n == 0 {
		return 0, false
	}
	// Keys are evenly spread, so the smaller set has fewer in that range.
	if b := larger.blockOf(from) + snapshotBlocks; b < len(larger.dir) {
		next, more = larger.dir[b].low, true
	}
	for i := range views {
		f.appendRange(&views[i], from, next, more)
	}
	return next, more
}

// appendRange appends the peers of v whose key is at least from, and below to
// if that is bounded.
func (l *list) appendRange(v *setView, from, to uint64, bounded bool) {
	if len(v.dir) == 0 {
		return
	}
	for b := v.blockOf(from); b < len(v.dir) && !(bounded && v.dir[b].low >= to); b++ {
		p := v.block(b)
		lo, hi := 0, p.len()
		if v.dir[b].low < from {
			lo = v.lower(b, from)
		}
		if bounded && (b+1 == len(v.dir) || v.dir[b+1].low > to) {
			hi = v.lower(b, to)
		}
		l.wire = append(l.wire, p.wire[lo*p.width:hi*p.width]...)
		l.stamps = append(l.stamps, p.stamps[lo:hi]...)
	}
}

// part writes records of what copyPart found, whose stamps are those of a shard
// at now.
func (w *snapshotWriter) part(ih *proto.Infohash, downloaded uint32, now Minute) error {
	f := w.found
	for f.len() > 0 || downloaded > 0 {
		n4, n6 := min(f.len(), maxSnapshot4), 0
		if f.width == proto.Peer6Len {
			n4, n6 = 0, min(f.len(), maxSnapshot6)
		}
		n := n4 + n6
		w.begin(ih, n4, n6, downloaded > 0)
		w.peers(&list{f.wire[:n*f.width], f.stamps[:n], f.width}, now)
		if downloaded > 0 {
			w.tail(downloaded, 0)
			downloaded = 0
		}
		f.wire, f.stamps = f.wire[n*f.width:], f.stamps[n:]
		if err := w.flush(snapshotFlush); err != nil {
			return err
		}
	}
	return nil
}
