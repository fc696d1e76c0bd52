package loop

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tracker/stats"
)

// TestQueues fills what waits at real sockets, and looks.
func TestQueues(t *testing.T) {
	s := serveTest(t, Config{})
	if n := len(s.udp) + len(s.tcp); len(s.gauges) != n {
		t.Errorf("%d gauges for %d reactors", len(s.gauges), n)
	}
	for _, network := range []string{"udp", "tcp"} {
		w := unread(t, network)
		if w.behind() {
			t.Errorf("%s: behind with nothing", network)
		}
		fill(t, w)
		if !w.behind() {
			t.Errorf("%s: not behind: %+v", network, queueOf(w))
		}
	}
}

// unread returns a real socket that nobody reads.
func unread(t *testing.T, network string) *watched {
	t.Helper()
	at := Addr{Network: network, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
	fd, err := bindSocket(binding{addr: at}, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if network == "tcp" {
		err = unix.Listen(fd, 3)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &watched{fd: fd, udp: network == "udp"}
}

// fill sends so much to w, which nobody reads, that it is more than half full.
func fill(t *testing.T, w *watched) {
	t.Helper()
	at, err := localAddr(w.fd)
	if err != nil {
		t.Fatal(err)
	}
	if w.udp {
		c, err := net.Dial("udp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 10_000 {
			_, _ = c.Write(make([]byte, 1000))
		}
		return
	}
	for range 3 {
		c, err := net.DialTimeout("tcp", at.String(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
}

// TestAlive looks at sockets that nobody reads, and at the clock of a server.
func TestAlive(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		w := unread(t, network)
		g := &gauge{reactor: newTestReactor(), sockets: []*watched{w}}
		s := &Server{gauges: []*gauge{g}}
		var now time.Duration
		s.cfg.Now = func() time.Duration { return now }
		looks := func(n int) error {
			for range n {
				g.look()
			}
			return s.Alive()
		}
		if err := looks(100); err != nil {
			t.Errorf("%s: nothing waits: %v", network, err)
		}
		fill(t, w)
		if err := looks(stuckLooks - 1); err != nil {
			t.Errorf("%s: after a moment: %v", network, err)
		}
		g.reactor.stats.Took(time.Millisecond, 1)
		if err := looks(stuckLooks); err != nil {
			t.Errorf("%s: something was heard: %v", network, err)
		}
		if err := looks(1); err == nil {
			t.Errorf("%s: a stuck reactor is taken to be alive", network)
		}
		g.reactor.stats.Inc(stats.TCPAccepts, stats.V4)
		if err := looks(1); err != nil {
			t.Errorf("%s: it goes on: %v", network, err)
		}
		now = stoodStill + time.Second
		if s.Alive() == nil {
			t.Errorf("%s: a clock that stands still is not found", network)
		}
	}
}
