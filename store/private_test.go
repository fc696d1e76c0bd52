package store

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"tracker/proto"
)

// TestPrivate checks who is given which peers for every choice of
// Options.Private, in small torrents and large ones, with and without local
// addresses.
func TestPrivate(t *testing.T) {
	public, private := testPeer4(1<<30), proto.MakePeer(netip.MustParseAddr("192.168.7.7"), 6881)
	local := func(c []byte) bool { return c[0] == 10 && c[3] < 10 }
	const locals, others = 10, 20 // of testPrivate
	for _, tt := range []struct {
		name    string
		choice  Private
		local   bool
		asker   proto.Peer
		private int // peers with private addresses that the asker is given
	}{
		{"same, public", PrivateSame, false, public, 0},
		{"same, private", PrivateSame, false, private, locals + others},
		{"hide, private", PrivateHide, false, private, 0},
		{"hide, public", PrivateHide, false, public, 0},
		{"all, public", PrivateAll, false, public, locals + others},
		{"same, local, public", PrivateSame, true, public, locals},
		{"same, local, private", PrivateSame, true, private, locals + others},
		{"hide, local, private", PrivateHide, true, private, locals},
		{"all, local, public", PrivateAll, true, public, locals + others},
	} {
		for _, peers := range []int{5, 300} {
			t.Run(fmt.Sprint(tt.name, "/", peers), func(t *testing.T) {
				o := Options{Shards: 1, Private: tt.choice}
				if tt.local {
					o.Local = local
				}
				s, rnd, a := New(o), NewRand(1), Answer{}
				q := Query{}
				for i := range locals + others {
					q.Peer = testPrivate(i)
					s.Announce(&q, 1, rnd, &a)
				}
				for i := range peers {
					q.Peer = testPeer4(uint32(i))
					s.Announce(&q, 1, rnd, &a)
				}
				q.Peer = tt.asker
				for _, want := range []int{1, 4, 50, 1000} {
					q.NumWant = want
					s.Announce(&q, 1, rnd, &a)
					n := 0
					for c := range slices.Chunk(a.V4, 6) {
						if proto.PrivateCompact(c) {
							n++
						}
					}
					if got, most := len(a.V4)/6, peers+tt.private; got != min(want, most) {
						t.Errorf("%d peers of %d, want %d", got, most, want)
					}
					if n > tt.private || want == 1000 && n != tt.private {
						t.Errorf("%d of them private, want %d", n, tt.private)
					}
				}
			})
		}
	}
}

// TestPrivateAllocs shows that looking at who is private allocates nothing.
func TestPrivateAllocs(t *testing.T) {
	for _, peers := range []int{5, 300} {
		s, rnd, a := New(Options{Shards: 1, Local: func(c []byte) bool { return c[3] < 10 }}), NewRand(1), Answer{}
		q := Query{NumWant: 1000}
		for i := range peers {
			q.Peer = testPrivate(i)
			s.Announce(&q, 1, rnd, &a)
			q.Peer = testPeer4(uint32(i))
			s.Announce(&q, 1, rnd, &a)
		}
		if n := testing.AllocsPerRun(100, func() { s.Announce(&q, 1, rnd, &a) }); n != 0 {
			t.Errorf("%v allocations an announce, want 0", n)
		}
	}
}
