package store

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tracker/proto"
)

// apply applies c to the store and to the model, and compares what became of it.
func (m *machine) apply(c Change) {
	one := []Change{c}
	m.store.Apply(one, m.now)
	want := m.model.apply(&c, m.now)
	if one[0].Done != want {
		m.t.Fatalf("minute %d: %+v: outcome %d, want %d", m.now, c, one[0].Done, want)
	}
	got, _ := m.store.Scrape(&c.Infohash)
	var counts proto.Counts
	if t := m.model.torrents[c.Infohash]; t != nil {
		counts = t.counts()
	}
	if got != counts {
		m.t.Fatalf("minute %d: %+v: counts %+v, want %+v", m.now, c, got, counts)
	}
}

// apply is the slow Store.Apply of one change.
func (m *model) apply(c *Change, now Minute) Outcome {
	seen := c.Minute
	if int32(now-seen) < 0 {
		seen = now
	}
	if now-seen >= m.expire {
		return Stale
	}
	t, compact := m.torrents[c.Infohash], string(c.Peer.Compact())
	if t == nil {
		if c.Stopped || c.Gone && !c.Completed {
			return Unchanged
		}
		t = &modelTorrent{peers: map[string]modelPeer{}, n: map[int][2]int{}, hidden: map[int][2]int{}}
		m.torrents[c.Infohash] = t
	}
	if int32(seen-t.used) > 0 {
		t.used = seen
	}
	done := Stale
	if !c.Gone {
		done = t.apply(c, compact, seen)
	}
	if c.Completed {
		t.downloaded++
	}
	if len(t.peers) == 0 && t.downloaded == 0 {
		delete(m.torrents, c.Infohash)
	}
	return done
}

func (t *modelTorrent) apply(c *Change, compact string, seen Minute) Outcome {
	was, known := t.peers[compact]
	switch {
	case c.Stopped && !known:
		return Unchanged
	case !known:
		t.put(compact, modelPeer{c.Seeder, seen})
		return Added
	case int32(seen-was.seen) < 0, c.Stopped && c.Late && seen == was.seen:
		return Stale
	case c.Stopped:
		t.drop(compact)
		return Removed
	case seen == was.seen && c.Seeder == was.seeder:
		return Unchanged
	case seen == was.seen && !c.Seeder && c.Late:
		return Conflicted
	}
	t.put(compact, modelPeer{c.Seeder, seen})
	if c.Seeder == was.seeder {
		return Renewed
	}
	return Turned
}

// TestApplyModel mixes changes of others with announces, in small and large
// swarms, and compares with the model.
func TestApplyModel(t *testing.T) {
	for _, peers := range []int{3, 40, 3000} {
		m := newMachine(t, MinExpire)
		rnd := rand.New(rand.NewPCG(1, uint64(peers)))
		steps := 30_000
		if checked {
			steps = 4000 // each looks at everything
		}
		for range steps {
			torrent, peer := byte(rnd.IntN(8)), uint16(rnd.IntN(peers))
			switch op := rnd.IntN(100); {
			case op < 1:
				m.advance(1)
				continue
			case op < 30:
				m.do(byte(rnd.IntN(250)), torrent, peer)
				continue
			}
			c := Change{Infohash: testInfohash(uint32(torrent)), Seeder: rnd.IntN(2) == 0, Late: rnd.IntN(4) == 0, Minute: m.now - Minute(rnd.IntN(4))}
			switch rnd.IntN(8) {
			case 0, 1:
				c.Stopped = true
			case 2:
				c.Completed, c.Seeder = true, true
				c.Gone = rnd.IntN(3) == 0
			case 3:
				c.Minute = m.now - Minute(rnd.IntN(60)) + 2
			}
			if c.Peer = peer4(80, uint32(peer)); rnd.IntN(2) == 0 {
				c.Peer = peer6(0x20, uint32(peer))
			}
			m.apply(c)
		}
		m.end()
	}
}

// TestApplyRuns hands over many changes at once, of peers that are in it several
// times, and compares with one after the other.
func TestApplyRuns(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	many, one := New(Options{Shards: 16}), New(Options{Shards: 4})
	for range 50 {
		changes := make([]Change, rnd.IntN(2000))
		for i := range changes {
			changes[i] = Change{
				Infohash: testInfohash(uint32(rnd.IntN(100))), Peer: peer4(80, uint32(rnd.IntN(10))), Minute: 100 + Minute(rnd.IntN(3)),
				Seeder: rnd.IntN(2) == 0, Stopped: rnd.IntN(3) == 0,
			}
		}
		alone := slices.Clone(changes)
		many.Apply(changes, 102)
		for i := range alone {
			one.Apply(alone[i:i+1], 102)
			if alone[i].Done != changes[i].Done {
				t.Fatalf("change %d, %+v: outcome %d, alone %d", i, changes[i], changes[i].Done, alone[i].Done)
			}
		}
	}
}

// TestApplyLimits looks whether changes of others are under the limits that
// announces are under.
func TestApplyLimits(t *testing.T) {
	s := New(Options{Shards: 2, Limits: Limits{Torrents: 10, PeersPerTorrent: 5}})
	var refused int
	for i := range 400 {
		p := peer4(80, uint32(i%20))
		c := []Change{{Infohash: testInfohash(uint32(i / 20)), Peer: p, Minute: 100}}
		s.Apply(c, 100)
		if c[0].Done == NotStored {
			refused++
		}
	}
	torrents, _, leechers := s.Totals()
	if torrents != 10 || leechers != 50 || refused != 350 {
		t.Errorf("%d torrents, %d peers, %d refused, want 10, 50, 350", torrents, leechers, refused)
	}
	s = New(Options{Shards: 2})
	s.SetMemory(4 << 20)
	changes := make([]Change, 1000)
	for i := range 400 {
		for k := range changes {
			changes[k] = Change{Infohash: testInfohash(uint32(1000*i + k)), Peer: peer4(80, uint32(k)), Minute: 100, Completed: k%2 == 0, Seeder: true}
		}
		s.Apply(changes, 100)
	}
	if s.Bytes() > 4<<20 {
		t.Errorf("%d bytes, of at most %d", s.Bytes(), 4<<20)
	}
}

// TestApplyAllocs: nothing is allocated for what others say.
func TestApplyAllocs(t *testing.T) {
	s := New(Options{Shards: 2})
	changes := make([]Change, 100)
	for k := range changes {
		changes[k] = Change{Infohash: testInfohash(uint32(k)), Peer: peer4(80, uint32(k)), Minute: 100}
	}
	now := Minute(100)
	if n := testing.AllocsPerRun(100, func() {
		for k := range changes {
			changes[k].Minute = now
		}
		s.Apply(changes, now)
		now++
	}); n != 0 {
		t.Errorf("%v allocations for %d changes, want 0", n, len(changes))
	}
}

// TestVisit looks whether a visit meets everything once, also if it is gone on
// with from a cursor's binary form, and in parts.
func TestVisit(t *testing.T) {
	s := New(Options{Shards: 8})
	want := map[string]bool{}
	var all []Change
	for i := range 3000 {
		all = append(all, Change{Infohash: testInfohash(uint32(i)), Peer: peer4(80, uint32(i)), Minute: 100, Seeder: i%3 == 0})
		all = append(all, Change{Infohash: testInfohash(uint32(i)), Peer: peer6(0x20, uint32(i)), Minute: 100})
	}
	for i := range 20_000 {
		ih := testInfohash(uint32(5000 + i%3))
		all = append(all, Change{Infohash: ih, Peer: peer4(80, uint32(i)), Minute: 100, Seeder: i%3 == 0})
		all = append(all, Change{Infohash: ih, Peer: peer6(0x20, uint32(i)), Minute: 100, Seeder: i%2 == 0, Completed: i < 3})
	}
	for i := range all {
		want[string(all[i].Infohash[:])+string(all[i].Peer.Compact())] = all[i].Seeder
	}
	s.Apply(all, 100)
	for _, parts := range []int{1, 3, 8, 50} {
		met, downloaded := map[string]bool{}, 0
		begin := s.SplitCursors(parts)
		for i, c := range begin {
			var v Visitor
			for more := true; more && (i+1 == len(begin) || !c.Beyond(begin[i+1])); c = MakeCursor(c.Append(nil)) {
				more = s.Visit(&c, 107, &v, nil, func(p *Part) {
					downloaded += int(p.Downloaded)
					n4, n6 := p.Len()
					for family, n := range [...]int{n4, n6} {
						for k := range n {
							compact, seeder, age := p.Peer(family, k)
							id := string(p.Infohash[:]) + string(compact)
							if _, again := met[id]; again || age != 7 {
								t.Fatalf("%x: met twice %v, age %d, want 7", id, again, age)
							}
							met[id] = seeder
						}
					}
				})
			}
		}
		if len(met) != len(want) || downloaded != 3 {
			t.Errorf("%d parts: %d peers, %d downloads, want %d, 3", parts, len(met), downloaded, len(want))
		}
		for id, seeder := range want {
			if met[id] != seeder {
				t.Fatalf("%x: seeder %v, want %v", id, met[id], seeder)
			}
		}
	}
}

// FuzzVisit: whatever a cursor says, a visit from there ends.
func FuzzVisit(f *testing.F) {
	s := New(Options{Shards: 4})
	var all []Change
	for i := range 2000 {
		all = append(all, Change{Infohash: testInfohash(uint32(i % 300)), Peer: peer4(80, uint32(i)), Minute: 100})
		all = append(all, Change{Infohash: testInfohash(9999), Peer: peer4(80, uint32(i)), Minute: 100})
	}
	s.Apply(all, 100)
	f.Add(make([]byte, CursorLen))
	f.Add([]byte{1, 0, 1, 1, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9})
	f.Add([]byte{1, 0, 1, 1, 0, 0, 0, 0x80, 9, 9, 9, 9, 9, 9, 9, 9}) // less than 0, as an int of 32 bits
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < CursorLen {
			return
		}
		c := MakeCursor(b)
		var v Visitor
		steps := 0
		for s.Visit(&c, 100, &v, nil, func(*Part) {}) {
			if steps++; steps > 1000 {
				t.Fatal("a visit does not end")
			}
		}
	})
}

func BenchmarkApply(b *testing.B) {
	for _, test := range []struct {
		name     string
		torrents int
	}{{"torrents=1000", 1000}, {"torrents=1M", 1 << 20}} {
		b.Run(test.name, func(b *testing.B) {
			s := New(Options{})
			defer s.clear()
			rnd := rand.New(rand.NewPCG(1, 2))
			changes := make([]Change, 512)
			fill := func(now Minute) {
				for i := range changes {
					k := uint32(rnd.IntN(2 * test.torrents))
					changes[i] = Change{Infohash: testInfohash(k / 2), Peer: peer4(80, k), Minute: now, Seeder: k%4 == 0}
				}
			}
			for range 8 * test.torrents / len(changes) {
				fill(100)
				s.Apply(changes, 100)
			}
			now := Minute(101)
			var spent time.Duration
			for b.Loop() {
				now++
				fill(now)
				begin := time.Now()
				s.Apply(changes, now)
				spent += time.Since(begin)
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N*len(changes)), "ns/record")
		})
	}
}

// BenchmarkApplyAsAnnounce is what the same changes cost as announces.
func BenchmarkApplyAsAnnounce(b *testing.B) {
	s := New(Options{})
	defer s.clear()
	const torrents = 1 << 20
	rnd, choose := rand.New(rand.NewPCG(1, 2)), NewRand(1)
	queries := make([]Query, 512)
	var a Answer
	fill := func() {
		for i := range queries {
			k := uint32(rnd.IntN(2 * torrents))
			queries[i] = Query{Infohash: testInfohash(k / 2), Peer: peer4(80, k), Seeder: k%4 == 0, NumWant: 50}
		}
	}
	for range 8 * torrents / len(queries) {
		fill()
		for i := range queries {
			s.Announce(&queries[i], 100, choose, &a)
		}
	}
	now := Minute(101)
	var spent time.Duration
	for b.Loop() {
		now++
		fill()
		begin := time.Now()
		for i := range queries {
			s.Announce(&queries[i], now, choose, &a)
		}
		spent += time.Since(begin)
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N*len(queries)), "ns/announce")
}
