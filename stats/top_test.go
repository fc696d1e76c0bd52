package stats

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestCapturedTop(t *testing.T) {
	all := captures(t, "open")
	torrents := capturedTorrents(t, all)
	for range 10 { // whatever the order
		rand.Shuffle(len(torrents), func(i, j int) { torrents[i], torrents[j] = torrents[j], torrents[i] })
		for _, mode := range []string{"top10", "top100"} {
			m, _ := modeOf([]byte(mode))
			top := NewTop(m.TopLen())
			for i := range torrents {
				top.Add(&torrents[i])
			}
			if got, want := top.Append(nil), all["stats-mode-"+mode].body; !bytes.Equal(got, want) {
				t.Fatalf("%s:\n got %s\nwant %s", mode, got, want)
			}
		}
	}
}

// TestTop compares with sorting everything.
func TestTop(t *testing.T) {
	torrents := make([]Torrent, 1000)
	top := NewTop(10)
	for i := range torrents {
		torrents[i] = Torrent{Infohash: [20]byte{byte(rand.Uint32()), byte(i >> 8), byte(i)}, Seeders: rand.Uint32N(50), Leechers: rand.Uint32N(50)}
		top.Add(&torrents[i])
	}
	var want []byte
	for _, by := range []struct {
		name string
		size func(t *Torrent) uint32
	}{
		{"peers", func(t *Torrent) uint32 { return t.Seeders + t.Leechers }},
		{"seeds", func(t *Torrent) uint32 { return t.Seeders }},
		{"leechers", func(t *Torrent) uint32 { return t.Leechers }},
	} {
		slices.SortFunc(torrents, func(a, b Torrent) int {
			return cmp.Or(cmp.Compare(by.size(&b), by.size(&a)), bytes.Compare(b.Infohash[:], a.Infohash[:]))
		})
		want = append(want, "Top 10 torrents by "+by.name+":\n"...)
		for i := range torrents[:10] {
			want = append(want, '\t')
			want = append(appendPadded(want, uint64(by.size(&torrents[i])), 1), '\t')
			want = append(appendHex(want, &torrents[i].Infohash), '\n')
		}
	}
	if got := top.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestTopLimits: more than there can be, sums over 32 bits, and nobody.
func TestTopLimits(t *testing.T) {
	top := NewTop(MaxTop + 1)
	for range 2 * MaxTop {
		top.Add(&Torrent{Seeders: 1<<32 - 1, Leechers: 1<<32 - 1})
	}
	page := string(top.Append(nil))
	if !strings.HasPrefix(page, "Top 100 torrents by peers:\n\t8589934590\t") || strings.Count(page, "\n") != 3*(MaxTop+1) {
		t.Errorf("got %s", page)
	}
	empty := NewTop(10)
	empty.Add(&Torrent{Downloaded: 7})
	if got, want := string(empty.Append(nil)), "Top 10 torrents by peers:\nTop 10 torrents by seeds:\nTop 10 torrents by leechers:\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	torrent := Torrent{Seeders: 3}
	if n := testing.AllocsPerRun(100, func() { top.Add(&torrent) }); n != 0 {
		t.Errorf("%v allocations per torrent, want 0", n)
	}
}
