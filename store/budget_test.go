package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tracker/proto"
)

// checkMemory checks that what the budget says is used is what there is.
func (m *machine) checkMemory() {
	m.t.Helper()
	used, torrents, promised := 0, 0, 0
	for i := range m.store.shards {
		sh := &m.store.shards[i]
		used += wordsLen(len(sh.tab.slots))
		torrents += int(sh.tab.n)
		promised += (len(sh.swarms) - len(sh.freeSwarms)) * swarmPromise
		for class := 1; class < len(sh.records); class++ {
			used += sh.records[class].cost()
		}
		for class := range sh.blocks {
			used += sh.blocks[class].cost()
			promised += sh.blocks[class].cost() / 8
		}
	}
	b := &m.store.budget
	if got := m.store.Bytes(); got != int64(used) {
		m.t.Fatalf("the budget says %d bytes are used, and there are %d", got, used)
	}
	if got := b.torrents.Load(); got != int64(torrents) {
		m.t.Fatalf("the budget says there are %d torrents, and there are %d", got, torrents)
	}
	if got := b.promised.Load(); got != int64(promised) {
		m.t.Fatalf("the budget says %d bytes are promised, and that should be %d", got, promised)
	}
}

// TestBudget runs random programs that need several times the memory there is.
// Never is more taken; who is stored is renewed, becomes a seeder, finishes and
// leaves as ever; and numbers and answers are right. Then all of them expire,
// and memory comes back.
func TestBudget(t *testing.T) {
	tests := []struct {
		name            string
		torrents, peers int
		steps, most     int
	}{
		{"small", 1 << 16, 4, 100_000, 1 << 20},
		{"middling", 400, 1000, 150_000, 1 << 20},
		{"large", 2, 1 << 16, 100_000, 400 << 10},
		{"tiny", 250, 1000, 80_000, 256 << 10},
		{"nothing", 250, 1000, 20_000, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if checked || raced {
				tt.steps /= 40
				tt.most = max(tt.most/8, min(tt.most, 100<<10))
			}
			r := rand.New(rand.NewPCG(9, uint64(tt.steps)))
			m := newMachine(t, 45)
			defer m.end()
			m.store.SetMemory(int64(tt.most))
			var known []Query
			for i := range tt.steps {
				m.program(r, &known, tt.torrents, tt.peers)
				if used := m.store.Bytes(); used > int64(tt.most) {
					t.Fatalf("step %d: %d bytes are used, of %d", i, used, tt.most)
				}
				if i%(tt.steps/8+1) == 0 {
					m.compare()
				}
				if i%100 == 0 {
					m.store.Trim()
				}
			}
			m.compare()
			_, s, l := m.store.Totals()
			t.Logf("%d peers in %d bytes of %d; %d refused", s+l, m.store.Bytes(), tt.most, m.refused[RefusedMemory])
			if m.refused[RefusedMemory] == 0 && !checked && !raced {
				t.Errorf("nobody was refused")
			}
			m.advance(46 + keepCount)
			m.compare()
			if used := m.store.Bytes(); used > int64(2*pageLen*len(m.store.shards)) {
				t.Errorf("%d bytes are used when all is forgotten", used)
			}
		})
	}
}

// program announces one random peer: a stranger, or one that was stored before
// and now is renewed, changes its state or leaves.
func (m *machine) program(r *rand.Rand, known *[]Query, torrents, peers int) {
	q := Query{Infohash: testInfohash(uint32(r.IntN(torrents))), NumWant: r.IntN(4), Seeder: r.IntN(4) == 0}
	q.Peer = testPeer4(uint32(r.IntN(peers)))
	if r.IntN(4) == 0 {
		q.Peer = testPeer6(uint32(r.IntN(peers)))
	}
	if n := len(*known); n > 0 && r.IntN(2) == 0 {
		i := r.IntN(n)
		q = (*known)[i]
		switch r.IntN(8) {
		case 0:
			q.Event = proto.EventStopped
			(*known)[i] = (*known)[n-1]
			*known = (*known)[:n-1]
		case 1, 2, 3:
			q.Event, q.Seeder = proto.EventCompleted, true
		case 4:
			q.Seeder = !q.Seeder
		}
		if q.Event != proto.EventStopped {
			(*known)[i].Seeder = q.Seeder
		}
		m.announce(&q)
		return
	}
	m.announce(&q)
	if m.a.Refused == NotRefused {
		*known = append(*known, q)
	}
}

// TestConvertAll fills the store with swarms of leechers, as many as there is
// room for, and then makes seeders of all of them: in every swarm of one first,
// which is the worst, and then of the others. The reserve is enough.
func TestConvertAll(t *testing.T) {
	for _, size := range []int{77, 100, 500, 5_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			m := newMachine(t, 127)
			defer m.end()
			most := int64(2 << 20)
			if checked || raced {
				most /= 16
			}
			m.store.SetMemory(most)
			var known []Query
			for torrent, full := uint32(0), false; !full; torrent++ {
				for i := range size {
					q := Query{Infohash: testInfohash(torrent), Peer: testPeer4(uint32(i))}
					if m.announce(&q); m.a.Refused != NotRefused {
						full = i == 0
						break
					}
					known = append(known, q)
				}
			}
			before := m.store.Bytes()
			peak := before
			step := min(size, len(known))
			for first := range step {
				for i := first; i < len(known); i += step {
					known[i].Seeder, known[i].Event = true, proto.EventCompleted
					m.announce(&known[i])
					peak = max(peak, m.store.Bytes())
				}
			}
			m.compare()
			t.Logf("%d peers: %d bytes, at most %d while they became seeders, of %d", len(known), before, peak, most)
		})
	}
}

// TestNear shows who may grow when memory gets short: first swarms of any size,
// then only smaller and smaller ones, at last new torrents alone, and then
// nobody.
func TestNear(t *testing.T) {
	var b budget
	b.set(1<<20, 2<<20)
	bound := func() int { // the largest torrent, as a power of two, that grows
		for n := 30; n >= 0; n-- {
			if !b.crowded(1 << n) {
				return n
			}
		}
		return -1
	}
	last := 30
	if got := bound(); got != last {
		t.Errorf("an empty store has a bound of 2^%d peers", got)
	}
	for b.take(1<<10, wish) {
		got := bound()
		if got > last {
			t.Errorf("at %d bytes the bound rises from 2^%d to 2^%d", b.used.Load(), last, got)
		}
		if b.used.Load() <= 7<<17 && got != 30 {
			t.Errorf("at %d bytes the bound is 2^%d already", b.used.Load(), got)
		}
		last = got
	}
	if b.used.Load() != 1<<20 || last != -1 || !b.crowded(0) {
		t.Errorf("at the end, at %d bytes, the bound is 2^%d", b.used.Load(), last)
	}
	if !b.take(1<<20, duty) || b.take(1, duty) {
		t.Error("the reserve is not as large as it should be")
	}
}

// TestCountsGo fills a store with torrents that are said to have been downloaded
// and are then left, as many as it takes. They are gone with the next sweeps, and
// new ones are stored. Where there is room they stay.
func TestCountsGo(t *testing.T) {
	many, most := uint32(10_000), int64(256<<10)
	if checked || raced {
		many, most = 2_000, 64<<10
	}
	for name, limits := range map[string]Limits{"memory": {}, "torrents": {Torrents: 500}, "none": {}} {
		t.Run(name, func(t *testing.T) {
			m := withLimits(t, limits)
			defer m.end()
			if name == "memory" {
				m.store.SetMemory(most)
			}
			busy := Query{Infohash: testInfohash(0), Peer: testPeer4(0), Event: proto.EventCompleted, Seeder: true}
			m.announce(&busy)
			for i := range many {
				q := Query{Infohash: testInfohash(i + 1), Peer: testPeer4(i), Event: proto.EventCompleted, Seeder: true}
				if m.announce(&q); m.a.Refused == NotRefused {
					q.Event = proto.EventStopped
					m.announce(&q)
				}
			}
			refused := m.refused[RefusedMemory] + m.refused[RefusedTorrents]
			for range 2 {
				m.now++
				for !m.store.SweepStep(m.now) {
				}
				m.announce(&busy)
			}
			if n, _, _ := m.store.Totals(); (refused > 0) != (n < int(many)/2) || (refused > 0) != (name != "none") {
				t.Errorf("%d torrents are left, %d were refused before", n, refused)
			}
			q := Query{Infohash: testInfohash(1 << 30), Peer: testPeer4(1)}
			if m.announce(&q); m.a.Refused != NotRefused {
				t.Errorf("a new torrent is refused for reason %d", m.a.Refused)
			}
			if c, _ := m.store.Scrape(&busy.Infohash); c != (proto.Counts{Complete: 1, Downloaded: 1}) {
				t.Errorf("the one with a peer has %+v", c)
			}
		})
	}
}

// TestComesBack fills 16 MB with random torrents, three times as many as there
// is room for, lets all of them expire, and does it again. In between, and not
// only in the budget, the memory is back with the system.
func TestComesBack(t *testing.T) {
	if checked || raced || residentMB("VmRSS") == 0 {
		return // takes too long with checks; and elsewhere nobody says what is resident
	}
	m := newMachine(t, 45)
	defer m.end()
	const most = 16 << 20
	m.store.SetMemory(most)
	r := rand.New(rand.NewPCG(8, 8))
	before := residentMB("VmRSS")
	for range 2 {
		stored := 0
		for range 1_200_000 {
			q := Query{Infohash: testInfohash(r.Uint32()), Peer: testPeer4(r.Uint32())}
			if m.store.Announce(&q, m.now, m.rnd, &m.a); m.a.Refused == NotRefused {
				stored++
			}
		}
		full := residentMB("VmRSS")
		for range 46 {
			m.now++
			for !m.store.SweepStep(m.now) {
			}
		}
		after := residentMB("VmRSS")
		t.Logf("%d stored: %.1f MB resident before, %.1f full, %.1f after; %d bytes used", stored, before, full, after, m.store.Memory())
		if full-before > 18 || after-before > 2 || stored < 350_000 {
			t.Errorf("%d stored: %.1f MB resident before, %.1f full, %.1f after", stored, before, full, after)
		}
		m.checkMemory()
	}
}
