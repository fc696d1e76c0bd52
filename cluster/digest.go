package cluster

import (
	"encoding/binary"
	"math/bits"
	"time"

	"tracker/proto"
	"tracker/store"
)

// Digests show what members have not in common, without telling it. A salted hash
// divides torrents into buckets, and of each there is the sum of a hash of every
// peer, its torrent and its state, and of every torrent with its downloads. The
// number of the messages says which salt.
//
// Not all peers are in it, but those that all must know: with b the last boundary
// not after the minute a peer was last heard of, those with
//
//	minute of the round - b <= expire - 2
//
// Whoever was told of the peer at b has the same b, whatever renewals it was not
// told since, and has not forgotten it.
//
// All make theirs at the same moment, and tell it settle later, together with
// some tenths of a second that differ. A bucket in which something changed about
// that moment may differ because that was under way: it waits for the next
// round, but not for ever.
//
//	digest  0  round           8   number of the moment
//	        8  bits            1   there are 2^bits buckets
//	        9  zero            3
//	       12  sums       4 each
//
//	want    0  round           8
//	        8  bits            1
//	        9  zero            3
//	       12  a bit for each bucket
const (
	maxBits    = 16
	minBits    = 8
	maxBuckets = 1 << maxBits
	digestHead = 12

	// maxWaits is how many rounds a bucket that changes all the time waits.
	maxWaits = 4

	// roundRoom is how many bytes a member is told in one round.
	roundRoom = 2 << 20

	// roundLooks is how often a member is answered in one round: each time takes a
	// look at everything, even if nothing is found.
	roundLooks = 2

	// digestBytes is the memory that digests take, those being made included.
	digestBytes = maxBuckets * (8 + 8 + 4 + 1 + 1)
)

// digests is what there is of the last round, and what is going on in each
// bucket. The node's mutex guards it, but for the sums being made.
type digests struct {
	round   uint64 // 0: none is to be compared
	salt    salt
	sums    []uint64
	hot     []bool   // something changed about the moment of the round
	changed []uint32 // when something changed last, in seconds
	waits   []uint8  // rounds that the bucket differed and was hot
	asked   []uint64 // a bit for each bucket that was asked for in this round
}

func newDigests() digests {
	return digests{
		sums:    make([]uint64, maxBuckets),
		hot:     make([]bool, maxBuckets),
		changed: make([]uint32, maxBuckets),
		waits:   make([]uint8, maxBuckets),
		asked:   make([]uint64, maxBuckets/64),
	}
}

// changed notes which buckets changed.
func (n *Node) changed(entries []entry, now uint32) {
	salt := n.bucketSalt()
	n.bucketMu.Lock()
	defer n.bucketMu.Unlock()
	for i := range entries {
		if entries[i].flags&renewal == 0 {
			n.digests.changed[salt.bucketOf(&entries[i].infohash)] = now
		}
	}
}

// hot reports whether something in a torrent's bucket changed just before now.
func (n *Node) hot(ih *proto.Infohash, now uint32) bool {
	bucket := n.bucketSalt().bucketOf(ih)
	n.bucketMu.Lock()
	defer n.bucketMu.Unlock()
	return int32(now-n.digests.changed[bucket]) <= hotSeconds
}

// hotSeconds is how long a change may take to be everywhere.
const hotSeconds = 3

// mixDigest makes hashes of one thing that have nothing to do with each other.
func mixDigest(hash, salt uint64) uint64 {
	hi, lo := bits.Mul64(hash^salt*0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	return hi ^ lo ^ hash
}

// Salts of what is summed. Downloads have their number and this bit.
const (
	saltLeecher  = 1
	saltSeeder   = 2
	saltID       = 3
	saltDownload = 1 << 40
)

// summer makes the sums of a round.
type summer struct {
	sums    []uint64
	salt    salt
	minute  uint32 // of the round
	period  uint32
	expire  uint32
	clock   *clock
	present store.Minute
	local   func(compact []byte) bool // peers that others do not know; or nil
}

// maxQuiet is how many minutes a torrent without peers may have been idle to be
// in a digest: members forget it after a day, but may have heard of its last peer
// at different times.
const maxQuiet = 20 * 60

// add adds a part to the sums.
func (s *summer) add(p *store.Part) {
	var sum uint64
	n4, n6 := p.Len()
	known, shared := false, n4+n6
	for family, count := range [...]int{n4, n6} {
		for i := range count {
			compact, seeder, age := p.Peer(family, i)
			if s.local != nil && s.local(compact) {
				shared--
				continue
			}
			hash := peerHash(&p.Infohash, compact)
			b := boundary(hash, s.clock.shared(s.present-age), s.period)
			if int32(s.minute-b) > int32(s.expire-2) {
				continue
			}
			known = true
			if seeder {
				sum += mixDigest(hash, saltSeeder)
			} else {
				sum += mixDigest(hash, saltLeecher)
			}
		}
	}
	if p.Downloaded > 0 && (known || shared == 0 && p.Idle <= maxQuiet) {
		sum += mixDigest(peerHash(&p.Infohash, nil), saltDownload|uint64(p.Downloaded))
	}
	s.sums[s.salt.bucketOf(&p.Infohash)] += sum
}

// sumShare: sums take at most so small a share of the time. A node that has more
// peers leaves rounds out, and all come together in those of the largest.
const sumShare = 8

// compare makes and tells digests until the node stops.
func (n *Node) compare() {
	every := n.pace.digest.Milliseconds()
	var visitor store.Visitor
	sums := make([]uint64, maxBuckets)
	step := int64(1)
	for {
		round := (n.clock.now()/every/step + 1) * step
		if !n.sleep(time.Duration(round*every-n.clock.now()) * time.Millisecond) {
			return
		}
		n.mu.Lock()
		alone := len(n.members) == 0
		n.digests.round = 0
		n.mu.Unlock()
		if alone || !n.connected.Load() {
			continue
		}
		begin := time.Now()
		salt := n.sum(uint64(round), sums, &visitor)
		for step = 1; time.Since(begin) > n.pace.digest*time.Duration(step)/sumShare; {
			step *= 2
		}
		if !n.sleep(n.pace.settle) {
			return
		}
		sums = n.ready(uint64(round), salt, sums)
		// The others are ready soon, but not all tell theirs at once.
		if !n.sleep(n.pace.settle/4 + time.Duration(n.id>>8%1024)*n.pace.settle/1024) {
			return
		}
		n.tellDigest(uint64(round))
	}
}

// stopping reports whether the node stops.
func (n *Node) stopping() bool {
	select {
	case <-n.stop:
		return true
	default:
		return false
	}
}

// sleep waits for d, or returns false because the node stops.
func (n *Node) sleep(d time.Duration) bool {
	select {
	case <-n.stop:
		return false
	case <-time.After(d):
		return true
	}
}

// sum fills sums with those of a round, and returns the salt of their buckets.
func (n *Node) sum(round uint64, sums []uint64, v *store.Visitor) salt {
	clear(sums)
	s := summer{
		sums: sums, salt: n.bucketSalt(), minute: uint32(int64(round) * n.pace.digest.Milliseconds() / 60_000),
		period: n.period, expire: uint32(n.cfg.Store.Expire()), clock: &n.clock, local: n.cfg.Local,
	}
	var c store.Cursor
	for more := true; more && !n.stopping(); {
		s.present = n.clock.minute()
		more = n.cfg.Store.Visit(&c, s.present, v, nil, s.add)
	}
	return s.salt
}

// ready lets the sums of a round be compared, and returns memory for the next.
func (n *Node) ready(round uint64, s salt, sums []uint64) []uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := &n.digests
	since := uint32(int64(round)*n.pace.digest.Milliseconds()/1000) - hotSeconds
	n.bucketMu.Lock()
	for i, t := range d.changed {
		d.hot[i] = t >= since
	}
	n.bucketMu.Unlock()
	clear(d.asked)
	d.round, d.salt = round, s
	d.sums, sums = sums, d.sums
	return sums
}

// bitsFor returns how many buckets there are for so many torrents.
func bitsFor(torrents int) int {
	return max(minBits, min(bits.Len(uint(torrents))-1, maxBits))
}

// tellDigest tells the sums of a round.
func (n *Node) tellDigest(round uint64) {
	torrents, _, _ := n.cfg.Store.Totals()
	k := bitsFor(torrents)
	h := header{kind: kindDigest, sender: n.id, clock: n.clock.now()}
	b := appendHeader(make([]byte, 0, frameLen+digestHead+4<<k), &h)
	b = append(binary.LittleEndian.AppendUint64(b, round), byte(k), 0, 0, 0)
	n.mu.Lock()
	binary.LittleEndian.PutUint64(b[16:], n.digests.salt.id())
	per := maxBuckets >> k
	for i := 0; i < maxBuckets; i += per {
		sum, _ := n.digests.fold(i, per)
		b = binary.LittleEndian.AppendUint32(b, sum)
	}
	n.mu.Unlock()
	n.send(n.subject("digest"), seal(b))
}

// fold returns the sum of count buckets from i on, and whether one is hot.
func (d *digests) fold(i, count int) (sum uint32, hot bool) {
	var all uint64
	for k := i; k < i+count; k++ {
		all += d.sums[k]
		hot = hot || d.hot[k]
	}
	return uint32(all >> 32), hot
}

// heardDigest compares a member's digest with ours, and asks for what differs.
func (n *Node) heardDigest(h *header, body []byte) bool {
	if h.kind != kindDigest || len(body) < digestHead {
		return false
	}
	round, k := binary.LittleEndian.Uint64(body), int(body[8])
	if k < minBits || k > maxBits || len(body) != digestHead+4<<k || body[9]|body[10]|body[11] != 0 {
		return false
	}
	body = body[digestHead:]
	want := make([]byte, 1<<k/8)
	n.mu.Lock()
	m := n.meet(h.sender)
	if m == nil {
		n.mu.Unlock()
		return false
	}
	d := &n.digests
	if d.round != round || d.salt.id() != h.number { // one of us is late: there will be another round
		n.mu.Unlock()
		return true
	}
	m.differing = 0
	ask, per := false, maxBuckets>>k
	for i := range 1 << k {
		first := i * per
		sum, hot := d.fold(first, per)
		if sum == binary.LittleEndian.Uint32(body[4*i:]) {
			d.waits[first] = 0
			continue
		}
		m.differing++
		if hot && d.waits[first] < maxWaits {
			d.waits[first]++
			continue
		}
		if d.asked[first/64]>>(first%64)&1 == 0 { // or another was asked, and we look again next time
			d.asked[first/64] |= 1 << (first % 64)
			d.waits[first] = 0
			want[i/8] |= 1 << (i % 8)
			ask = true
		}
	}
	n.mu.Unlock()
	if ask {
		q := header{kind: kindWant, sender: n.id, number: h.number, clock: n.clock.now()}
		b := appendHeader(nil, &q)
		b = append(binary.LittleEndian.AppendUint64(b, round), byte(k), 0, 0, 0)
		n.send(n.to("ask", h.sender), seal(append(b, want...)))
	}
	return true
}

// possibleWant reports whether body asks for buckets.
func possibleWant(body []byte) bool {
	if len(body) < digestHead || body[9]|body[10]|body[11] != 0 {
		return false
	}
	k := int(body[8])
	return k >= minBits && k <= maxBits && len(body) == digestHead+1<<k/8
}

// want answers who asks for buckets: all of them, but no more in a round than it
// has room for. What is left is the first to be told when it asks again.
func (a *answerer) want(r *request) {
	n := a.node
	k := int(r.body[8])
	wanted, salt := r.body[digestHead:], n.bucketSalt()
	if r.number != salt.id() {
		return // there is another since: it will ask again
	}
	room, from := n.roomFor(r.sender)
	keep := func(ih *proto.Infohash) bool {
		i := salt.bucketOf(ih) >> (maxBits - k)
		return wanted[i/8]>>(i%8)&1 != 0
	}
	c, round := from, 0 // how often the end was met
	a.beginContent()
	for room > 0 && round < 2 && !n.stopping() {
		more := n.cfg.Store.Visit(&c, n.clock.minute(), &a.visitor, keep, a.content.add)
		if !more {
			c, round = store.Cursor{}, round+1
		}
		if round == 2 || round == 1 && !c.Before(from) {
			break
		}
		if a.content.full() {
			room -= int64(a.send(r.sender))
			a.beginContent()
		}
	}
	if a.content.n > 0 {
		room -= int64(a.send(r.sender))
	}
	n.mu.Lock()
	if m := n.members[r.sender]; m != nil {
		m.room, m.place = room, c
	}
	n.mu.Unlock()
}

// beginContent begins a message of content.
func (a *answerer) beginContent() {
	n := a.node
	h := header{kind: kindContent, sender: n.id, clock: n.clock.now()}
	a.content.begin(appendHeader(a.content.msg[:0], &h))
}

// roomFor returns how much a member may be told in this round, and from where on.
func (n *Node) roomFor(id uint64) (int64, store.Cursor) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.members[id]
	if m == nil {
		return 0, store.Cursor{}
	}
	if round := uint32(n.clock.now() / n.pace.digest.Milliseconds()); m.served != round {
		m.served, m.room, m.looks = round, roundRoom, 0
	}
	if m.looks++; m.looks > roundLooks {
		return 0, m.place
	}
	return m.room, m.place
}

// heardContent applies what was asked for.
func (n *Node) heardContent(in *inbox, body []byte) bool {
	in.late, in.repair = true, true
	if !parseContent(body, n.clock.seconds(), in.torrent, in.add) {
		return false
	}
	in.apply()
	return true
}
