package store

import (
	"math"
	"net/netip"
	"testing"

	"tracker/proto"
)

// TestFair checks with a chi-square test that every peer an asker may see is
// handed out equally often, in swarms of every kind of layout.
func TestFair(t *testing.T) {
	tests := []struct {
		name           string
		peers, numWant int
		seederEvery    int // every so many'th peer is a seeder, 0 for none
		private        int // so many peers of private addresses besides
		asker          bool
	}{
		{name: "record", peers: 40, numWant: 7, asker: true},
		{name: "record with seeders", peers: 60, numWant: 10, seederEvery: 3, asker: true},
		{name: "one block", peers: 120, numWant: 20, asker: true},
		{name: "record with private peers", peers: 30, numWant: 5, private: 10, asker: true},
		{name: "blocks", peers: 2_000, numWant: 50, asker: true},
		{name: "blocks with seeders", peers: 3_000, numWant: 50, seederEvery: 4, asker: true},
		{name: "blocks with private peers", peers: 1_000, numWant: 50, private: 300, asker: true},
		{name: "record, the leechers are private", peers: 50, numWant: 12, seederEvery: 1, private: 15, asker: true},
		{name: "blocks, the leechers are private", peers: 1_000, numWant: 50, seederEvery: 1, private: 500, asker: true},
		{name: "blocks, most leechers are private", peers: 1_000, numWant: 50, seederEvery: 2, private: 2_000, asker: true},
		{name: "seeder asks", peers: 3_000, numWant: 50, seederEvery: 2, asker: false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, rnd, a := New(Options{Shards: 1}), NewRand(42), Answer{}
			asker := testPeer4(1 << 30)
			q := Query{NumWant: 0}
			eligible := map[string]int{}
			for i := range tt.peers {
				if i == tt.peers/2 { // so that it is among the others
					q.Peer, q.Seeder = asker, !tt.asker
					s.Announce(&q, 1, rnd, &a)
				}
				q.Peer = testPeer4(uint32(i))
				q.Seeder = tt.seederEvery > 0 && i%tt.seederEvery == 0
				s.Announce(&q, 1, rnd, &a)
				if tt.asker || !q.Seeder {
					eligible[string(q.Peer.Compact())] = 0
				}
			}
			q.Seeder = false
			for i := range tt.private {
				q.Peer = testPrivate(i)
				s.Announce(&q, 1, rnd, &a)
			}
			q.Peer, q.Seeder, q.NumWant = asker, !tt.asker, tt.numWant
			const rounds = 40_000
			for range rounds {
				s.Announce(&q, 1, rnd, &a)
				if len(a.V4) != 6*tt.numWant {
					t.Fatalf("%d peers, want %d", len(a.V4)/6, tt.numWant)
				}
				for w := a.V4; len(w) > 0; w = w[6:] {
					eligible[string(w[:6])]++
				}
			}
			// Runs make counts of neighbours depend on each other, so
			// chi-square is larger than for independent draws by up to
			// numWant. Compare each peer with its own expectation.
			want := float64(rounds*tt.numWant) / float64(len(eligible))
			sigma := math.Sqrt(want)
			worst := 0.0
			for c, n := range eligible {
				if d := math.Abs(float64(n)-want) / sigma; d > worst {
					worst = d
					if d > 5.5 {
						t.Errorf("peer %x was handed out %d times, want %.0f ± %.0f", c, n, want, sigma)
					}
				}
			}
			t.Logf("%d peers, each %.0f times, worst off by %.1f standard deviations", len(eligible), want, worst)
		})
	}
}

func testPrivate(n int) proto.Peer {
	p := testPeer4(0)
	a := p.Addr().As4()
	a[0], a[2], a[3] = 10, byte(n>>8), byte(n)
	return proto.MakePeer(netip.AddrFrom4(a), 6881)
}

// TestShares checks the division between families against what opentracker
// was seen to do with 120 IPv4 and 20 IPv6 peers.
func TestShares(t *testing.T) {
	for want, w := range map[int][2]int{
		1: {0, 1}, 2: {1, 1}, 3: {2, 1}, 4: {2, 2}, 5: {3, 2}, 8: {5, 3}, 10: {7, 3}, 20: {13, 7}, 49: {35, 14},
		50: {36, 14}, 100: {80, 20}, 139: {119, 20}, 140: {120, 20}, 200: {120, 20},
	} {
		if w4, w6 := shares(want, 120, 20); w4 != w[0] || w6 != w[1] {
			t.Errorf("shares(%d, 120, 20) = %d, %d, want %d, %d", want, w4, w6, w[0], w[1])
		}
	}
	for n4 := range 12 {
		for n6 := range 12 {
			for want := range 30 {
				w4, w6 := shares(want, n4, n6)
				if w4 > n4 || w6 > n6 || w4 < 0 || w6 < 0 || w4+w6 != min(want, n4+n6) {
					t.Errorf("shares(%d, %d, %d) = %d, %d", want, n4, n6, w4, w6)
				}
			}
		}
	}
}
