package store

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"tracker/proto"
)

// model is the slow, readable store that the fast one must agree with.
type model struct {
	torrents map[proto.Infohash]*modelTorrent
	expire   Minute
}

type modelTorrent struct {
	peers      map[string]modelPeer // by compact form
	n          map[int][2]int       // by width: leechers and seeders
	hidden     map[int][2]int       // those of them with private addresses
	downloaded uint32
	used       Minute
}

type modelPeer struct {
	seeder bool
	seen   Minute
}

// put makes c what p says; drop forgets it.
func (t *modelTorrent) put(c string, p modelPeer) {
	t.drop(c)
	t.peers[c] = p
	t.count(c, p, 1)
}

func (t *modelTorrent) drop(c string) {
	if p, ok := t.peers[c]; ok {
		delete(t.peers, c)
		t.count(c, p, -1)
	}
}

func (t *modelTorrent) count(c string, p modelPeer, by int) {
	counts := []map[int][2]int{t.n}
	if proto.PrivateCompact([]byte(c)) {
		counts = append(counts, t.hidden)
	}
	state := 0
	if p.seeder {
		state = 1
	}
	for _, count := range counts {
		n := count[len(c)]
		n[state] += by
		count[len(c)] = n
	}
}

func (t *modelTorrent) counts() proto.Counts {
	return proto.Counts{
		Complete:   uint32(t.n[6][1] + t.n[18][1]),
		Incomplete: uint32(t.n[6][0] + t.n[18][0]),
		Downloaded: t.downloaded,
	}
}

func (m *model) announce(q *Query, now Minute) proto.Counts {
	t := m.torrents[q.Infohash]
	c := string(q.Peer.Compact())
	if q.Event == proto.EventStopped {
		if t == nil {
			return proto.Counts{}
		}
		t.drop(c)
		t.used = now
		if len(t.peers) == 0 && t.downloaded == 0 {
			delete(m.torrents, q.Infohash)
		}
		return t.counts()
	}
	if t == nil {
		t = &modelTorrent{peers: map[string]modelPeer{}, n: map[int][2]int{}, hidden: map[int][2]int{}}
		m.torrents[q.Infohash] = t
	}
	t.used = now
	was, known := t.peers[c]
	if q.Event == proto.EventCompleted && q.Seeder && !(known && was.seeder) {
		t.downloaded++
	}
	t.put(c, modelPeer{q.Seeder, now})
	return t.counts()
}

func (m *model) sweep(now Minute) {
	for ih, t := range m.torrents {
		for c, p := range t.peers {
			if now-p.seen >= m.expire {
				t.drop(c)
			}
		}
		if len(t.peers) == 0 && (t.downloaded == 0 || now-t.used > keepCount) {
			delete(m.torrents, ih)
		}
	}
}

// A machine runs a program on the store and on the model and compares them.
type machine struct {
	t     testing.TB
	store *Store
	model model
	now   Minute
	rnd   *Rand
	a     Answer

	refused [NumRefusals]int
}

func newMachine(t testing.TB, expire Minute) *machine {
	return &machine{
		t:     t,
		store: New(Options{Shards: 2, Expire: expire}),
		model: model{map[proto.Infohash]*modelTorrent{}, expire},
		now:   1000,
		rnd:   NewRand(1),
	}
}

// end gives back the memory of m's store.
func (m *machine) end() {
	for i := range m.store.shards {
		m.store.shards[i].release()
	}
}

// instructionLen is the bytes of one instruction: operation, torrent, peer, peer.
const instructionLen = 4

// do carries out one instruction. The operation's low bits choose among
// families, states and events, the rest how many peers are wanted.
func (m *machine) do(op, torrent byte, peer uint16) {
	if op >= 250 {
		m.advance(Minute(peer)%5 + 1)
		return
	}
	q := Query{Infohash: testInfohash(uint32(torrent)), Seeder: op&2 != 0, Both: op&4 != 0, NumWant: int(op>>3) * 7}
	net4, net6 := byte(80), byte(0x20)
	if torrent&1 == 0 && peer%5 == 0 { // half the torrents have peers of private addresses
		net4, net6 = 10, 0xfd
	}
	if op&1 == 0 {
		q.Peer = peer4(net4, uint32(peer))
	} else {
		q.Peer = peer6(net6, uint32(peer))
	}
	switch op >> 3 & 7 {
	case 1:
		q.Event = proto.EventCompleted
	case 2, 3:
		q.Event = proto.EventStopped
	}
	m.announce(&q)
}

// announce announces to the store and, unless it refuses, to the model. Only
// strangers may be refused, and only if there is a limit.
func (m *machine) announce(q *Query) {
	got := m.store.Announce(q, m.now, m.rnd, &m.a)
	var want proto.Counts
	if m.a.Refused == NotRefused {
		want = m.model.announce(q, m.now)
	} else {
		m.refused[m.a.Refused]++
		if t := m.model.torrents[q.Infohash]; t != nil {
			want = t.counts()
			if _, known := t.peers[string(q.Peer.Compact())]; known || q.Event == proto.EventStopped {
				m.t.Fatalf("minute %d: %+v: refused for reason %d although known", m.now, q, m.a.Refused)
			}
		}
	}
	if got != want {
		m.t.Fatalf("minute %d: %+v: counts %+v, want %+v", m.now, q, got, want)
	}
	m.checkPeers(q)
}

// checkPeers checks what was handed out: distinct peers of the swarm, as many
// as there are or were wanted, never the asker, no seeder for a seeder, none of
// a private address for one of a public one.
func (m *machine) checkPeers(q *Query) {
	seen := map[string]bool{}
	t := m.model.torrents[q.Infohash]
	eligible := 0
	if t != nil && q.Event != proto.EventStopped {
		for width, n := range t.n {
			if !q.Both && width != len(q.Peer.Compact()) {
				continue
			}
			if !q.Peer.Private() {
				n[0] -= t.hidden[width][0]
				n[1] -= t.hidden[width][1]
			}
			eligible += n[0]
			if !q.Seeder {
				eligible += n[1]
			}
		}
		if _, stored := t.peers[string(q.Peer.Compact())]; stored && !q.Seeder {
			eligible-- // the asker
		}
	}
	for width, wire := range map[int][]byte{6: m.a.V4, 18: m.a.V6} {
		if len(wire)%width != 0 {
			m.t.Fatalf("%d bytes of peers of %d bytes", len(wire), width)
		}
		for ; len(wire) > 0; wire = wire[width:] {
			c := string(wire[:width])
			p, ok := t.peers[c]
			switch {
			case !ok:
				m.t.Fatalf("%x is not in the swarm", c)
			case seen[c]:
				m.t.Fatalf("%x was handed out twice", c)
			case c == string(q.Peer.Compact()):
				m.t.Fatalf("%x was handed out to itself", c)
			case !q.Peer.Private() && proto.PrivateCompact([]byte(c)):
				m.t.Fatalf("a private peer was handed out to a public one")
			case q.Seeder && p.seeder:
				m.t.Fatalf("a seeder was handed out to a seeder")
			case !q.Both && width != len(q.Peer.Compact()):
				m.t.Fatalf("a peer of the other family was handed out")
			}
			seen[c] = true
		}
	}
	if want := min(q.NumWant, eligible); len(seen) != want {
		m.t.Fatalf("%d peers handed out, want %d of %d for %+v", len(seen), want, eligible, q)
	}
}

func (m *machine) advance(minutes Minute) {
	for range minutes {
		m.now++
		for !m.store.SweepStep(m.now) {
		}
		m.model.sweep(m.now)
	}
}

// compare compares everything.
func (m *machine) compare() {
	var seeders, leechers int
	for ih, t := range m.model.torrents {
		got, ok := m.store.Scrape(&ih)
		if want := t.counts(); !ok || got != want {
			m.t.Fatalf("minute %d: %x: scrape %+v, %v, want %+v", m.now, ih, got, ok, want)
		}
		c := t.counts()
		seeders, leechers = seeders+int(c.Complete), leechers+int(c.Incomplete)
	}
	m.checkMemory()
	n, s, l := m.store.Totals()
	if n != len(m.model.torrents) || s != seeders || l != leechers {
		m.t.Fatalf("totals %d %d %d, want %d %d %d", n, s, l, len(m.model.torrents), seeders, leechers)
	}
}

// TestLateClock lets an announce bring a minute that is over, as happens when a
// goroutine reads the clock and then waits for the lock. Nobody is forgotten.
func TestLateClock(t *testing.T) {
	s, rnd, a := New(Options{Shards: 1}), NewRand(1), Answer{}
	for i, now := range []Minute{1000, 1001, 1001, 1000} {
		c := s.Announce(&Query{Peer: testPeer4(uint32(i)), NumWant: 50}, now, rnd, &a)
		if int(c.Incomplete) != i+1 || len(a.V4) != 6*i {
			t.Errorf("peer %d at minute %d: %d leechers, %d handed out", i, now, c.Incomplete, len(a.V4)/6)
		}
	}
	for !s.SweepStep(1001) {
	}
	if c, _ := s.Scrape(&proto.Infohash{}); c.Incomplete != 4 {
		t.Errorf("%d leechers after the sweep, want 4", c.Incomplete)
	}
}

// TestStepByStep announces between the steps of sweeps, which must agree with
// the model after every round whatever came in between.
func TestStepByStep(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	m := newMachine(t, 45)
	defer m.end()
	rounds, between := 200, 20
	if checked {
		rounds, between = 4, 2
	}
	for range rounds {
		m.now++
		m.model.sweep(m.now)
		for done := false; !done; done = m.store.SweepStep(m.now) {
			for range r.IntN(between) {
				q := Query{Infohash: testInfohash(uint32(r.IntN(300)))}
				if r.IntN(3) == 0 {
					q.Infohash = testInfohash(1 << 20) // a large one
				}
				q.Peer, q.Seeder = testPeer4(uint32(r.IntN(3000))), r.IntN(2) == 0
				if r.IntN(3) == 0 {
					q.Peer = testPeer6(uint32(r.IntN(3000)))
				}
				if r.IntN(4) == 0 {
					q.Event = proto.EventStopped
				}
				m.store.Announce(&q, m.now, m.rnd, &m.a)
				m.model.announce(&q, m.now)
			}
		}
		m.compare()
	}
}

func testInfohash(n uint32) (ih proto.Infohash) {
	binary.LittleEndian.PutUint32(ih[:], n)
	binary.LittleEndian.PutUint32(ih[12:], n*2654435761)
	return ih
}

func testPeer4(n uint32) proto.Peer { return peer4(80, n) }
func testPeer6(n uint32) proto.Peer { return peer6(0x20, n) }

func peer4(net byte, n uint32) proto.Peer {
	return proto.MakePeer(netip.AddrFrom4([4]byte{net, byte(n >> 24), byte(n >> 16), 1}), uint16(n)|1<<15)
}

func peer6(net byte, n uint32) proto.Peer {
	return proto.MakePeer(netip.AddrFrom16([16]byte{net, 1, byte(n >> 24), byte(n >> 16), 15: 1}), uint16(n)|1<<15)
}

// TestModel runs random programs: of many small torrents, of some middling
// ones, and of one that grows far beyond one block and shrinks again.
func TestModel(t *testing.T) {
	tests := []struct {
		name            string
		torrents, peers int
		steps, advance  int // advance: one step in so many lets time pass
		expire          Minute
	}{
		{"small", 200, 8, 60_000, 200, 45},
		{"middling", 5, 300, 60_000, 500, 50},
		{"large", 2, 12_000, 60_000, 3_000, 127},
		{"growing", 1, 30_000, 60_000, 1 << 30, 127},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if checked {
				tt.steps /= 50
			}
			r := rand.New(rand.NewPCG(1, uint64(tt.steps)))
			m := newMachine(t, tt.expire)
			defer m.end()
			for i := range tt.steps {
				op := byte(r.IntN(250))
				if r.IntN(tt.advance) == 0 {
					op = 255
				}
				if i < tt.steps/2 && op>>3&6 == 2 {
					op &^= 24 // the first half grows: nobody stops
				}
				if r.IntN(50) > 0 {
					op &= 15 // mostly few peers are wanted
				}
				m.do(op, byte(r.IntN(tt.torrents)), uint16(r.IntN(tt.peers)))
				if i%(tt.steps/10) == 0 {
					m.compare()
				}
			}
			m.compare()
			m.advance(tt.expire + 1)
			m.compare()
			m.advance(keepCount)
			if n, _, _ := m.store.Totals(); n != len(m.model.torrents) {
				t.Errorf("%d torrents left, want %d", n, len(m.model.torrents))
			}
		})
	}
}

// FuzzStore runs the input as a program against the model. With the build tag
// trackercheck the shards are checked after every instruction.
func FuzzStore(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{1, 10, 100, 1000} {
		b := make([]byte, n*instructionLen)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, prog []byte) {
		m := newMachine(t, 45)
		defer m.end()
		for prog = prog[:min(len(prog), 160)]; len(prog) >= instructionLen; prog = prog[instructionLen:] {
			m.do(prog[0], prog[1]%16, binary.LittleEndian.Uint16(prog[2:]))
		}
		m.compare()
	})
}

func ExampleStore() {
	s := New(Options{})
	rnd, a := NewRand(1), Answer{}
	for i := range uint32(3) {
		s.Announce(&Query{Peer: testPeer4(i), NumWant: 50}, 0, rnd, &a)
	}
	fmt.Println(a.Counts.Incomplete, "leechers,", len(a.V4)/6, "handed out")
	// Output: 3 leechers, 2 handed out
}
