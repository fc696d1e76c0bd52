package perf

import (
	"net/netip"
	"testing"

	"tracker/proto"
	"tracker/store"
)

// A request path without sockets: from the bytes of an announce to those of
// its answer, as the tracker's reactors do it.
type path struct {
	store   *store.Store
	rnd     *store.Rand
	request proto.Announce
	query   store.Query
	answer  store.Answer
}

func newPath() *path {
	return &path{store: store.New(store.Options{}), rnd: store.NewRand(1)}
}

// datagram appends the answer to pkt, sent from addr, to dst.
func (p *path) datagram(dst, pkt []byte, addr netip.Addr) ([]byte, error) {
	a := &p.request
	tx, err := proto.ParseUDPAnnounce(pkt, a)
	if err != nil {
		return dst, err
	}
	p.query = store.Query{
		Infohash: a.Infohash,
		Peer:     proto.MakePeer(addr, a.Port),
		Event:    a.Event,
		Seeder:   a.Left == 0,
		NumWant:  a.NumWant,
	}
	counts := p.store.Announce(&p.query, 0, p.rnd, &p.answer)
	return proto.AppendUDPAnnounce(dst, tx, 1800, counts, p.answer.V4), nil
}

// BenchmarkAnnounce is one announce of the canonical workload through proto
// and store, with all clients known. What the tracker spends beyond that is
// sockets.
func BenchmarkAnnounce(b *testing.B) {
	for _, bb := range []struct {
		name     string
		torrents uint32
	}{
		{"torrents=10k", 10_000},
		{"torrents=100k", 100_000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w := canonical(b, Workload{Torrents: bb.torrents})
			sources, p := Sources4(int(w.Sources)), newPath()
			var r Request
			pkt, dst := make([]byte, 0, maxRequest), make([]byte, 0, maxDatagram)
			send := func() {
				pkt = appendUDP(pkt[:0], &r, 1, 2)
				var err error
				if dst, err = p.datagram(dst[:0], pkt, sources[r.Source]); err != nil {
					b.Fatal(err)
				}
			}
			for c := range w.Clients {
				w.Client(c, &r)
				send()
			}
			b.ReportAllocs()
			for b.Loop() {
				w.Next(&r)
				send()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/announce")
		})
	}
}

// TestPathAllocs pins that an announce allocates nothing once its swarm is
// there, from bytes to bytes.
func TestPathAllocs(t *testing.T) {
	w := canonical(t, Workload{Torrents: 100})
	sources, p := Sources4(int(w.Sources)), newPath()
	pkt, dst := make([]byte, 0, maxRequest), make([]byte, 0, maxDatagram)
	var r Request
	announce := func() {
		w.Next(&r)
		r.Event = proto.EventNone
		pkt = appendUDP(pkt[:0], &r, 1, 2)
		var err error
		if dst, err = p.datagram(dst[:0], pkt, sources[r.Source]); err != nil || len(dst) < 20 {
			t.Fatal(err, len(dst))
		}
	}
	for range 20_000 {
		announce()
	}
	if n := testing.AllocsPerRun(1000, announce); n != 0 {
		t.Errorf("%v allocations per announce, want 0", n)
	}
}
