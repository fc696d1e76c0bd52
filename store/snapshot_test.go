package store

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tracker/proto"
)

var testHeader = SnapshotHeader{Wall: 1_700_000_000_000, Clock: 99_000_000, Secret: [16]byte{1, 2, 3, 15: 16}}

func allowAll(*proto.Infohash) bool { return true }

// snapshot returns a snapshot of s.
func snapshot(t testing.TB, s *Store, now Minute) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.WriteSnapshot(&b, &testHeader, now); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// load fills s with a snapshot.
func load(s *Store, b []byte, now, elapsed Minute) (SnapshotTotals, error) {
	from, err := ReadSnapshot(bytes.NewReader(b))
	if err != nil {
		return SnapshotTotals{}, err
	}
	return s.LoadSnapshot(from, now, elapsed, allowAll)
}

// contents returns every torrent of s with its downloads, when it was used if
// it has no peers, and every peer with its age, each once.
func contents(t testing.TB, s *Store, now Minute) map[proto.Infohash]string {
	t.Helper()
	all := map[proto.Infohash]string{}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.walk(func(at ref) {
			var lines []string
			add := func(l list) {
				for i := range l.stamps {
					lines = append(lines, fmt.Sprintf("%x %v %d", l.peer(i), l.seeder(i), stampAge(l.stamps[i], now)))
				}
			}
			head := fmt.Sprintf("downloaded %d", sh.counts(at, sh.crowd(at)).Downloaded)
			if at.class() == swarmRef {
				for set := range 4 {
					v := sh.view(at.index(), set)
					for b := range v.dir {
						add(v.block(b))
					}
				}
			} else {
				r := sh.record(at)
				add(r.list4())
				add(r.list6())
				if len(lines) == 0 {
					head += fmt.Sprintf(", idle %d", r.idle(now))
				}
			}
			slices.Sort(lines)
			if n := len(lines); len(slices.Compact(lines)) != n {
				t.Errorf("%x has a peer twice", *sh.infohash(at))
			}
			ih := *sh.infohash(at)
			if all[ih] != "" {
				t.Errorf("%x is there twice", ih)
			}
			all[ih] = head + "\n" + strings.Join(lines, "\n")
		})
	}
	return all
}

// sameContents compares what two stores have, at different minutes.
func sameContents(t testing.TB, got *Store, gotNow Minute, want *Store, wantNow Minute) {
	t.Helper()
	g, w := contents(t, got, gotNow), contents(t, want, wantNow)
	for ih := range w {
		if g[ih] != w[ih] {
			t.Fatalf("torrent %x: got %s\nwant %s", ih, g[ih], w[ih])
		}
	}
	if !maps.Equal(g, w) {
		t.Fatalf("%d torrents, want %d", len(g), len(w))
	}
	gt, gs, gl := got.Totals()
	wt, ws, wl := want.Totals()
	if gt != wt || gs != ws || gl != wl {
		t.Errorf("totals %d %d %d, want %d %d %d", gt, gs, gl, wt, ws, wl)
	}
}

// fillMixed announces to small, middling and large torrents of both families
// over an hour, and lets some of it expire. It returns the minute it is.
func (m *machine) fillMixed(torrents, peers int) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 60 {
		for range peers / 60 {
			n := uint32(r.IntN(torrents))
			if r.IntN(3) == 0 {
				n = uint32(r.IntN(2)) // large ones
			}
			q := Query{Infohash: testInfohash(n), Peer: testPeer4(r.Uint32N(1 << 16)), Seeder: r.IntN(3) == 0}
			if r.IntN(4) == 0 {
				q.Peer = testPeer6(r.Uint32N(1 << 16))
			}
			switch r.IntN(20) {
			case 0:
				q.Event, q.Seeder = proto.EventCompleted, true
			case 1:
				q.Event = proto.EventStopped
			}
			m.store.Announce(&q, m.now, m.rnd, &m.a)
			m.model.announce(&q, m.now)
		}
		m.advance(1)
	}
}

// TestSnapshotModel takes a store of everything through a snapshot, into stores
// of other secrets and numbers of shards, at another minute.
func TestSnapshotModel(t *testing.T) {
	m := newMachine(t, 45)
	defer m.end()
	peers := 120_000
	if checked {
		peers = 1200
	}
	m.fillMixed(300, peers)
	b := snapshot(t, m.store, m.now)
	for _, shards := range []int{1, 2, 16} {
		to := newMachine(t, 45)
		to.store = New(Options{Shards: shards, Expire: 45})
		to.now = 7 // after a reboot
		totals, err := load(to.store, b, to.now, 0)
		if err != nil {
			t.Fatal(err)
		}
		sameContents(t, to.store, to.now, m.store, m.now)
		if again := snapshot(t, to.store, to.now); len(again) < len(b)*9/10 || len(again) > len(b)*11/10 {
			t.Errorf("a snapshot of what was loaded has %d bytes, the first %d", len(again), len(b))
		}
		if _, s, l := m.store.Totals(); totals.Peers != int64(s+l) {
			t.Errorf("it says %d peers, there are %d", totals.Peers, s+l)
		}
		// From now on it lives on like the model.
		to.model = model{maps.Clone(m.model.torrents), 45}
		if shards == 16 { // the last: the model's torrents are not cloned
			to.now = m.now
			to.store.clear()
			if _, err := load(to.store, b, to.now, 0); err != nil {
				t.Fatal(err)
			}
			to.fillMixed(300, peers/4)
			to.compare()
			to.advance(46)
			to.compare()
		}
		to.end()
	}
}

// TestSnapshotElapsed carries ages on: what expired meanwhile is not loaded,
// and what has a minute left expires in a minute.
func TestSnapshotElapsed(t *testing.T) {
	m := newMachine(t, 45)
	defer m.end()
	m.fillMixed(50, 240) // no large ones: when those get small, they count as used
	b := snapshot(t, m.store, m.now)
	for _, elapsed := range []Minute{0, 1, 20, 44, 45, 46, 500, keepCount, keepCount + 1, 1 << 31} {
		to, want := newMachine(t, 45), newMachine(t, 45)
		want.now = m.now
		if _, err := load(want.store, b, want.now, 0); err != nil {
			t.Fatal(err)
		}
		for range min(elapsed, 2*keepCount) { // what another store becomes by itself
			want.now++
			for !want.store.SweepStep(want.now) {
			}
		}
		if _, err := load(to.store, b, to.now, elapsed); err != nil {
			t.Fatal(err)
		}
		sameContents(t, to.store, to.now, want.store, want.now)
		to.end()
		want.end()
	}
}

// TestSnapshotAllowed leaves out what the lists do not allow.
func TestSnapshotAllowed(t *testing.T) {
	m, to := newMachine(t, 45), newMachine(t, 45)
	defer m.end()
	defer to.end()
	m.fillMixed(100, 6000)
	from, err := ReadSnapshot(bytes.NewReader(snapshot(t, m.store, m.now)))
	if err != nil || from.SnapshotHeader != testHeader {
		t.Fatalf("header %+v, %v", from, err)
	}
	totals, err := to.store.LoadSnapshot(from, m.now, 0, func(ih *proto.Infohash) bool { return *ih == testInfohash(1) })
	if n, _, _ := to.store.Totals(); err != nil || n != 1 || totals.Records < 90 {
		t.Errorf("%d torrents of %+v loaded, %v", n, totals, err)
	}
}

// TestSnapshotLag writes ages of a shard that is behind or ahead of the clock.
func TestSnapshotLag(t *testing.T) {
	for _, tt := range []struct{ now, want Minute }{{1000, 0}, {1003, 3}, {998, 0}} {
		m, to := newMachine(t, 45), newMachine(t, 45)
		m.store.Announce(&Query{Peer: testPeer4(1)}, 1000, m.rnd, &m.a)
		if _, err := load(to.store, snapshot(t, m.store, tt.now), 2000, 0); err != nil {
			t.Fatal(err)
		}
		for _, got := range contents(t, to.store, 2000) {
			if want := fmt.Sprintf(" false %d", tt.want); !strings.HasSuffix(got, want) {
				t.Errorf("at %d: got %q, want %q", tt.now, got, want)
			}
		}
		m.end()
		to.end()
	}
}

// TestSnapshotWhileServing changes everything while a snapshot is written:
// torrents that shrink, grow and go, peers that come, leave and finish. Those
// who stay, are in it once, whatever else happens.
func TestSnapshotWhileServing(t *testing.T) {
	m := newMachine(t, 45)
	defer m.end()
	const large = 7
	stay := uint32(20_000)
	if checked {
		stay = 2000
	}
	for i := range stay {
		m.store.Announce(&Query{Infohash: testInfohash(large), Peer: testPeer4(i)}, m.now, m.rnd, &m.a)
		m.store.Announce(&Query{Infohash: testInfohash(100 + i%2000), Peer: testPeer4(i)}, m.now, m.rnd, &m.a)
	}
	r, n := rand.New(rand.NewPCG(9, 9)), 0
	busy := writerFunc(func(b []byte) (int, error) {
		n++
		for range 200 {
			i := r.Uint32N(stay)
			q := Query{Infohash: testInfohash(large), Peer: testPeer4(i), Seeder: r.IntN(2) == 0} // stays
			m.store.Announce(&q, m.now, m.rnd, &m.a)
			q = Query{Infohash: testInfohash(r.Uint32N(4000)), Peer: testPeer6(i), Seeder: r.IntN(2) == 0} // may not
			if r.IntN(2) == 0 {
				q.Event = proto.EventStopped
			}
			if q.Infohash != testInfohash(large) {
				m.store.Announce(&q, m.now, m.rnd, &m.a)
			}
		}
		return len(b), nil
	})
	var b bytes.Buffer
	if _, err := m.store.WriteSnapshot(io.MultiWriter(&b, busy), &testHeader, m.now); err != nil || n < 3 {
		t.Fatalf("%d writes, %v", n, err)
	}
	to := newMachine(t, 45)
	defer to.end()
	if _, err := load(to.store, b.Bytes(), to.now, 0); err != nil {
		t.Fatal(err)
	}
	contents(t, to.store, to.now)
	if c, _ := to.store.Scrape(ptr(testInfohash(large))); c.Complete+c.Incomplete != stay {
		t.Errorf("%d peers of the large one, want %d", c.Complete+c.Incomplete, stay)
	}
	for i := range uint32(2000) {
		if c, _ := to.store.Scrape(ptr(testInfohash(100 + i))); c.Incomplete < stay/2000 {
			t.Fatalf("torrent %d has %+v", i, c)
		}
	}
}

// TestSnapshotRace writes snapshots while others announce, for the race
// detector.
func TestSnapshotRace(t *testing.T) {
	m := newMachine(t, 45)
	defer m.end()
	m.fillMixed(100, 3000)
	var all sync.WaitGroup
	done := make(chan struct{})
	for i := range uint32(2) {
		all.Go(func() {
			rnd, a, r := NewRand(1), Answer{}, rand.New(rand.NewPCG(1, uint64(i)))
			for {
				select {
				case <-done:
					return
				default:
				}
				q := Query{Infohash: testInfohash(r.Uint32N(100)), Peer: testPeer4(r.Uint32N(5000)), NumWant: 20}
				if r.IntN(3) == 0 {
					q.Event = proto.EventStopped
				}
				m.store.Announce(&q, m.now, rnd, &a)
			}
		})
	}
	for range 20 {
		to := newMachine(t, 45)
		if _, err := load(to.store, snapshot(t, m.store, m.now), m.now, 0); err != nil {
			t.Error(err)
		}
		to.end()
	}
	close(done)
	all.Wait()
}

// TestSnapshotWriteFails gives up at the first error, wherever it is.
func TestSnapshotWriteFails(t *testing.T) {
	m := newMachine(t, 45)
	defer m.end()
	m.fillMixed(20, 600)
	want, writes := errors.New("disk full"), 0
	count := writerFunc(func(b []byte) (int, error) { writes++; return len(b), nil })
	if _, err := m.store.WriteSnapshot(count, &testHeader, m.now); err != nil {
		t.Fatal(err)
	}
	for fails := range writes {
		left := fails
		_, err := m.store.WriteSnapshot(writerFunc(func(b []byte) (int, error) {
			if left--; left < 0 {
				return 0, want
			}
			return len(b), nil
		}), &testHeader, m.now)
		if !errors.Is(err, want) || left != -1 {
			t.Errorf("write %d fails: got %v after %d more", fails, err, -left-1)
		}
	}
}

var addGolden = flag.Bool("golden", false, "write the golden snapshot of a new version; an old one is never changed")

// goldenMachine returns what the golden snapshots hold.
func goldenMachine(t testing.TB) *machine {
	m := newMachine(t, 45)
	m.fillMixed(30, 1800)
	return m
}

// TestSnapshotGoldens loads a snapshot of every version there ever was.
func TestSnapshotGoldens(t *testing.T) {
	want := goldenMachine(t)
	defer want.end()
	for version := 1; version <= snapshotVersion; version++ {
		name := filepath.Join("testdata", fmt.Sprintf("snapshot-v%d", version))
		b, err := os.ReadFile(name)
		if *addGolden && errors.Is(err, os.ErrNotExist) {
			b = snapshot(t, want.store, want.now)
			err = os.WriteFile(name, b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		from, err := ReadSnapshot(bytes.NewReader(b))
		if err != nil || from.SnapshotHeader != testHeader {
			t.Fatalf("%s: header %+v, %v", name, from, err)
		}
		got := newMachine(t, 45)
		if _, err := got.store.LoadSnapshot(from, 50, 0, allowAll); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sameContents(t, got.store, 50, want.store, want.now)
		got.end()
	}
}

type writerFunc func(b []byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func ptr[T any](v T) *T { return &v }
