package store

import (
	"encoding/binary"
	"math/bits"
)

// A peer's stamp is the byte beside its compact form: the minute it was last
// heard of, modulo 128, and whether it is a seeder.
const (
	stampSeeder  = 0x80
	stampMinutes = 0x7f
)

func makeStamp(now Minute, seeder bool) byte {
	s := byte(now) & stampMinutes
	if seeder {
		s |= stampSeeder
	}
	return s
}

// stampAge returns how many minutes before now the stamp was made. It is right
// for ages up to 127, and nothing is kept for longer: a sweep visits every
// peer once for every minute there is.
func stampAge(stamp byte, now Minute) Minute { return (now - Minute(stamp)) & stampMinutes }

// A list is some peers of one family as they lie in memory: wire holds their
// compact forms back to back, ready to be sent, stamps one byte for each.
type list struct {
	wire   []byte
	stamps []byte
	width  int // bytes of a compact peer: 6 or 18
}

func (l *list) len() int          { return len(l.stamps) }
func (l *list) peer(i int) []byte { return l.wire[i*l.width : (i+1)*l.width] }
func (l *list) seeder(i int) bool { return l.stamps[i]&stampSeeder != 0 }
func (l *list) put(i int, c []byte, stamp byte) {
	copy(l.peer(i), c)
	l.stamps[i] = stamp
}

func (l *list) move(to, from int) {
	if to != from {
		l.put(to, l.peer(from), l.stamps[from])
	}
}

func (l *list) swap(i, j int) {
	if i == j {
		return
	}
	var c [18]byte
	n, stamp := copy(c[:], l.peer(i)), l.stamps[i]
	l.move(i, j)
	l.put(j, c[:n], stamp)
}

// find returns the index of the compact peer c, or -1.
func (l *list) find(c []byte) int {
	if l.width == 6 {
		return l.find4(c)
	}
	lo, hi, port := binary.LittleEndian.Uint64(c), binary.LittleEndian.Uint64(c[8:]), binary.LittleEndian.Uint16(c[16:18])
	for w, i := l.wire, 0; i < len(w)-17; i += 18 {
		if binary.LittleEndian.Uint64(w[i+8:]) == hi && binary.LittleEndian.Uint64(w[i:]) == lo &&
			binary.LittleEndian.Uint16(w[i+16:]) == port {
			return i / 18
		}
	}
	return -1
}

func (l *list) find4(c []byte) int {
	ip, port := binary.LittleEndian.Uint32(c), binary.LittleEndian.Uint16(c[4:6])
	for w, i := l.wire, 0; i < len(w)-5; i += 6 {
		if binary.LittleEndian.Uint32(w[i:]) == ip && binary.LittleEndian.Uint16(w[i+4:]) == port {
			return i / 6
		}
	}
	return -1
}

// Stamps are looked at eight at a time: every is a byte in all eight bytes of
// a word.
const every = 0x0101010101010101

// lastStamps returns the fewer than eight stamps s as a word, in any order,
// between those that it had before.
func lastStamps(s []byte, word uint64) uint64 {
	if len(s)&4 != 0 {
		word = word<<32 | uint64(binary.LittleEndian.Uint32(s))
		s = s[4:]
	}
	if len(s)&2 != 0 {
		word = word<<16 | uint64(binary.LittleEndian.Uint16(s))
		s = s[2:]
	}
	if len(s)&1 != 0 {
		word = word<<8 | uint64(s[0])
	}
	return word
}

// leechers counts the peers that are not seeders.
func (l *list) leechers() int {
	n, s := len(l.stamps), l.stamps
	for ; len(s) >= 8; s = s[8:] {
		n -= bits.OnesCount64(binary.LittleEndian.Uint64(s) & (stampSeeder * every))
	}
	return n - bits.OnesCount64(lastStamps(s, 0)&(stampSeeder*every))
}

// survey counts the peers that are not seeders, and reports whether one of all
// is expire minutes old or older at now.
func (l *list) survey(now, expire Minute) (leechers int, stale bool) {
	// The age of a stamp is now - stamp in 7 bits. The eighth bit of now is
	// set, so that no byte borrows from the next; added to 128 - expire, an
	// age that is too high sets it.
	const minutes, eighth = stampMinutes * every, 0x80 * every
	minute, young := uint64(now)&stampMinutes*every, uint64(stampMinutes+1-expire)*every
	n, old, s := len(l.stamps), uint64(0), l.stamps
	for ; len(s) >= 8; s = s[8:] {
		word := binary.LittleEndian.Uint64(s)
		n -= bits.OnesCount64(word & (stampSeeder * every))
		old |= ((minute|eighth)-word&minutes)&minutes + young
	}
	word := lastStamps(s, minute)
	n -= bits.OnesCount64(word & (stampSeeder * every))
	old |= ((minute|eighth)-word&minutes)&minutes + young
	return n, old&eighth != 0
}

// The peers of a small torrent are in two parts, leechers before seeders, so
// that a seeder can be given leechers without looking for them. The order
// within a part says nothing.

// arrange moves the last peer of a list of which the others are in two parts
// to its part, and returns where it is.
func (l *list) arrange() int {
	last := l.len() - 1
	if l.seeder(last) {
		return last
	}
	i := l.leechers() - 1
	l.swap(i, last)
	return i
}

// restamp gives peer i a new stamp, moves it to the other part if it became
// or ceased to be a seeder, and returns where it is.
func (l *list) restamp(i int, stamp byte) int {
	if (l.stamps[i]^stamp)&stampSeeder != 0 {
		at := l.leechers()
		if !l.seeder(i) {
			at-- // the last leecher's place becomes the first seeder's
		}
		l.swap(i, at)
		i = at
	}
	l.stamps[i] = stamp
	return i
}

// drop closes the gap that removing peer i leaves, so that the last place is
// unused. The caller shortens the list.
func (l *list) drop(i int) {
	if !l.seeder(i) {
		at := l.leechers() - 1
		l.move(i, at)
		i = at
	}
	l.move(i, l.len()-1)
}
