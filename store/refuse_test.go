package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"tracker/proto"
)

// withLimits returns a machine whose store has limits.
func withLimits(t testing.TB, l Limits) *machine {
	m := newMachine(t, 45)
	m.store = New(Options{Shards: 2, Expire: 45, Limits: l})
	return m
}

// portsIn counts the model's peers that share an address with c in a torrent.
func (m *machine) portsIn(ih proto.Infohash, c []byte) (n int) {
	if t := m.model.torrents[ih]; t != nil {
		for p := range t.peers {
			if len(p) == len(c) && p[:addressLen(len(c))] == string(c[:addressLen(len(c))]) {
				n++
			}
		}
	}
	return n
}

// TestLimits runs random programs with limits of everything: peers are refused
// exactly when there is a reason, and for that reason.
func TestLimits(t *testing.T) {
	tests := []struct {
		limits                     Limits
		torrents, addresses, ports int
	}{
		{Limits{PeersPerTorrent: 20}, 40, 30, 3},
		{Limits{PeersPerTorrent: 300}, 4, 300, 3},
		{Limits{Torrents: 25}, 40, 10, 3},
		{Limits{PortsPerAddress: 1}, 20, 10, 5},
		{Limits{PortsPerAddress: 3}, 3, 400, 6},
		{Limits{PortsPerAddress: 40}, 2, 40, 80},
		{Limits{PeersPerTorrent: 150, Torrents: 3, PortsPerAddress: 2}, 4, 200, 4},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%+v", tt.limits), func(t *testing.T) {
			m := withLimits(t, tt.limits)
			defer m.end()
			r := rand.New(rand.NewPCG(3, 4))
			steps := 20_000
			if checked || raced {
				steps /= 40
			}
			for range steps {
				q := Query{Infohash: testInfohash(uint32(r.IntN(tt.torrents))), NumWant: r.IntN(4), Seeder: r.IntN(3) == 0}
				a, port := r.IntN(tt.addresses), uint16(1+r.IntN(tt.ports))
				q.Peer = proto.MakePeer(netip.AddrFrom4([4]byte{80, 1, byte(a >> 8), byte(a)}), port)
				if r.IntN(3) == 0 { // another host of the same network each time
					q.Peer = proto.MakePeer(netip.AddrFrom16([16]byte{0x20, 1, byte(a >> 8), byte(a), 15: byte(port)}), 6881)
				}
				if r.IntN(8) == 0 {
					q.Event = proto.EventStopped
				}
				want := m.expectRefusal(&q, tt.limits)
				if m.announce(&q); m.a.Refused != want {
					t.Fatalf("%+v: refused for reason %d, want %d", q, m.a.Refused, want)
				}
				if r.IntN(5000) == 0 {
					m.advance(Minute(r.IntN(30)))
				}
			}
			m.compare()
			m.restoreAgain(tt.limits)
		})
	}
}

// TestPortsFromFirst counts the port of an address with which its key is the
// least there can be.
func TestPortsFromFirst(t *testing.T) {
	m := withLimits(t, Limits{PortsPerAddress: 1})
	defer m.end()
	for i := range uint32(500) {
		q := Query{Peer: proto.MakePeer(netip.AddrFrom4([4]byte{81, 1, byte(i >> 8), byte(i)}), 6881)}
		m.announce(&q)
	}
	address := netip.AddrFrom4([4]byte{80, 1, 1, 1})
	first := uint16(1)
	for port := range uint16(1<<16 - 1) {
		c := proto.MakePeer(address, port+1)
		if m.store.secret.key(c.Compact())&portBits == 0 {
			first = port + 1
		}
	}
	m.announce(&Query{Peer: proto.MakePeer(address, first)})
	if m.announce(&Query{Peer: proto.MakePeer(address, first^1<<8)}); m.a.Refused != RefusedPorts {
		t.Errorf("a second port is refused for reason %d", m.a.Refused)
	}
}

// expectRefusal returns why q has to be refused.
func (m *machine) expectRefusal(q *Query, l Limits) Refusal {
	c := q.Peer.Compact()
	t := m.model.torrents[q.Infohash]
	known := false
	if t != nil {
		_, known = t.peers[string(c)]
	}
	switch {
	case known || q.Event == proto.EventStopped:
	case t == nil && l.Torrents > 0 && len(m.model.torrents) >= l.Torrents:
		return RefusedTorrents
	case t != nil && l.PeersPerTorrent > 0 && len(t.peers) >= l.PeersPerTorrent:
		return RefusedPeers
	case l.PortsPerAddress > 0 && m.portsIn(q.Infohash, c) >= l.PortsPerAddress:
		return RefusedPorts
	}
	return NotRefused
}

// restoreAgain loads a snapshot of m's store into one with half the limits, and
// checks that they hold and that what is left out is counted.
func (m *machine) restoreAgain(l Limits) {
	m.t.Helper()
	var file bytes.Buffer
	if _, err := m.store.WriteSnapshot(&file, &testHeader, m.now); err != nil {
		m.t.Fatal(err)
	}
	half := Limits{(l.PeersPerTorrent + 1) / 2, (l.Torrents + 1) / 2, (l.PortsPerAddress + 1) / 2}
	to := withLimits(m.t, half)
	defer to.end()
	to.now = m.now
	totals, err := load(to.store, file.Bytes(), to.now, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	to.checkMemory()
	torrents, seeders, leechers := to.store.Totals()
	if int64(seeders+leechers)+totals.Refused != totals.Peers {
		m.t.Errorf("of %d peers, %d were loaded and %d refused", totals.Peers, seeders+leechers, totals.Refused)
	}
	if half.Torrents > 0 && torrents > half.Torrents {
		m.t.Errorf("%d torrents were loaded, of at most %d", torrents, half.Torrents)
	}
	if l != half && totals.Refused == 0 && !checked && !raced {
		m.t.Errorf("nothing was refused of %d torrents", torrents)
	}
	for ih := range m.model.torrents {
		c, _ := to.store.Scrape(&ih)
		if n := int(c.Complete + c.Incomplete); half.PeersPerTorrent > 0 && n > half.PeersPerTorrent {
			m.t.Errorf("%d peers of one torrent were loaded, of at most %d", n, half.PeersPerTorrent)
		}
	}
}

// TestRestoreBudget loads a snapshot with little memory: no more is taken, and
// what is left out is counted.
func TestRestoreBudget(t *testing.T) {
	from := newMachine(t, 45)
	defer from.end()
	if checked {
		t.Log("takes too long with checks after each announce")
		return
	}
	for i := range uint32(40_000) {
		q := Query{Infohash: testInfohash(i % 7), Peer: testPeer4(i)}
		if i%2 == 0 {
			q.Infohash = testInfohash(i)
		}
		from.store.Announce(&q, from.now, from.rnd, &from.a)
	}
	var file bytes.Buffer
	if _, err := from.store.WriteSnapshot(&file, &testHeader, from.now); err != nil {
		t.Fatal(err)
	}
	for _, most := range []int64{0, 100 << 10, 700 << 10, 1 << 30} {
		to := newMachine(t, 45)
		to.store.SetMemory(most)
		totals, err := load(to.store, file.Bytes(), to.now, 0)
		if err != nil {
			t.Fatal(err)
		}
		to.checkMemory()
		_, s, l := to.store.Totals()
		t.Logf("with %d bytes: %d peers in %d, %d refused", most, s+l, to.store.Bytes(), totals.Refused)
		if used := to.store.Bytes(); used > most {
			t.Errorf("%d bytes were taken of %d", used, most)
		}
		if int64(s+l)+totals.Refused != totals.Peers || (totals.Refused == 0) != (most == 1<<30) {
			t.Errorf("with %d bytes: %d peers loaded and %d refused, of %d", most, s+l, totals.Refused, totals.Peers)
		}
		to.end()
	}
}

// TestFullRecordCredited gives a torrent with as many peers as a record holds a
// count of downloads, for which it has no room.
func TestFullRecordCredited(t *testing.T) {
	m := newMachine(t, 45)
	defer m.end()
	for i := range uint32(76) {
		q := Query{Infohash: testInfohash(1), Peer: testPeer4(i)}
		m.announce(&q)
	}
	ih := testInfohash(1)
	m.store.Load(&ih, 7, 0, m.now)
	m.model.torrents[ih].downloaded = 7
	m.compare()
}
