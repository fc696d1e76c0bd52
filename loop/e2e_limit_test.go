package loop

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tracker/stats"
)

// TestIdle checks that clients that say nothing, or hardly anything, are hung
// up on, and that those who ask again and again are not. Time passes when all has
// been said, however long that takes.
func TestIdle(t *testing.T) {
	const limit = 600 * time.Millisecond
	var now atomic.Int64
	now.Store(int64(time.Hour))
	s := serveTest(t, Config{IdleLimit: limit, Now: func() time.Duration { return time.Duration(now.Load()) }})
	to := s.Addrs()[0].AddrPort.String()
	advance := func() {
		t.Helper()
		want := time.Duration(now.Add(int64(limit / 4))).Milliseconds()
		for end := time.Now().Add(patience); s.clock.millis.Load() < want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("nobody looks at the clock")
			}
		}
	}

	silent, answered, long := dialTest(t, "tcp", to), dialTest(t, "tcp", to), dialTest(t, "tcp", to)
	trickling, busy := dialTest(t, "tcp", to), dialTest(t, "tcp", to)
	io.WriteString(answered, keep)
	r := bufio.NewReader(answered)
	readResponse(t, r)
	io.WriteString(long, strings.Repeat("x", 10000)) // never closes its side
	busyReader := bufio.NewReader(busy)
	for range 12 {
		io.WriteString(trickling, "x") // fails in the end
		io.WriteString(busy, keep)
		readResponse(t, busyReader)
		advance()
	}
	for totals := s.Totals(); totals.Sum(stats.TCPAccepts) < 5 || s.quota.used.Load() > 0; totals = s.Totals() {
		advance() // the system may keep the silent one to itself for a while
	}
	readEnd(t, bufio.NewReader(silent))
	readEnd(t, r)
	readResponse(t, bufio.NewReader(long))
	if _, err := io.Copy(io.Discard, trickling); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("trickling: %v", err)
	}
	readEnd(t, busyReader)
	s.waitFor(t, stats.TCPExpired, 3)
	s.waitFor(t, stats.TCPTrickled, 1)
}

// TestDoesNotRead checks that a client that asks and asks and never reads is
// hung up on, and that its answers do not fill our memory before.
func TestDoesNotRead(t *testing.T) {
	s := serveTest(t, Config{stall: 500 * time.Millisecond})
	u := dialTest(t, "udp", s.Addrs()[2].AddrPort.String())
	id := connect(t, u)
	for port := range uint16(200) {
		ask(t, u, udpAnnounceRequest(id, 'a', 1, port+1))
	}
	c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
	c.(*net.TCPConn).SetReadBuffer(4096)
	req := []byte(strings.Repeat("GET /a?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&numwant=200&compact=0 HTTP/1.1\nConnection: keep-alive\n\n", 100))
	for {
		if _, err := c.Write(req); err != nil {
			break
		}
	}
	s.waitFor(t, stats.TCPOverrun, 1)
}

// TestReadsForLong has clients that read a little every now and then: one takes
// long, and gets all of its answers, one takes too long. Meanwhile no more is kept
// for them than for others.
func TestReadsForLong(t *testing.T) {
	const n, stall = 25, 500 * time.Millisecond
	for _, tt := range []struct {
		name         string
		pause, limit time.Duration
		ends         bool
	}{{"slow", stall / 50, sendLimit, true}, {"too slow", stall / 5, 3 * stall, false}} {
		t.Run(tt.name, func(t *testing.T) {
			s, to := serveSlowly(t, Config{TCPReactors: 1, stall: stall, sendLimit: tt.limit})
			c := dialTest(t, "tcp", to).(*net.TCPConn)
			c.SetReadBuffer(4096)
			c.SetDeadline(time.Now().Add(longPatience))
			io.WriteString(c, strings.Repeat(longRequest, n))
			s.waitFor(t, stats.HTTPAnnounces, 1)
			got, began := 0, time.Now()
			for tick := time.NewTicker(tt.pause); ; <-tick.C {
				m, err := c.Read(make([]byte, 2048))
				if got += m; err != nil {
					break
				}
			}
			totals := s.Totals()
			t.Logf("%d bytes in %v", got, time.Since(began))
			if ended := totals.Sum(stats.TCPOverrun) == 0; ended != tt.ends || ended != (got > n*5000) {
				t.Errorf("all is sent: %v, got %d bytes", ended, got)
			}
		})
	}
}

// longRequest asks for as long an answer to an announce as there is.
const longRequest = "GET /a?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&numwant=200&compact=0 HTTP/1.1\n\n"

// atOnce is how many of them are answered at least before any answer is read.
const atOnce = flushAt / 9000 // the longest there is

// serveSlowly runs a server whose kernel holds next to nothing of an answer,
// and whose answer to a [longRequest] is over 5,000 bytes.
func serveSlowly(t *testing.T, cfg Config) (s *Server, to string) {
	t.Helper()
	s = serveTest(t, cfg)
	u := dialTest(t, "udp", s.Addrs()[2].AddrPort.String())
	id := connect(t, u)
	for port := range uint16(200) {
		ask(t, u, udpAnnounceRequest(id, 'a', 1, port+1))
	}
	l := s.listeners[0]
	if err := unix.SetsockoptInt(l.fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 4096); err != nil { // inherited
		t.Fatal(err)
	}
	return s, l.addr.AddrPort.String()
}

// TestReadsLate has a client send all its requests before it reads the first
// answer: more than the kernel takes, and less than is too much. Nothing is
// lost, and the connection closes behind the last.
func TestReadsLate(t *testing.T) {
	s, to := serveSlowly(t, Config{TCPReactors: 1})
	asked := 0
	for _, n := range []int{1, 2, 25} {
		c := dialTest(t, "tcp", to)
		io.WriteString(c, strings.Repeat(longRequest, n))
		s.waitFor(t, stats.HTTPAnnounces, uint64(asked+min(n, atOnce)))
		asked += n
		r := bufio.NewReader(c)
		for range n {
			if status, _ := readResponse(t, r); status != statusOK {
				t.Errorf("got %q", status)
			}
		}
		readEnd(t, r)
	}
}

// TestHalfClosedReadsLate is [TestReadsLate] with a client that has said that
// it says nothing more. It is not to be mistaken for one that is gone.
func TestHalfClosedReadsLate(t *testing.T) {
	s, to := serveSlowly(t, Config{TCPReactors: 1})
	const n = 25
	for i, last := range []string{longRequest, keep} {
		c := dialTest(t, "tcp", to)
		io.WriteString(c, strings.Repeat(longRequest, n-1)+last)
		c.(*net.TCPConn).CloseWrite()
		s.waitFor(t, stats.HTTPAnnounces, uint64(i*n+atOnce))
		r := bufio.NewReader(c)
		for range n {
			readResponse(t, r)
		}
		readEnd(t, r)
	}
}

// TestTalksOn checks that a client gets the whole answer when it is about to
// be hung up on and has not stopped talking: the system resets a connection
// that is closed with input unread, and must not forget the answer over it.
func TestTalksOn(t *testing.T) {
	s := serveTest(t, Config{})
	for _, more := range []int{1, 1 << 10, readBuffer, 4 * readBuffer} {
		c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
		io.WriteString(c, dont+strings.Repeat("x", more))
		if status, _ := readResponse(t, bufio.NewReader(c)); status != statusOK {
			t.Errorf("%d bytes more: %q", more, status)
		}
	}
}

// TestCap checks that there is always room for one more: with as many
// connections as were asked for, the one that has been idle for the longest goes.
func TestCap(t *testing.T) {
	const most = 3
	s := serveTest(t, Config{MaxConns: most, TCPReactors: 1, Listen: []Addr{addr("tcp 127.0.0.1:0")}})
	var held []net.Conn
	for i := range 4 * most {
		c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
		io.WriteString(c, keep)
		readResponse(t, bufio.NewReader(c))
		held = append(held, c)
		if i < most {
			continue
		}
		readEnd(t, bufio.NewReader(held[i-most]))
		for _, c := range held[i-most+1:] {
			io.WriteString(c, keep)
			readResponse(t, bufio.NewReader(c))
		}
	}
	s.waitFor(t, stats.TCPEvicted, 3*most)
	if used := s.quota.used.Load(); used != most {
		t.Errorf("%d connections are counted, want %d", used, most)
	}
	if totals := s.Totals(); totals.Sum(stats.TCPRefused)+totals.Sum(stats.TCPCut) != 0 {
		t.Errorf("some were refused or cut")
	}
}

// TestCapOfAll checks the same where connections belong to several reactors: the
// limit is of all of them together.
func TestCapOfAll(t *testing.T) {
	const most, reactors = 10, 4
	s := serveTest(t, Config{MaxConns: most, TCPReactors: reactors, Listen: []Addr{addr("tcp 127.0.0.1:0")}})
	for range 20 * most {
		c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
		io.WriteString(c, keep)
		readResponse(t, bufio.NewReader(c))
		if used := s.quota.used.Load(); used > most+2*reactors {
			t.Fatalf("%d connections at once, want %d", used, most)
		}
	}
	s.waitConns(t, most)
	if totals := s.Totals(); totals.Sum(stats.TCPRefused)+totals.Sum(stats.TCPCut) != 0 {
		t.Errorf("some were refused or cut")
	}
}
