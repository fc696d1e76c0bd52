//go:build !purego

package store

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"tracker/proto"
)

// fileBytes returns how many bytes of pages the file has that m's store is in.
func (m *machine) fileBytes() int64 {
	m.t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(m.store.Memory(), &st); err != nil {
		m.t.Fatal(err)
	}
	return st.Blocks * 512
}

// TestSharedBudget runs random programs in shared memory that need several times
// what there is. The file always has just what the budget says, and never more
// than it may. Then everything expires and the file is all but empty.
func TestSharedBudget(t *testing.T) {
	for _, tt := range []struct{ torrents, peers int }{{1 << 16, 4}, {400, 1000}, {2, 1 << 16}} {
		steps, most := 100_000, int64(600<<10)
		if checked {
			steps /= 40
			most /= 6
		}
		r := rand.New(rand.NewPCG(3, uint64(tt.torrents)))
		m := newSharing(t)
		m.store.SetMemory(most)
		var known []Query
		for i := range steps {
			m.program(r, &known, tt.torrents, tt.peers)
			if i%64 == 0 {
				m.store.Trim()
			}
			if file, used := m.fileBytes(), m.store.Bytes(); i%16 == 0 && (file != used || file > most) {
				t.Fatalf("step %d: the file has %d bytes, the budget says %d of %d", i, file, used, most)
			}
		}
		m.compare()
		t.Logf("%d torrents, %d peers: %d bytes of %d; %d refused", tt.torrents, tt.peers, m.store.Bytes(), most, m.refused[RefusedMemory])
		if m.refused[RefusedMemory] == 0 && !checked {
			t.Error("nobody was refused")
		}
		m.advance(46 + keepCount)
		m.compare()
		if n := m.fileBytes(); n != m.store.Bytes() || n > int64(2*pageLen*len(m.store.shards)) {
			t.Errorf("the file has %d bytes when all is forgotten, the budget says %d", n, m.store.Bytes())
		}
		m.end()
	}
}

// TestSharedNoMemory has a system that gives no page more, long before the budget
// is used up. That is a refusal, for new peers; those that there are are renewed
// and leave. When there is memory again all is as before.
func TestSharedNoMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	m := newSharing(t)
	defer func() { m.end() }()
	null, err := os.Open(os.DevNull) // has no pages, and is not to be mapped
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	m.store.SetMemory(1 << 30)
	var known []Query
	run := func(steps int) {
		for range steps {
			m.program(r, &known, 300, 3000)
		}
		m.compare()
	}
	steps := 40_000
	if checked {
		steps /= 40
	}
	run(steps)
	if m.refused[RefusedMemory] > 0 {
		t.Error("somebody was refused while there was memory")
	}
	fd, used := m.store.mem.fd, m.store.Bytes()
	m.store.mem.fd = int(null.Fd())
	for i := range steps {
		q := Query{Infohash: testInfohash(uint32(r.IntN(300))), Peer: testPeer6(uint32(10_000 + i%20_000))}
		if i%2 == 0 && len(known) > 0 {
			k := r.IntN(len(known))
			q = known[k]
			if swarm := m.model.torrents[q.Infohash]; swarm != nil {
				q.Seeder = swarm.peers[string(q.Peer.Compact())].seeder
			}
			if i%8 == 0 {
				q.Event, known = proto.EventStopped, slices.Delete(known, k, k+1)
			}
		}
		m.announce(&q) // fails the test if a known one is refused
	}
	m.compare()
	if m.refused[RefusedMemory] == 0 || m.store.Bytes() > used {
		t.Errorf("%d were refused, %d bytes, before %d", m.refused[RefusedMemory], m.store.Bytes(), used)
	}
	m.store.mem.fd = fd
	refused := m.refused[RefusedMemory]
	run(steps)
	if m.refused[RefusedMemory] != refused || m.fileBytes() != m.store.Bytes() {
		t.Errorf("%d more were refused; the file has %d bytes, the budget says %d",
			m.refused[RefusedMemory]-refused, m.fileBytes(), m.store.Bytes())
	}
}

// TestAdoptLimits goes on with a store that has more than the limits allow:
// nobody is forgotten, those that there are are renewed and leave, and new ones
// are refused until there is room.
func TestAdoptLimits(t *testing.T) {
	m := newSharing(t)
	defer func() { m.end() }()
	query := func(i uint32) Query {
		return Query{Infohash: testInfohash(i % 1000), Peer: testPeer4(i), Seeder: i%3 == 0}
	}
	const peers = 6000
	for i := range uint32(peers) {
		q := query(i)
		m.announce(&q)
	}
	used, last := m.store.Bytes(), m.store
	m.store = m.handOn(Options{Shards: 4, Expire: 45, Shared: true, Limits: Limits{Torrents: 500, PeersPerTorrent: 3}})
	last.leave()
	m.store.SetMemory(used / 2)
	m.compare()
	if got := m.store.Bytes(); got != used || m.fileBytes() != used {
		t.Errorf("%d bytes were handed over, %d taken, and the file has %d", used, got, m.fileBytes())
	}
	want := func(why Refusal, q Query) {
		t.Helper()
		if m.announce(&q); m.a.Refused != why {
			t.Errorf("refused for reason %d, want %d", m.a.Refused, why)
		}
	}
	want(RefusedTorrents, Query{Infohash: testInfohash(5000), Peer: testPeer4(1)})
	want(RefusedPeers, Query{Infohash: testInfohash(0), Peer: testPeer4(peers)})
	m.store.limits = Limits{}
	want(RefusedMemory, Query{Infohash: testInfohash(5000), Peer: testPeer4(1)})
	want(RefusedMemory, Query{Infohash: testInfohash(0), Peer: testPeer4(peers)})
	for i := range uint32(peers) {
		q := query(i)
		if i%2 == 0 {
			q.Event = proto.EventStopped
		}
		if m.announce(&q); !m.a.Known || m.a.Refused != NotRefused {
			t.Fatalf("peer %d, stored before: known %v, refused for reason %d", i, m.a.Known, m.a.Refused)
		}
	}
	m.compare()
	m.advance(46)
	m.compare()
	want(NotRefused, Query{Infohash: testInfohash(5000), Peer: testPeer4(1)})
}
