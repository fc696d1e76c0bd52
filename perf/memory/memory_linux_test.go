package main

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"testing"

	"tracker/perf"
	"tracker/proto"
)

// TestRequestsDiffer checks that a swarm's peers are all different, as far as
// any sweep goes, and that seeders are counted right.
func TestRequestsDiffer(t *testing.T) {
	for _, s := range sweeps {
		last := s.steps[len(s.steps)-1]
		for torrent := range min(last.torrents, 3) {
			seen := map[[2]uint32]bool{}
			var seeders uint32
			for p := range last.peers {
				r := request(torrent, p)
				if r.Source >= sourceCount || r.Port < firstPort {
					t.Fatalf("%s: peer %d: %+v", s.name, p, r)
				}
				seen[[2]uint32{r.Source, uint32(r.Port)}] = true
				if r.Seeder {
					seeders++
				}
			}
			complete, incomplete := expected(torrent, last.peers)
			if len(seen) != int(last.peers) || complete != seeders || incomplete != last.peers-seeders {
				t.Errorf("%s: %d peers differ, %d seed; want %d, %d", s.name, len(seen), seeders, last.peers, complete)
			}
		}
	}
}

// TestStepsGrow checks that each step only adds to one side of the one before.
func TestStepsGrow(t *testing.T) {
	for _, s := range sweeps {
		var have step
		for _, to := range s.steps {
			b := between(have, to)
			added := uint64(b.torrent1-b.torrent0) * uint64(b.peer1-b.peer0)
			want := uint64(to.torrents)*uint64(to.peers) - uint64(have.torrents)*uint64(have.peers)
			if added != want || want == 0 {
				t.Errorf("%s: %+v to %+v adds %d peers, want %d", s.name, have, to, added, want)
			}
			have = to
		}
	}
}

// A model is a tracker of maps that answers UDP.
type model struct {
	conn   *net.UDPConn
	peers  map[proto.Infohash]map[peer]bool // true seeds
	forget uint32                           // a peer's port that is confirmed but not kept
	done   chan bool
}

type peer struct {
	addr netip.Addr
	port uint16
}

// startModel serves until the test ends or stop is called.
func startModel(t *testing.T, forget uint32) *model {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	m := &model{conn: c, peers: map[proto.Infohash]map[peer]bool{}, forget: forget, done: make(chan bool)}
	go m.serve()
	t.Cleanup(m.stop)
	return m
}

func (m *model) stop() {
	m.conn.Close()
	<-m.done
}

func (m *model) serve() {
	defer close(m.done)
	buf := make([]byte, 2048)
	for {
		n, from, err := m.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		answer := append([]byte(nil), buf[8:16]...)
		switch {
		case buf[11] == 1:
			m.announce(buf[:n], from.Addr())
			fallthrough
		case buf[11] == 0:
			answer = append(answer, make([]byte, 12)...)
		default:
			for at := 16; at+20 <= n; at += 20 {
				answer = m.scrape(answer, proto.Infohash(buf[at:at+20]))
			}
		}
		if _, err := m.conn.WriteToUDPAddrPort(answer, from); err != nil {
			return
		}
	}
}

func (m *model) announce(pkt []byte, from netip.Addr) {
	ih, p := proto.Infohash(pkt[16:36]), peer{from, binary.BigEndian.Uint16(pkt[96:])}
	if m.peers[ih] == nil {
		m.peers[ih] = map[peer]bool{}
	}
	if pkt[83] == byte(proto.EventStopped) {
		delete(m.peers[ih], p)
	} else if uint32(p.port) != m.forget {
		m.peers[ih][p] = binary.BigEndian.Uint64(pkt[64:]) == 0
	}
}

func (m *model) scrape(dst []byte, ih proto.Infohash) []byte {
	var c proto.Counts
	for _, seeds := range m.peers[ih] {
		if seeds {
			c.Complete++
		} else {
			c.Incomplete++
		}
	}
	dst = binary.BigEndian.AppendUint32(dst, c.Complete)
	return binary.BigEndian.AppendUint64(dst, uint64(c.Incomplete))
}

// TestFill fills a tracker in two steps, finds every peer, and stops them.
func TestFill(t *testing.T) {
	m := startModel(t, 0)
	u, err := perf.OpenUDP(m.conn.LocalAddr().(*net.UDPAddr).AddrPort(), perf.Sources4(sourceCount))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	f := newFiller(nil, u)
	var have step
	for _, to := range []step{{10, 50}, {10, 70}} {
		if err := f.announce(between(have, to), proto.EventStarted); err != nil {
			t.Fatal(err)
		}
		if err := f.verify(to); err != nil {
			t.Error(err)
		}
		have = to
	}
	if err := f.announce(between(step{}, have), proto.EventStopped); err != nil {
		t.Fatal(err)
	}
	m.stop()
	for ih, peers := range m.peers {
		if len(peers) > 0 {
			t.Errorf("%x: %d peers are left", ih, len(peers))
		}
	}
}

// TestVerifyFinds has a tracker forget a peer.
func TestVerifyFinds(t *testing.T) {
	m := startModel(t, uint32(request(warmTorrents+3, 5).Port))
	u, err := perf.OpenUDP(m.conn.LocalAddr().(*net.UDPAddr).AddrPort(), perf.Sources4(sourceCount))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	f := newFiller(nil, u)
	to := step{10, 10}
	if err := f.announce(between(step{}, to), proto.EventStarted); err != nil {
		t.Fatal(err)
	}
	if f.verify(to) == nil {
		t.Error("a peer that was not stored was not missed")
	}
}

func TestBudgets(t *testing.T) {
	s := sweep{name: "test", unit: "torrent", budget: 48, steps: []step{{1000, 1}}}
	for _, tt := range []struct {
		grown  int64
		broken bool
	}{{48_000, false}, {48_001, true}} {
		r := row{at: s.steps[0], base: perf.Memory{RSS: 5000}, grown: perf.Memory{RSS: 5000 + tt.grown}}
		if got := s.print(io.Discard, []row{r}, nil); got != tt.broken {
			t.Errorf("%d bytes for 1000 torrents: broken %v, want %v", tt.grown, got, tt.broken)
		}
	}
}
