package perf

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"tracker/proto"
)

// TestWorkloadIsCanonical pins the workload's first requests and infohashes:
// numbers measured with another workload cannot be compared.
func TestWorkloadIsCanonical(t *testing.T) {
	w := canonical(t, Workload{})
	want := []string{
		"torrent 337 source 248 port 11893 event 0 seeder true numwant 50",
		"torrent 1 source 216 port 21184 event 0 seeder true numwant 50",
		"torrent 93 source 88 port 39660 event 0 seeder true numwant 50",
		"torrent 22 source 197 port 7821 event 0 seeder false numwant 50",
	}
	for i, want := range want {
		var r Request
		w.Next(&r)
		got := fmt.Sprintf("torrent %d source %d port %d event %d seeder %v numwant %d", r.Torrent, r.Source, r.Port, r.Event, r.Seeder, r.NumWant)
		if got != want {
			t.Errorf("request %d: %s, want %s", i, got, want)
		}
	}
	if got, want := fmt.Sprintf("%x", Infohash(0)), "f465b9a16a9e786e4f450980185dc406ec814c72"; got != want {
		t.Errorf("infohash of torrent 0: %s, want %s", got, want)
	}
}

func TestWorkloadRepeats(t *testing.T) {
	a, b, c := canonical(t, Workload{Seed: 1}), canonical(t, Workload{Seed: 1}), canonical(t, Workload{Seed: 2})
	same := 0
	for i := range 1000 {
		var ra, rb, rc Request
		a.Next(&ra)
		b.Next(&rb)
		c.Next(&rc)
		if ra != rb {
			t.Fatalf("request %d: %+v and %+v from the same seed", i, ra, rb)
		}
		if ra == rc {
			same++
		}
	}
	if same > 10 {
		t.Errorf("%d of 1000 requests are the same from another seed", same)
	}
}

// TestWorkloadShares draws enough requests to see that the mix is the one
// stated. A share s of n draws is off by more than 5 sqrt(s/n) once in a
// million runs; the seed is fixed, so it is never or always.
func TestWorkloadShares(t *testing.T) {
	const n = 1 << 20
	w := canonical(t, Workload{})
	counts := map[string]float64{}
	sources := map[uint32]bool{}
	for range n {
		var r Request
		w.Next(&r)
		counts[fmt.Sprint("event ", r.Event)]++
		if r.Torrent < 10 {
			counts[fmt.Sprint("torrent ", r.Torrent)]++
		}
		if r.Torrent >= w.Torrents || r.Port < 1024 || r.NumWant != 50 || r.Kind != Announce {
			t.Fatalf("%+v", r)
		}
		sources[r.Source] = true
	}
	if len(sources) != 256 {
		t.Errorf("%d sources, want 256", len(sources))
	}
	want := map[string]float64{"event 0": 0.90, "event 1": 0.02, "event 2": 0.04, "event 3": 0.04}
	for name, share := range want {
		if got := counts[name] / n; math.Abs(got-share) > 5*math.Sqrt(share/n) {
			t.Errorf("%s: share %.4f, want %.4f", name, got, share)
		}
	}
	// Which torrents the 100,000 clients have is drawn only once, so those
	// shares are as wide as that many draws leave them.
	for k := range 10 {
		share := math.Log1p(1/float64(k+1)) / math.Log(10_001)
		got := counts[fmt.Sprint("torrent ", k)] / n
		if math.Abs(got-share) > 5*math.Sqrt(share/100_000) {
			t.Errorf("torrent %d: share %.4f, want %.4f", k, got, share)
		}
	}
}

func TestWorkloadSeeders(t *testing.T) {
	w := canonical(t, Workload{})
	seeders := 0
	for c := range w.Clients {
		var r, again Request
		w.Client(c, &r)
		w.Client(c, &again)
		if r != again {
			t.Fatalf("client %d is %+v and %+v", c, r, again)
		}
		if r.Seeder {
			seeders++
		}
	}
	if share := float64(seeders) / float64(w.Clients); math.Abs(share-0.4) > 0.01 {
		t.Errorf("%.3f of the clients seed, want 0.400", share)
	}
}

func TestWorkloadLimits(t *testing.T) {
	for _, w := range []Workload{
		{Torrents: 1<<30 + 1},
		{Clients: 1<<30 + 1},
		{Sources: 65537},
		{Stopped: 0.6, Complete: 0.5},
		{Seeders: -0.1},
	} {
		if err := w.Init(); !errors.Is(err, ErrWorkload) {
			t.Errorf("%+v: %v, want ErrWorkload", w, err)
		}
	}
	w := canonical(t, Workload{Torrents: 1, Clients: 1, Sources: 1, NumWant: NoPeers})
	var r Request
	w.Next(&r)
	if r.Torrent != 0 || r.Source != 0 || r.NumWant != 0 {
		t.Errorf("smallest workload: %+v", r)
	}
}

// TestInfohashesDiffer looks for two torrents with the same first 8 bytes,
// which a hash of so few should not give.
func TestInfohashesDiffer(t *testing.T) {
	seen := map[uint64]uint32{}
	for i := range uint32(100_000) {
		ih := Infohash(i)
		k := be.Uint64(ih[:])
		if o, ok := seen[k]; ok {
			t.Fatalf("torrents %d and %d begin alike: %x", o, i, ih)
		}
		seen[k] = i
	}
}

func canonical(tb testing.TB, w Workload) *Workload {
	tb.Helper()
	if err := w.Init(); err != nil {
		tb.Fatal(err)
	}
	return &w
}

// BenchmarkNext is what the generator spends on deciding what to send.
func BenchmarkNext(b *testing.B) {
	w := canonical(b, Workload{})
	var r Request
	b.ReportAllocs()
	for b.Loop() {
		w.Next(&r)
	}
}

// BenchmarkPacket is what it spends on turning that into bytes.
func BenchmarkPacket(b *testing.B) {
	r := Request{Kind: Announce, Torrent: 7, Port: 6881, NumWant: 50, Event: proto.EventStarted}
	wires := map[string]func([]byte) []byte{
		"udp":  func(dst []byte) []byte { return appendUDP(dst, &r, 1, 2) },
		"http": func(dst []byte) []byte { return appendHTTP(dst, &r, "127.0.0.1:6969", true) },
	}
	for _, wire := range []string{"udp", "http"} {
		b.Run("wire="+wire, func(b *testing.B) {
			dst := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				dst = wires[wire](dst[:0])
			}
		})
	}
}
