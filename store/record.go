package store

import (
	"encoding/binary"

	"tracker/proto"
)

// A record is a torrent whose peers fit into some hundred bytes, which is
// nearly every torrent. Offsets in bytes:
//
//	 0  infohash                 20
//	20  number of IPv4 peers      1
//	21  number of IPv6 peers      1, 0x80 if there is a tail, and 0x40 if there
//	                                 may be peers with private addresses
//	22  IPv4 peers     6 each  ┐ grow to the right
//	    their stamps   1 each  ┘
//	    unused
//	    stamps of      1 each  ┐ grow to the left
//	    IPv6 peers    18 each  ┘
//	    tail                      6, at the end: downloaded 4, last used 2
//
// The tail is there once a download was completed: most torrents never see
// one. Its last two bytes are the minute the torrent was last used, modulo
// 65,536, and matter when it has no peers.
type record []byte

const (
	recordN4    = 20
	recordN6    = 21
	recordPeers = 22
	recordTail  = 6
	hasTail     = 0x80
	hasPrivate  = 0x40 // or had
	maskN6      = 0x3f
)

// recordBytes returns how long a record has to be.
func recordBytes(n4, n6 int, tail bool) int {
	return recordPeers + 7*n4 + 19*n6 + tailBytes(tail)
}

func tailBytes(tail bool) int {
	if tail {
		return recordTail
	}
	return 0
}

// reset makes r the record of a torrent without peers, and with an empty tail
// if tail says so.
func (r record) reset(ih *proto.Infohash, tail bool) {
	copy(r, ih[:])
	r[recordN4], r[recordN6] = 0, 0
	if tail {
		r[recordN6] = hasTail
		clear(r[len(r)-recordTail:])
	}
}

// survey counts the peers of r, and reports whether one of them is expire
// minutes old or older at now.
func (r record) survey(now, expire Minute) (n crowd, stale bool) {
	l := r.list4()
	n[0], stale = l.survey(now, expire)
	n[1] = l.len() - n[0]
	if r.n6() > 0 {
		var stale6 bool
		l = r.list6()
		n[2], stale6 = l.survey(now, expire)
		n[3] = l.len() - n[2]
		stale = stale || stale6
	}
	return n, stale
}

// crowd counts the peers of r.
func (r record) crowd() crowd {
	n, _ := r.survey(0, MaxExpire)
	return n
}

func (r record) infohash() *proto.Infohash { return (*proto.Infohash)(r[:20]) }
func (r record) n4() int                   { return int(r[recordN4]) }
func (r record) n6() int                   { return int(r[recordN6] & maskN6) }
func (r record) tailed() bool              { return r[recordN6]&hasTail != 0 }
func (r record) mayPrivate() bool          { return r[recordN6]&hasPrivate != 0 }

// end returns the offset behind the IPv6 peers.
func (r record) end() int {
	if r.tailed() {
		return len(r) - recordTail
	}
	return len(r)
}

func (r record) list4() list {
	n := r.n4()
	return list{r[recordPeers:][:6*n], r[recordPeers+6*n:][:n], 6}
}

func (r record) list6() list {
	n, e := r.n6(), r.end()
	return list{r[e-18*n : e], r[e-19*n:][:n], 18}
}

// list returns the peers of the family whose compact form has width bytes.
func (r record) list(width int) list {
	if width == 6 {
		return r.list4()
	}
	return r.list6()
}

// grow adds an uninitialised peer at the end of a family's list. There must
// be room.
func (r record) grow(width int) {
	if width == 6 {
		n := r.n4()
		copy(r[recordPeers+6*(n+1):], r[recordPeers+6*n:][:n])
		r[recordN4]++
		return
	}
	n, e := r.n6(), r.end()
	copy(r[e-19*(n+1):], r[e-19*n:][:n])
	copy(r[e-18*(n+1):], r[e-18*n:][:18*n])
	r[recordN6]++
}

// shrink takes away the last gone peers of a family's list.
func (r record) shrink(width, gone int) {
	if width == 6 {
		n := r.n4()
		copy(r[recordPeers+6*(n-gone):], r[recordPeers+6*n:][:n-gone])
		r[recordN4] -= byte(gone)
		return
	}
	n, e := r.n6(), r.end()
	left := n - gone
	copy(r[e-18*left:e], r[e-18*n:][:18*left])
	copy(r[e-19*left:][:left], r[e-19*n:])
	r[recordN6] -= byte(gone)
}

// add adds a peer that is not in the record and returns its index. There must
// be room.
func (r record) add(c []byte, stamp byte) int {
	if private(c) {
		r[recordN6] |= hasPrivate
	}
	r.grow(len(c))
	l := r.list(len(c))
	l.put(l.len()-1, c, stamp)
	return l.arrange()
}

// remove removes a family's peer i.
func (r record) remove(width, i int) {
	l := r.list(width)
	l.drop(i)
	r.shrink(width, 1)
}

// expire removes the peers of one family that are expire minutes old or older
// at now.
func (r record) expire(width int, now, expire Minute) {
	l := r.list(width)
	to := 0
	for i, stamp := range l.stamps {
		if stampAge(stamp, now) < expire {
			l.move(to, i) // the two parts keep their order
			to++
		}
	}
	r.shrink(width, l.len()-to)
}

// downloaded returns how many times the torrent was downloaded.
func (r record) downloaded() uint32 {
	if !r.tailed() {
		return 0
	}
	return binary.LittleEndian.Uint32(r[len(r)-recordTail:])
}

// setDownloaded sets the count in the tail, which must exist.
func (r record) setDownloaded(n uint32) { binary.LittleEndian.PutUint32(r[len(r)-recordTail:], n) }

// idle returns for how many minutes a record with a tail was not used.
func (r record) idle(now Minute) Minute {
	return Minute(uint16(now) - binary.LittleEndian.Uint16(r[len(r)-2:]))
}

// use notes in the tail, if there is one, that the torrent is used at now.
func (r record) use(now Minute) {
	if r.tailed() {
		binary.LittleEndian.PutUint16(r[len(r)-2:], uint16(now))
	}
}

// copyTo writes r's torrent into to, which may have another length, and adds
// an empty tail if withTail says so and r has none.
func (r record) copyTo(to record, withTail bool) {
	n4, n6 := r.n4(), r.n6()
	copy(to, r[:recordPeers+7*n4])
	to[recordN6] = r[recordN6]
	switch {
	case r.tailed():
		copy(to[len(to)-recordTail:], r[len(r)-recordTail:])
	case withTail:
		to[recordN6] |= hasTail
		clear(to[len(to)-recordTail:])
	}
	from, end := r.end(), to.end()
	copy(to[end-19*n6:end], r[from-19*n6:from])
}
