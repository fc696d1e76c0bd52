package store

import "tracker/proto"

// maxSkip bounds how many peers are passed over, because the asker may not
// see them, before an answer is left shorter than it could be.
const maxSkip = 4*proto.MaxNumWant + 256

// A chooser hands out peers of one swarm to one asker.
//
// Peers are taken from a run: some peers in a row, starting at a random one
// and going round at the end. The start is drawn again until it is a peer the
// asker may see, and what the asker may not see is passed over. So the peers
// it may see form a ring, every one of them is the start with the same
// probability, and every one is handed out with the same probability, without
// a set of those already taken. (In a large swarm of which less than one in a
// hundred is visible, that is bounded by maxSkip.) Which peers are neighbours on the ring is
// decided by a secret hash or by who came and went, not by an address.
type chooser struct {
	rnd    *Rand
	self   []byte // compact; never handed out
	public bool   // the asker has a public address and sees no private peer
}

// maybePrivate says of the first byte of a compact peer of either family
// whether its address can be private: nearly none can, and most peers are
// looked at no further.
var maybePrivate = [256]bool{0: true, 10: true, 127: true, 169: true, 172: true, 192: true, 0xfc: true, 0xfd: true, 0xfe: true}

// private reports whether the peer with compact form c has a private address.
func private(c []byte) bool { return maybePrivate[c[0]] && proto.PrivateCompact(c) }

// sees reports whether the asker may be given the peer with compact form c.
func (ch *chooser) sees(c []byte) bool {
	if ch.public && private(c) {
		return false
	}
	return c[len(c)-1] != ch.self[len(ch.self)-1] || string(c) != string(ch.self)
}

// take appends those of the peers i to j of l that the asker may see to dst,
// at most want of them, and returns how many more are wanted.
func (ch *chooser) take(dst []byte, l *list, i, j, want int) ([]byte, int) {
	from := i // peers from here to i are copied in one go
	for ; i < j && want > 0; i++ {
		if ch.sees(l.peer(i)) {
			want--
			continue
		}
		dst = append(dst, l.wire[from*l.width:i*l.width]...)
		from = i + 1
	}
	return append(dst, l.wire[from*l.width:i*l.width]...), want
}

// split divides want among a and b things so that every one of them has the
// same chance to be among the want chosen ones.
func (ch *chooser) split(want, a, b int) (int, int) {
	if want >= a+b {
		return a, b
	}
	part, all := uint64(want)*uint64(a), uint64(a+b)
	na := int(part / all)
	if rest := part % all; rest > 0 && uint64(ch.rnd.Uint32n(uint32(all))) < rest {
		na++
	}
	return na, want - na
}

// fromList appends want of the peers lo to hi of l to dst.
func (ch *chooser) fromList(dst []byte, l *list, lo, hi, want int) []byte {
	n := hi - lo
	if n <= 0 || want <= 0 {
		return dst
	}
	i := lo
	if want < n {
		for range maxSkip {
			i = lo + int(ch.rnd.Uint32n(uint32(n)))
			if ch.sees(l.peer(i)) {
				break
			}
		}
	}
	dst, want = ch.take(dst, l, i, hi, want)
	dst, _ = ch.take(dst, l, lo, i, want)
	return dst
}

// shares divides want among n4 IPv4 and n6 IPv6 peers as opentracker does:
// each family first gets a quarter of want, as far as it has that many, and
// what is left is shared in proportion to the rest, odd ones going to IPv6.
func shares(want, n4, n6 int) (w4, w6 int) {
	if want >= n4+n6 {
		return n4, n6
	}
	w4, w6 = min(want/4, n4), min(want/4, n6)
	r4, r6, left := n4-w4, n6-w6, want-w4-w6
	s4 := int(uint64(left) * uint64(r4) / uint64(r4+r6))
	s6 := min(left-s4, r6)
	return w4 + left - s6, w6 + s6
}
