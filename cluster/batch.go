package cluster

import (
	"encoding/binary"

	"tracker/proto"
)

// A batch is what is new since the last one, in the order in which it came,
// but each family for itself:
//
//	0  number of IPv4 records   2
//	2  number of IPv6 records   2
//	4  base                     4   seconds since 1970, not before any record
//	8  IPv4 records        28 each
//	   IPv6 records        40 each
//
//	record  infohash 20, compact peer 6 or 18, mark 2
//
//	mark    15 seeder, 14 stopped, 13 completed, 12..0 seconds before the base
//
// A peer has one family, so what is said of it stays in order.
const (
	batchHead  = 8
	record4Len = 20 + proto.Peer4Len + markLen
	record6Len = 20 + proto.Peer6Len + markLen
	markLen    = 2

	// maxBatch is the length of the longest batch, frame and all, in bytes.
	maxBatch = 64 << 10

	// maxAge is the most seconds a mark can tell. A peer is never so old.
	maxAge = 1<<13 - 1

	// ahead is how far the base of a batch is ahead of its beginning, in seconds:
	// it may be filled for a while, and a minute may begin early.
	ahead = 120
)

// The build fails here if a peer that is about to expire were too old for a mark.
const _ = uint(maxAge - ahead - 127*60)

// Bits of a mark.
const (
	markSeeder    = 1 << 15
	markStopped   = 1 << 14
	markCompleted = 1 << 13
)

// A mark is what a record says of a peer. Its last 13 bits are how many seconds
// ago that was.
type mark uint16

func makeMark(flags mark, base, when uint32) mark {
	return flags&^maxAge | mark(min(max(int32(base-when), 0), maxAge))
}

// when returns the second that m is about.
func (m mark) when(base uint32) uint32 { return base - uint32(m&maxAge) }

// A batch is one being made.
type batch struct {
	base   uint32
	v4, v6 []byte // records
}

func (b *batch) records() int { return len(b.v4)/record4Len + len(b.v6)/record6Len }
func (b *batch) len() int     { return frameLen + batchHead + len(b.v4) + len(b.v6) }
func (b *batch) full() bool   { return b.len()+record6Len > maxBatch }

// begin empties b, which is begun at now, in seconds.
func (b *batch) begin(now uint32) { b.base, b.v4, b.v6 = now+ahead, b.v4[:0], b.v6[:0] }

// add adds a record of what was at when. There must be room.
func (b *batch) add(ih *proto.Infohash, compact []byte, flags mark, when uint32) {
	to := &b.v4
	if len(compact) == proto.Peer6Len {
		to = &b.v6
	}
	*to = append(*to, ih[:]...)
	*to = append(*to, compact...)
	*to = binary.LittleEndian.AppendUint16(*to, uint16(makeMark(flags, b.base, when)))
}

// appendTo appends the batch's body to a message.
func (b *batch) appendTo(msg []byte) []byte {
	msg = binary.LittleEndian.AppendUint16(msg, uint16(len(b.v4)/record4Len))
	msg = binary.LittleEndian.AppendUint16(msg, uint16(len(b.v6)/record6Len))
	msg = binary.LittleEndian.AppendUint32(msg, b.base)
	msg = append(msg, b.v4...)
	return append(msg, b.v6...)
}

// possibleBatch reports whether body is that of a batch, whose base is not too far
// from now.
func possibleBatch(body []byte, now uint32) bool {
	if len(body) < batchHead {
		return false
	}
	n4, n6 := int(binary.LittleEndian.Uint16(body)), int(binary.LittleEndian.Uint16(body[2:]))
	base := binary.LittleEndian.Uint32(body[4:])
	body = body[batchHead:]
	return len(body) == n4*record4Len+n6*record6Len && n4+n6 > 0 && plausible(base, now) &&
		possible(body[:n4*record4Len], record4Len) && possible(body[n4*record4Len:], record6Len)
}

// eachRecord calls fn for every record of a possible batch's body.
func eachRecord(body []byte, fn func(ih *proto.Infohash, compact []byte, m mark, when uint32)) {
	n4, base := int(binary.LittleEndian.Uint16(body)), binary.LittleEndian.Uint32(body[4:])
	for body, length := body[batchHead:], record4Len; len(body) > 0; body = body[length:] {
		if n4--; n4 < 0 {
			length = record6Len
		}
		m := mark(binary.LittleEndian.Uint16(body[length-markLen:]))
		fn((*proto.Infohash)(body), body[20:length-markLen], m, m.when(base))
	}
}

// possible reports whether every record of b could be of a tracker.
func possible(b []byte, length int) bool {
	for ; len(b) > 0; b = b[length:] {
		m := mark(binary.LittleEndian.Uint16(b[length-markLen:]))
		if !possiblePeer(b[20:length-markLen]) || !m.possible() {
			return false
		}
	}
	return true
}

// possible reports whether m makes sense: who stopped did not complete at the
// same time, and who completed has everything.
func (m mark) possible() bool {
	return m&markCompleted == 0 || m&(markStopped|markSeeder) == markSeeder
}

// possiblePeer reports whether a tracker could have stored a peer: it has a port,
// and an IPv4 address in the form of one.
func possiblePeer(c []byte) bool {
	if c[len(c)-1] == 0 && c[len(c)-2] == 0 {
		return false
	}
	const mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"
	return len(c) == proto.Peer4Len || string(c[:len(mapped)]) != mapped
}

// maxSkew is how many seconds a base may be from now. Clocks that are further
// apart are brought together first: see clock.go.
const maxSkew = 600

func plausible(base, now uint32) bool {
	d := int32(base - now)
	return -maxSkew <= d && d <= maxSkew+ahead
}
