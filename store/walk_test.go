package store

import (
	"bytes"
	"slices"
	"testing"

	"tracker/proto"
)

// TestSorted lists torrents in order, in more than one batch, large swarms
// among them, each once and with its counts: evenly spread ones, as hashes are,
// ones that begin alike, and some of both.
func TestSorted(t *testing.T) {
	alike := proto.Infohash{100, 4: 255}
	for name, which := range map[string]uint32{"spread": 0, "alike": 1, "both": 2} {
		t.Run(name, func(t *testing.T) {
			testSorted(t, func(n uint32) proto.Infohash {
				ih := testInfohash(n)
				if which > 0 && n%which == 0 {
					copy(ih[8:], ih[:4])
					copy(ih[:8], alike[:])
				}
				return ih
			})
		})
	}
}

func testSorted(t *testing.T, testInfohash func(n uint32) proto.Infohash) {
	const torrents = 3*minBatch + 17
	m := newMachine(t, 45)
	defer m.end()
	for i := range uint32(torrents) {
		q := Query{Infohash: testInfohash(i), Peer: testPeer4(i), Seeder: i%3 == 0, Event: proto.EventCompleted}
		m.store.Announce(&q, m.now, m.rnd, &m.a)
		m.model.announce(&q, m.now)
	}
	for i := range uint32(500) {
		q := Query{Infohash: testInfohash(5), Peer: testPeer6(i)}
		m.store.Announce(&q, m.now, m.rnd, &m.a)
		m.model.announce(&q, m.now)
	}
	var last *proto.Infohash
	n, batches := 0, 0
	m.store.Sorted(m.now+3, func(batch []Torrent) bool {
		batches++
		for i := range batch {
			tt := &batch[i]
			if last != nil && bytes.Compare(last[:], tt.Infohash[:]) >= 0 {
				t.Fatalf("%x is listed after %x", tt.Infohash, *last)
			}
			ih := tt.Infohash
			last = &ih
			if want := m.model.torrents[ih].counts(); tt.Counts != want {
				t.Fatalf("%x: counts %+v, want %+v", ih, tt.Counts, want)
			}
			if want := Minute(3); tt.Idle != want && ih != testInfohash(5) {
				t.Fatalf("%x: idle for %d minutes, want %d", ih, tt.Idle, want)
			}
			n++
		}
		return true
	})
	if n != torrents || batches < 2 {
		t.Errorf("%d torrents in %d batches, want %d in 2 or more", n, batches, torrents)
	}
	peers := 0
	m.store.EachPeer(func([]byte) { peers++ })
	if peers != torrents+500 {
		t.Errorf("%d peers, want %d", peers, torrents+500)
	}
}

// TestLoad reads counts from a state file into an empty store and into one
// that knows the torrents.
func TestLoad(t *testing.T) {
	m := newMachine(t, 45)
	defer m.end()
	var want []proto.Infohash
	for i := range uint32(10) {
		ih := testInfohash(i)
		if i%2 == 0 {
			m.store.Announce(&Query{Infohash: ih, Peer: testPeer4(1)}, m.now, m.rnd, &m.a)
		}
		m.store.Load(&ih, i+1, Minute(i), m.now)
		want = append(want, ih)
	}
	for i := range uint32(200) { // one of them large
		m.store.Announce(&Query{Infohash: want[3], Peer: testPeer4(i)}, m.now, m.rnd, &m.a)
	}
	m.store.Load(&want[3], 40, 0, m.now)
	m.store.Load(&want[4], 2, 0, m.now)             // a smaller count says nothing
	m.store.Load(&proto.Infohash{}, 0, 0, m.now)    // nor does none
	m.store.Load(&proto.Infohash{}, 5, 1441, m.now) // nor one too old
	for i, ih := range want {
		c, ok := m.store.Scrape(&ih)
		n := uint32(i + 1)
		if i == 3 {
			n = 40
		}
		if !ok || c.Downloaded != n {
			t.Errorf("torrent %d: downloaded %d, want %d", i, c.Downloaded, n)
		}
	}
	m.now += keepCount - 5 // only what was idle for longer than the other five minutes is gone
	for !m.store.SweepStep(m.now) {
	}
	var left []proto.Infohash
	m.store.Each(m.now, func(tt *Torrent) { left = append(left, tt.Infohash) })
	for i, ih := range want {
		if gone := !slices.Contains(left, ih); gone != (i%2 == 1 && i > 5) {
			t.Errorf("torrent %d is gone: %v", i, gone)
		}
	}
}
