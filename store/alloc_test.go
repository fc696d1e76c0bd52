package store

import (
	"fmt"
	"testing"

	"tracker/proto"
)

// TestAllocs shows that announces and scrapes allocate nothing, whatever the
// size of the swarm.
func TestAllocs(t *testing.T) {
	for _, peers := range []int{1, 50, 5_000} {
		s, rnd, a := New(Options{Shards: 1}), NewRand(1), Answer{}
		q := Query{NumWant: 50, Both: true}
		for i := range peers {
			q.Peer = testPeer4(uint32(i))
			s.Announce(&q, 1, rnd, &a)
			q.Peer = testPeer6(uint32(i))
			s.Announce(&q, 1, rnd, &a)
		}
		if n := testing.AllocsPerRun(1000, func() { s.Announce(&q, 1, rnd, &a) }); n != 0 {
			t.Errorf("%d peers: %v allocations an announce, want 0", peers, n)
		}
		if n := testing.AllocsPerRun(1000, func() { s.Scrape(&q.Infohash) }); n != 0 {
			t.Errorf("%d peers: %v allocations a scrape, want 0", peers, n)
		}
	}
}

// TestGivenBack shows that what a pool no longer needs is given back: after a
// hundred thousand peers came and went, no chunk is left.
func TestGivenBack(t *testing.T) {
	s, rnd, a := New(Options{Shards: 1}), NewRand(1), Answer{}
	for i := range uint32(60_000) {
		s.Announce(&Query{Infohash: testInfohash(i % 500), Peer: testPeer4(i)}, 1, rnd, &a)
		s.Announce(&Query{Infohash: testInfohash(i), Peer: testPeer6(i)}, 1, rnd, &a)
	}
	for now := Minute(2); now < 60; now++ {
		for !s.SweepStep(now) {
		}
	}
	sh := &s.shards[0]
	if n, _, _ := s.Totals(); n != 0 {
		t.Fatalf("%d torrents left", n)
	}
	for class := 1; class < len(sh.records); class++ {
		if p := &sh.records[class]; p.n != 0 || p.paid != 0 || len(p.chunks) > 1 {
			t.Errorf("records of %d bytes: %d left, %d chunks", p.size, p.n, len(p.chunks))
		}
	}
	for cls := range sh.blocks {
		if p := &sh.blocks[cls]; p.n != 0 || p.paid != 0 || len(p.chunks) > 1 {
			t.Errorf("blocks of %d bytes: %d left, %d chunks", p.size, p.n, len(p.chunks))
		}
	}
	if sh.tab.home != minTableLen {
		t.Errorf("the table has %d slots, want %d", sh.tab.home, minTableLen)
	}
}

// TestCountKept shows that the count of downloads outlives the peers by a day,
// and no longer.
func TestCountKept(t *testing.T) {
	m := newMachine(t, 45)
	q := Query{Peer: testPeer4(1), Seeder: true, Event: proto.EventCompleted}
	m.store.Announce(&q, m.now, m.rnd, &m.a)
	m.model.announce(&q, m.now)
	m.advance(keepCount)
	if c, ok := m.store.Scrape(&q.Infohash); !ok || c != (proto.Counts{Downloaded: 1}) {
		t.Errorf("after a day: %+v, %v", c, ok)
	}
	m.compare()
	m.advance(1)
	if _, ok := m.store.Scrape(&q.Infohash); ok {
		t.Error("after a day and a minute the torrent is still there")
	}
}

// TestLayout pins what budgets were computed from.
func TestLayout(t *testing.T) {
	if n := recordPeers + 7*recordClasses[1]; n != 29 {
		t.Errorf("a record with one peer has %d bytes, want 29", n)
	}
	if c := blockCap(0, 6); c != 19 {
		t.Errorf("a unit holds %d IPv4 peers, want 19", c)
	}
	if c := blockCap(0, 18); c != 7 {
		t.Errorf("a unit holds %d IPv6 peers, want 7", c)
	}
}

func BenchmarkAnnounce(b *testing.B) {
	for _, peers := range []int{1, 50, 1_000, 100_000} {
		b.Run(fmt.Sprintf("family=4/swarm=%d/numwant=50", peers), func(b *testing.B) {
			s, rnd, a := New(Options{Shards: 1}), NewRand(1), Answer{}
			q := Query{}
			for i := range peers {
				q.Peer = testPeer4(uint32(i))
				s.Announce(&q, 1, rnd, &a)
			}
			q.NumWant = 50
			b.ReportAllocs()
			for b.Loop() {
				q.Peer = testPeer4(rnd.Uint32n(uint32(peers)))
				s.Announce(&q, 1, rnd, &a)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/announce")
		})
	}
}
