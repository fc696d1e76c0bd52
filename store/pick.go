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
// hundred is visible, that is bounded by maxSkip.) Which peers are neighbours
// on the ring is decided by a secret hash or by who came and went, not by an
// address.
//
// Announcing the asker told where it is, and most torrents are known to have no
// private peers. So nearly every run is copied as it lies, in one piece or two.
type chooser struct {
	rnd    *Rand
	public bool                // the asker sees no private peer, as most who have a public address
	near   bool                // more of the asker's family are taken than wanted, for keepNear to choose from
	self   place               // never handed out
	local  func(c []byte) bool // but these; or nil

	// Of the list that is handed out from:
	skip int  // the asker's index in it, or -1
	hide bool // it may have peers that the asker may not see for their address
}

// A place says where a peer is: the number of its set, or for a record of the
// set it would be in, its block there, 0 in a record, and its index in that
// block, or in the record's list of its family; -1 is that it is nowhere.
type place struct{ set, block, i int }

// maybePrivate says of the first byte of a compact peer of either family
// whether its address can be private: nearly none can, and most peers are
// looked at no further.
var maybePrivate = [256]bool{0: true, 10: true, 127: true, 169: true, 172: true, 192: true, 0xfc: true, 0xfd: true, 0xfe: true}

// private reports whether the peer with compact form c has a private address.
func private(c []byte) bool { return maybePrivate[c[0]] && proto.PrivateCompact(c) }

// hides reports whether an asker who sees no private peers does not see that with
// compact form c.
func (ch *chooser) hides(c []byte) bool {
	return proto.PrivateCompact(c) && (ch.local == nil || !ch.local(c))
}

// hidden counts those of the peers lo to hi of l.
func (ch *chooser) hidden(l *list, lo, hi int) (n int) {
	for i := lo; i < hi; i++ {
		if c := l.peer(i); maybePrivate[c[0]] && ch.hides(c) {
			n++
		}
	}
	return n
}

// putBack counts the asker among n again, who was taken off with others that are
// hidden: given takes it off, too.
func (ch *chooser) putBack(q *Query, n *crowd) {
	if ch.self.i >= 0 && ch.hides(q.Peer.Compact()) {
		n[ch.self.set]++
	}
}

// enter turns to the peers of a set that are in this block, or in a record.
func (ch *chooser) enter(set, block int) {
	ch.skip = -1
	if set == ch.self.set && block == ch.self.block {
		ch.skip = ch.self.i
	}
}

// sees reports whether the asker may be given peer i of l.
func (ch *chooser) sees(l *list, i int) bool {
	return i != ch.skip && !(ch.hide && ch.hides(l.peer(i)))
}

// run returns the first of the peers i to j of l that the asker may not be
// given, or j.
func (ch *chooser) run(l *list, i, j int) int {
	if i <= ch.skip && ch.skip < j {
		j = ch.skip
	}
	if ch.hide {
		for ; i < j; i++ {
			if maybePrivate[l.wire[i*l.width]] && ch.hides(l.peer(i)) { // no slice for most
				return i
			}
		}
	}
	return j
}

// take appends those of the peers i to j of l that the asker may see to dst,
// at most want of them, and returns how many more are wanted.
func (ch *chooser) take(dst []byte, l *list, i, j, want int) ([]byte, int) {
	for i < j && want > 0 {
		end := ch.run(l, i, min(j, i+want))
		dst = append(dst, l.wire[i*l.width:end*l.width]...)
		want -= end - i
		i = end + 1
	}
	return dst, want
}

// split divides want among a and b things so that every one of them has the
// same chance to be among the want chosen ones.
func (ch *chooser) split(want, a, b int) (int, int) {
	if want >= a+b {
		return a, b
	}
	if a == 0 || b == 0 {
		return min(want, a), min(want, b)
	}
	all := uint32(a + b)
	na := int((uint64(want)*uint64(a) + uint64(ch.rnd.Uint32n(all))) / uint64(all)) // rounded at random
	return na, want - na
}

// fromList appends want of the peers lo to hi of l, which would be in this set,
// to dst.
func (ch *chooser) fromList(dst []byte, l *list, set, lo, hi, want int) []byte {
	if want <= 0 {
		return dst
	}
	ch.enter(set, 0)
	i := lo
	if n := hi - lo; want < n {
		for range maxSkip {
			i = lo + int(ch.rnd.Uint32n(uint32(n)))
			if ch.sees(l, i) {
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
	if n6 == 0 {
		return want, 0
	}
	w4, w6 = min(want/4, n4), min(want/4, n6)
	r4, r6, left := n4-w4, n6-w6, want-w4-w6
	s4 := int(uint64(left) * uint64(r4) / uint64(r4+r6))
	s6 := min(left-s4, r6)
	return w4 + left - s6, w6 + s6
}
