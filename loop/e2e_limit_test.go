package loop

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tracker/stats"
)

// TestIdle checks that clients that say nothing, or hardly anything, are hung
// up on, and that those who ask again and again are not.
func TestIdle(t *testing.T) {
	const limit = 400 * time.Millisecond
	s := serveTest(t, Config{IdleLimit: limit})
	to := s.Addrs()[0].AddrPort.String()

	began := time.Now()
	silent, answered, long := dialTest(t, "tcp", to), dialTest(t, "tcp", to), dialTest(t, "tcp", to)
	trickling, busy := dialTest(t, "tcp", to), dialTest(t, "tcp", to)
	io.WriteString(answered, keep)
	r := bufio.NewReader(answered)
	readResponse(t, r)
	io.WriteString(long, strings.Repeat("x", 10000)) // never closes its side

	go func() {
		for tick := time.Tick(limit / 20); ; <-tick {
			if _, err := trickling.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
	busyReader := bufio.NewReader(busy)
	for tick := time.Tick(limit / 4); time.Since(began) < 3*limit; <-tick {
		io.WriteString(busy, keep)
		readResponse(t, busyReader)
	}
	readEnd(t, bufio.NewReader(silent))
	readEnd(t, r)
	readResponse(t, bufio.NewReader(long))
	if _, err := io.Copy(io.Discard, trickling); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("trickling: %v", err)
	}
	readEnd(t, busyReader)
	s.waitFor(t, stats.TCPExpired, 4)
	if took := time.Since(began); took < 3*limit || took > patience {
		t.Errorf("it all took %v, want a bit over %v", took, 3*limit)
	}
	if used := s.quota.used.Load(); used != 0 {
		t.Errorf("%d connections are still counted", used)
	}
}

// TestDoesNotRead checks that a client that asks and asks and never reads is
// hung up on before its answers fill our memory.
func TestDoesNotRead(t *testing.T) {
	s := serveTest(t, Config{})
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

// TestCap checks that no more connections are kept than were asked for, and
// that there is room again when one closes.
func TestCap(t *testing.T) {
	s := serveTest(t, Config{MaxConns: 3, TCPReactors: 2})
	to := s.Addrs()[0].AddrPort.String()
	var held []net.Conn
	for range 3 {
		c := dialTest(t, "tcp", to)
		io.WriteString(c, keep)
		readResponse(t, bufio.NewReader(c))
		held = append(held, c)
	}
	over := dialTest(t, "tcp", to)
	if n, err := over.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("one too many is served")
	}
	s.waitFor(t, stats.TCPRefused, 1)
	held[0].Close()
	for end := time.Now().Add(patience); s.quota.used.Load() > 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a closed connection is still counted")
		}
	}
	c := dialTest(t, "tcp", to)
	io.WriteString(c, dont)
	readResponse(t, bufio.NewReader(c))
}
