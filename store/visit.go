package store

import (
	"encoding/binary"
	"runtime"

	"tracker/proto"
)

// A Cursor is a place in a visit to everything there is: as far as one got, to
// go on later. The zero Cursor is the beginning. It is good as long as the
// process lives; what any other bytes lead to is some place or the end.
type Cursor struct {
	shard  uint16
	large  bool   // small torrents are visited before large ones
	family uint8  // of a large swarm
	at     uint32 // hash of the next small torrent, or number of the swarm
	key    uint64 // least one of the peers not visited yet
}

// CursorLen is the length of a cursor's binary form.
const CursorLen = 16

// Append appends the binary form of c to b.
func (c Cursor) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, c.shard)
	large := byte(0)
	if c.large {
		large = 1
	}
	b = append(b, large, c.family)
	b = binary.LittleEndian.AppendUint32(b, c.at)
	return binary.LittleEndian.AppendUint64(b, c.key)
}

// MakeCursor returns the cursor that b, of CursorLen bytes, is the form of.
func MakeCursor(b []byte) Cursor {
	return Cursor{
		shard:  binary.LittleEndian.Uint16(b),
		large:  b[2] != 0,
		family: min(b[3], 1),
		at:     binary.LittleEndian.Uint32(b[4:]),
		key:    binary.LittleEndian.Uint64(b[8:]),
	}
}

// SplitCursors returns places that divide the store into about n equal parts,
// the first of them the beginning. The end of a part is the next one's place.
func (s *Store) SplitCursors(n int) []Cursor {
	n = max(1, min(n, len(s.shards)))
	all := make([]Cursor, n)
	for i := range all {
		all[i].shard = uint16(i * len(s.shards) / n)
	}
	return all
}

// Beyond reports whether c is in a later shard than end begins with, or in that.
func (c Cursor) Beyond(end Cursor) bool { return c.shard >= end.shard }

// A Part is a torrent, or some of the peers of a large one, as a visit finds it.
type Part struct {
	Infohash   proto.Infohash
	Downloaded uint32 // 0 too in all but the first part of a large one
	Idle       Minute // since the torrent was last used, if it was downloaded
	now        Minute // what the stamps are relative to
	lists      [2]list
}

// Len returns how many peers the part has, by family.
func (p *Part) Len() (n4, n6 int) { return p.lists[0].len(), p.lists[1].len() }

// Peer returns the compact form of peer i of a family, 0 for IPv4 and 1 for
// IPv6, whether it is a seeder, and for how long it was not heard of.
func (p *Part) Peer(family, i int) (compact []byte, seeder bool, age Minute) {
	l := &p.lists[family]
	return l.peer(i), l.seeder(i), stampAge(l.stamps[i], p.now)
}

// A Visitor has the memory of a visit. It belongs to one goroutine.
type Visitor struct {
	parts        []Part
	refs         []ref
	wire, stamps []byte
	found        list
}

// Visit calls fn for everything in some ten microseconds' worth of the store
// from c on, moves c there, and reports whether there is more. Torrents for
// which keep returns false are left out; keep is called under a lock, must be
// quick and not call the store. fn is called without a lock and must not keep
// its argument. What is there from beginning to end is met, as a rule once; what
// comes, goes, grows large or small meanwhile may be missing or met twice.
func (s *Store) Visit(c *Cursor, now Minute, v *Visitor, keep func(ih *proto.Infohash) bool, fn func(p *Part)) (more bool) {
	if int(c.shard) >= len(s.shards) {
		return false
	}
	v.parts, v.wire, v.stamps = v.parts[:0], v.wire[:0], v.stamps[:0]
	sh := &s.shards[c.shard]
	sh.Lock()
	sh.advance(now) // nothing is of the future
	if c.large {
		v.swarm(sh, c, keep)
	} else {
		v.records(sh, c, keep)
	}
	sh.Unlock()
	for i := range v.parts {
		fn(&v.parts[i])
	}
	return int(c.shard) < len(s.shards)
}

// records copies some small torrents of sh from c on. All are touched before the
// first is copied: see Apply.
func (v *Visitor) records(sh *shard, c *Cursor, keep func(ih *proto.Infohash) bool) {
	v.refs = v.refs[:0]
	next, more := sh.walkFrom(c.at, func(at ref) {
		if at.class() != swarmRef {
			v.refs = append(v.refs, at)
		}
	})
	var sum uint64
	for _, at := range v.refs {
		sum += uint64(sh.record(at)[recordN4])
	}
	runtime.KeepAlive(sum)
	for _, at := range v.refs {
		v.record(sh, sh.record(at), keep)
	}
	if c.at = next; !more {
		c.large, c.at, c.family, c.key = true, 0, 0, 0
	}
}

// record copies one.
func (v *Visitor) record(sh *shard, r record, keep func(ih *proto.Infohash) bool) {
	if keep != nil && !keep(r.infohash()) {
		return
	}
	p := Part{Infohash: *r.infohash(), Downloaded: r.downloaded(), now: sh.now}
	if r.tailed() {
		p.Idle = r.idle(sh.now)
	}
	for i, l := range [...]list{r.list4(), r.list6()} {
		p.lists[i] = v.copy(&l)
	}
	v.parts = append(v.parts, p)
}

// copy copies l into v's memory. What was copied before keeps its own, if v's
// has to grow.
func (v *Visitor) copy(l *list) list {
	w, s := len(v.wire), len(v.stamps)
	v.wire, v.stamps = append(v.wire, l.wire...), append(v.stamps, l.stamps...)
	return list{v.wire[w:], v.stamps[s:], l.width}
}

// swarm copies some peers of the next large swarm of sh from c on, or none.
func (v *Visitor) swarm(sh *shard, c *Cursor, keep func(ih *proto.Infohash) bool) {
	for ; uint64(c.at) < uint64(len(sh.swarms)); c.at, c.family, c.key = c.at+1, 0, 0 {
		if sw := sh.swarms[c.at]; sw != nil && (keep == nil || keep(&sw.infohash)) {
			break
		}
	}
	if uint64(c.at) >= uint64(len(sh.swarms)) { // an int may have 32 bits
		*c = Cursor{shard: c.shard + 1}
		return
	}
	sw := sh.swarms[c.at]
	p := Part{Infohash: sw.infohash, now: sh.now}
	if c.family == 0 && c.key == 0 {
		p.Downloaded = sw.downloaded
	}
	width := [...]int{proto.Peer4Len, proto.Peer6Len}[c.family]
	v.found = list{v.found.wire[:0], v.found.stamps[:0], width}
	key, more := v.found.copyPart(sh, makeRef(swarmRef, c.at), c.key)
	p.lists[c.family] = v.found
	p.lists[1-c.family].width = proto.Peer4Len + proto.Peer6Len - width
	v.parts = append(v.parts, p)
	switch {
	case more:
		c.key = key
	case c.family == 0:
		c.family, c.key = 1, 0
	default:
		c.at, c.family, c.key = c.at+1, 0, 0
	}
}

// Before reports whether a visit comes to c before it comes to d.
func (c Cursor) Before(d Cursor) bool {
	switch {
	case c.shard != d.shard:
		return c.shard < d.shard
	case c.large != d.large:
		return !c.large
	case c.at != d.at:
		return c.at < d.at
	case c.family != d.family:
		return c.family < d.family
	}
	return c.key < d.key
}
