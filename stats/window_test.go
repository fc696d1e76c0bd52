package stats

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestWindow sorts more torrents than a window holds.
func TestWindow(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 99, 100, 101, 1000} {
		torrents := make([]Torrent, 100)
		for i := range torrents {
			torrents[i].Infohash = [20]byte{byte(rand.Uint32N(4)), 5: byte(i + 1)}
			torrents[i].Seeders = uint32(i)
		}
		torrents[50].Infohash = [20]byte{} // the lowest there is
		w, passes := NewWindow(n), 0
		var got []Torrent
		for more := true; more; passes++ {
			if passes == 2 && n == 10 { // its turn is still to come
				torrents = append(torrents, Torrent{Infohash: [20]byte{255}})
			}
			for i := range torrents {
				w.Add(&torrents[i])
			}
			var sorted []Torrent
			sorted, more = w.Next()
			got = append(got, sorted...)
		}
		slices.SortFunc(torrents, func(a, b Torrent) int { return bytes.Compare(a.Infohash[:], b.Infohash[:]) })
		if !slices.Equal(got, torrents) {
			t.Errorf("window of %d: got %d torrents in another order or number, want %d", n, len(got), len(torrents))
		}
		if passes > len(torrents)/n+1 {
			t.Errorf("window of %d: %d passes", n, passes)
		}
	}
}

// TestWindowLen proposes windows that are bounded.
func TestWindowLen(t *testing.T) {
	for torrents, want := range map[uint64]int{0: 4096, 65536: 4096, 1 << 20: 65536, 5_000_000: 262144, 1 << 63: 262144} {
		if got := WindowLen(torrents); got != want {
			t.Errorf("%d torrents: got %d, want %d", torrents, got, want)
		}
	}
}

// TestWindowEmpty passes over nothing.
func TestWindowEmpty(t *testing.T) {
	if sorted, more := NewWindow(0).Next(); len(sorted) != 0 || more {
		t.Errorf("got %v, %v", sorted, more)
	}
}

func BenchmarkWindow(b *testing.B) {
	torrents := make([]Torrent, 1<<17)
	for i := range torrents {
		for k := range torrents[i].Infohash {
			torrents[i].Infohash[k] = byte(rand.Uint32())
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		w := NewWindow(WindowLen(uint64(len(torrents))))
		for more := true; more; {
			for i := range torrents {
				w.Add(&torrents[i])
			}
			_, more = w.Next()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(torrents)), "ns/torrent")
}
