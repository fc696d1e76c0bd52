package store

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"

	"tracker/proto"
)

// nearPeer returns peer i of a network, given as the beginning of an address.
func nearPeer(network string, i int) proto.Peer {
	p := netip.MustParsePrefix(network)
	b := p.Addr().AsSlice()
	b[len(b)-2], b[len(b)-1] = b[len(b)-2]|byte(i>>8), byte(i)
	a, _ := netip.AddrFromSlice(b)
	return proto.MakePeer(a, uint16(2000+i))
}

// TestNearFirst has swarms with a few neighbours, all of which are in the sample, and
// sees them come first and in order, with others to make up the number.
func TestNearFirst(t *testing.T) {
	for _, tt := range []struct {
		family           string
		asker            proto.Peer
		nearest, nearer  string
		other            string
		width, bits, all int
	}{
		{"IPv4, small", nearPeer("198.51.100.0/24", 200), "198.51.100.0/24", "198.51.7.0/24", "192.0.0.0/16", 6, 24, 40},
		{"IPv4, large", nearPeer("198.51.100.0/24", 200), "198.51.100.0/24", "198.51.7.0/24", "192.0.0.0/16", 6, 24, 200},
		{"IPv6, small", nearPeer("2001:db8:1::/48", 200), "2001:db8:1::/48", "2001:db8:2::/48", "2002::/16", 18, 48, 40},
		{"IPv6, large", nearPeer("2001:db8:1::/48", 200), "2001:db8:1::/48", "2001:db8:2::/48", "2002::/16", 18, 48, 200},
	} {
		for _, want := range []int{1, 3, 7, 50, 200} {
			t.Run(fmt.Sprint(tt.family, "/", want), func(t *testing.T) {
				const nearest, nearer = 4, 6
				s, rnd, a := New(Options{Shards: 1, Near: true}), NewRand(1), Answer{}
				q := Query{Both: true}
				for i := range tt.all {
					network := tt.other
					switch {
					case i%(tt.all/10) == 0 && i/(tt.all/10) < nearest:
						network = tt.nearest
					case i%(tt.all/10) == 0:
						network = tt.nearer
					}
					q.Peer = nearPeer(network, i)
					s.Announce(&q, 1, rnd, &a)
				}
				q.Peer, q.NumWant = tt.asker, want
				all := want*sampleFactor >= tt.all
				for range 200 {
					s.Announce(&q, 1, rnd, &a)
					wire := a.V4
					if tt.width == 18 {
						wire = a.V6
					}
					if n := len(wire) / tt.width; n != min(want, tt.all) {
						t.Fatalf("%d peers, want %d", n, want)
					}
					rank, ranks, seen := 0, [3]int{}, map[string]bool{}
					for c := range slices.Chunk(wire, tt.width) {
						r := nearness(q.Peer.Compact(), c)
						if r < rank || seen[string(c)] {
							t.Fatalf("%x is handed out behind farther ones, or twice", c)
						}
						rank, seen[string(c)] = r, true
						ranks[r]++
					}
					if all && (ranks[0] != min(nearest, want) || ranks[1] != min(nearer, want-ranks[0])) {
						t.Fatalf("%v by nearness, of %d", ranks, want)
					}
				}
			})
		}
	}
}

// nearness returns 0 for the nearest network, 1 for the next and 2 for others.
func nearness(a, b []byte) int {
	bits := [2]int{24, 16}
	if len(a) == 18 {
		bits = [2]int{48, 32}
	}
	for r, n := range bits {
		if string(a[:n/8]) == string(b[:n/8]) {
			return r
		}
	}
	return 2
}

// TestNearOthers sees that peers of the other family, and seeders for a seeder,
// are as without neighbours: as many of each family, none for whom there is
// none.
func TestNearOthers(t *testing.T) {
	near, plain := New(Options{Shards: 1, Near: true}), New(Options{Shards: 1})
	rnd, a, b := NewRand(1), Answer{}, Answer{}
	q := Query{Both: true}
	for i := range 1000 {
		q.Seeder = i%3 == 0
		q.Peer = testPeer4(uint32(i))
		if i%4 == 0 {
			q.Peer = testPeer6(uint32(i))
		}
		near.Announce(&q, 1, rnd, &a)
		plain.Announce(&q, 1, rnd, &b)
	}
	for _, seeder := range []bool{false, true} {
		for _, peer := range []proto.Peer{testPeer4(5000), testPeer6(5000)} {
			for _, want := range []int{0, 1, 10, 200, 1000} {
				q = Query{Both: true, Peer: peer, Seeder: seeder, NumWant: want}
				near.Announce(&q, 1, rnd, &a)
				plain.Announce(&q, 1, rnd, &b)
				if len(a.V4) != len(b.V4) || len(a.V6) != len(b.V6) {
					t.Errorf("%d wanted: %d and %d bytes of peers, without preference %d and %d", want, len(a.V4), len(a.V6), len(b.V4), len(b.V6))
				}
				q.Event = proto.EventStopped
				near.Announce(&q, 1, rnd, &a)
				plain.Announce(&q, 1, rnd, &b)
				if len(a.V4)+len(a.V6) > 0 {
					t.Error("who leaves is given peers")
				}
			}
		}
	}
}

// TestNearFair sees that those who are no neighbours are handed out about equally
// often, and neighbours as often as they are in the sample. In whose samples there
// are more neighbours than in others' differs from secret to secret: those who lie
// together with six of them are handed out a quarter less often.
func TestNearFair(t *testing.T) {
	const peers, neighbours, want, rounds = 2000, 20, 25, 40_000
	s, rnd, a := New(Options{Shards: 1, Near: true}), NewRand(42), Answer{}
	var q Query
	times := map[string]int{}
	for i := range peers {
		q.Peer = nearPeer("192.0.0.0/16", i)
		if i%(peers/neighbours) == 0 {
			q.Peer = nearPeer("198.51.100.0/24", i/(peers/neighbours))
		}
		times[string(q.Peer.Compact())] = 0
		s.Announce(&q, 1, rnd, &a)
	}
	q.Peer, q.NumWant = nearPeer("198.51.100.0/24", 200), want
	for range rounds {
		s.Announce(&q, 1, rnd, &a)
		for c := range slices.Chunk(a.V4, 6) {
			times[string(c)]++
		}
	}
	near, far := float64(rounds)*want*sampleFactor/peers, 0.0
	for c, n := range times {
		if nearness(q.Peer.Compact(), []byte(c)) == 2 {
			far += float64(n) / (peers - neighbours)
		} else if math.Abs(float64(n)-near) > 5.5*math.Sqrt(near) {
			t.Errorf("neighbour %x was handed out %d times, want %.0f", c, n, near)
		}
	}
	for c, n := range times {
		if nearness(q.Peer.Compact(), []byte(c)) == 2 && (float64(n) < far*0.5 || float64(n) > far*1.5) {
			t.Errorf("%x was handed out %d times, others %.0f", c, n, far)
		}
	}
}

// TestNearAllocs shows that neighbours cost no memory.
func TestNearAllocs(t *testing.T) {
	s, rnd, a := New(Options{Shards: 1, Near: true}), NewRand(1), Answer{}
	q := Query{NumWant: 200, Both: true}
	for i := range uint32(5000) {
		q.Peer = testPeer4(i)
		s.Announce(&q, 1, rnd, &a)
		q.Peer = testPeer6(i)
		s.Announce(&q, 1, rnd, &a)
	}
	if n := testing.AllocsPerRun(1000, func() { s.Announce(&q, 1, rnd, &a) }); n != 0 {
		t.Errorf("%v allocations an announce, want 0", n)
	}
}
