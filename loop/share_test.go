package loop

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"tracker/store"
)

// A sharerFunc is a Sharer.
type sharerFunc func(q *store.Query, a *store.Answer, now store.Minute)

func (f sharerFunc) Announced(q *store.Query, a *store.Answer, now store.Minute) { f(q, a, now) }

// TestShare checks that each announce is told once, over both wires, and by
// those reactors again that were paused.
func TestShare(t *testing.T) {
	type told struct {
		port    uint16
		known   bool
		minutes int
	}
	heard, joined := make(chan told, 10), 0
	s := serveTest(t, Config{
		Listen: []Addr{addr("tcp 127.0.0.1:0"), addr("udp 127.0.0.1:0")},
		Join: func(s *Server) (func() Sharer, error) {
			joined++
			n := 0
			return func() Sharer {
				n++
				return sharerFunc(func(q *store.Query, a *store.Answer, now store.Minute) {
					heard <- told{q.Peer.Port(), a.Known, int(now - s.Minute())}
				})
			}, nil
		},
	})
	if joined != 1 {
		t.Fatalf("joined %d times", joined)
	}
	announces := func(want ...told) {
		t.Helper()
		for _, w := range want {
			select {
			case got := <-heard:
				if got != w {
					t.Errorf("told %+v, want %+v", got, w)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("not told %+v", w)
			}
		}
	}
	ask := func(port string) {
		c, err := net.Dial("tcp", s.Addrs()[0].AddrPort.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write([]byte("GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&left=1&port=" + port + " HTTP/1.0\r\n\r\n"))
		c.Read(make([]byte, 1000))
	}
	ask("1000")
	announces(told{port: 1000})
	u := dialTest(t, "udp", s.Addrs()[1].AddrPort.String())
	id := s.clock.keys.Load().id(netip.MustParseAddr("127.0.0.1"))
	u.Write(udpAnnounceRequest(id, 'a', 1, 1000))
	announces(told{port: 1000, known: true})
	s.Pause()
	s.Resume()
	if joined != 2 {
		t.Errorf("joined %d times", joined)
	}
	ask("1001")
	announces(told{port: 1001})
}

// TestNoShare checks that a server that cannot join does not start.
func TestNoShare(t *testing.T) {
	want := errors.New("no")
	_, err := Run(Config{
		Listen: []Addr{addr("tcp 127.0.0.1:0")}, Store: store.New(store.Options{Shards: 1}),
		Join: func(*Server) (func() Sharer, error) { return nil, want },
	})
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
