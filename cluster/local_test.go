package cluster

import (
	"net/netip"
	"testing"

	"tracker/proto"
	"tracker/store"
)

// TestLocal: peers of a LAN are neither told in batches, in content, nor summed,
// and taken of nobody; all others are.
func TestLocal(t *testing.T) {
	home := proto.MakePeer(netip.MustParseAddr("192.168.1.7"), 6881)
	out, home6 := peer4(1), proto.MakePeer(netip.MustParseAddr("fd00::7"), 6881)
	isLocal := func(compact []byte) bool { return proto.PrivateCompact(compact) }
	n := testNode(t)
	n.complete.Store(true)
	n.cfg.Local = isLocal
	x := &tester{Node: n, t: t, store: n.cfg.Store, record: n.Recorder(), rnd: store.NewRand(1)}
	for _, peer := range []proto.Peer{home, out, home6} {
		x.announce(&store.Query{Infohash: torrent(1), Peer: peer, Seeder: true, Event: proto.EventCompleted})
	}
	if told := x.record.take(); len(told) != 1 || told[0].peer != out {
		t.Errorf("told of %v, want of %v alone", told, out)
	}

	w := content{node: n}
	h := header{kind: kindContent, sender: 7, clock: wall()}
	w.begin(appendHeader(nil, &h))
	var c store.Cursor
	var v store.Visitor
	for n.cfg.Store.Visit(&c, wallMinute(), &v, nil, w.add) {
	}
	other := testNode(t)
	newMouth(other).say(4, w.end())
	y := tester{Node: other, t: t, store: other.cfg.Store}
	if got := y.counts(torrent(1)); got.Complete != 1 || other.Status().Rejected != 0 {
		t.Errorf("content has %d seeders, want 1", got.Complete)
	}

	sums, theirs := make([]uint64, maxBuckets), make([]uint64, maxBuckets)
	round := uint64(n.clock.now() / quick.digest.Milliseconds())
	n.sum(round, sums, &v)
	other.sum(round, theirs, &v)
	ih := torrent(1)
	if bucket := n.bucketSalt().bucketOf(&ih); sums[bucket] == 0 || sums[bucket] != theirs[bucket] {
		t.Errorf("sums are %x and %x", sums[bucket], theirs[bucket])
	}

	var b batch
	b.begin(n.clock.seconds())
	b.add(&ih, home.Compact(), markStopped, n.clock.seconds())
	ih = torrent(2)
	b.add(&ih, home6.Compact(), markSeeder, n.clock.seconds())
	h = header{kind: kindBatch, sender: 7, number: 1, clock: wall()}
	newMouth(n).say(0, seal(b.appendTo(appendHeader(nil, &h))))
	if one, two := x.counts(torrent(1)), x.counts(torrent(2)); one.Complete != 3 || two.Complete != 0 || n.Status().Rejected != 0 {
		t.Errorf("%d and %d seeders after others told of the LAN, want 3 and 0", one.Complete, two.Complete)
	}
}
