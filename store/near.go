package store

import "tracker/proto"

// Nearby peers first: an asker is given those of its own network, as far as a
// random sample has any, and others to make up the number.
//
//	        same 24 bits   same 16 bits    the rest, as they come
//	IPv4   ├──────────────┼───────────────┼───────────────────────┼ ─ ─ ─ ─ ─ ┤
//	IPv6    same 48        same 32                                 not given
//
// The sample is taken as ever, only larger, so that there is no index to keep,
// no swarm is looked through, and whoever wants to be near somebody has to be in
// it by chance. Peers of the other family, which HTTP gives as well, are taken
// as they come: nobody knows where they are.

// sampleFactor is how many peers are looked at for each that is wanted.
const sampleFactor = 4

// wants divides what q wants among the families of n, and notes in a how many of
// the asker's are to be left of a sample.
func (ch *chooser) wants(q *Query, n *crowd, a *Answer) (w4, w6 int) {
	w4, w6 = shares(q.NumWant, n[0]+n[1], n[2]+n[3])
	if !ch.near {
		return w4, w6
	}
	if q.Peer.Is4() {
		a.keep = w4
		return min(sampleFactor*w4, n[0]+n[1]), w6
	}
	a.keep = w6
	return w4, min(sampleFactor*w6, n[2]+n[3])
}

// keepNear leaves the nearest peers of a sample, the nearest first. It does not
// need the shard's lock.
func (a *Answer) keepNear(q *Query) {
	wire, same := &a.V4, [...]int{3, 2}
	if q.Peer.Is6() {
		wire, same = &a.V6, [...]int{6, 4}
	}
	all, self := *wire, q.Peer.Compact()
	width := len(self)
	want := min(a.keep*width, len(all))
	done := 0 // bytes of peers that are in their place
	for _, prefix := range same {
		for i := done; i < len(all) && done < want; i += width {
			if string(all[i:i+prefix]) == string(self[:prefix]) {
				swap(all[done:done+width], all[i:i+width])
				done += width
			}
		}
	}
	*wire = all[:want]
}

// swap exchanges two peers, which may be one.
func swap(a, b []byte) {
	var c [proto.Peer6Len]byte
	copy(c[:], a)
	copy(a, b)
	copy(b, c[:len(a)])
}
