package loop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"tracker/stats"
	"tracker/store"
)

// patience is how long a test waits for what should be there at once.
const patience = 5 * time.Second

// tcpOfTests is the transport of servers that name none.
var tcpOfTests = TransportAuto

// serveTest runs a server until the end of the test. Without addresses it
// listens on both protocols of both loopback addresses.
func serveTest(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Listen == nil {
		cfg.Listen = []Addr{addr("tcp 127.0.0.1:0"), addr("tcp [::1]:0"), addr("udp 127.0.0.1:0"), addr("udp [::1]:0")}
	}
	if cfg.TCP == TransportAuto {
		cfg.TCP = tcpOfTests
	}
	if cfg.Store == nil {
		cfg.Store = store.New(store.Options{})
	}
	if cfg.Logf == nil {
		cfg.Logf = func(_ Level, _, format string, args ...any) {
			if line := fmt.Sprintf(format, args...); !strings.HasPrefix(line, "listening on ") && !strings.HasPrefix(line, "UDP answers may") {
				t.Errorf("said: %s", line)
			}
		}
	}
	s, err := Run(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// each calls f with every address of a network.
func (s *Server) each(t *testing.T, network string, f func(t *testing.T, to string)) {
	for _, a := range s.Addrs() {
		if a.Network == network {
			t.Run(strings.ReplaceAll(a.AddrPort.Addr().String(), ":", "."), func(t *testing.T) { f(t, a.AddrPort.String()) })
		}
	}
}

// waitFor waits until k has been counted n times.
func (s *Server) waitFor(t *testing.T, k stats.Counter, n uint64) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		totals := s.Totals()
		if totals.Sum(k) >= n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("counter %d is %d, want %d", k, totals.Sum(k), n)
		}
	}
}

// dialTest connects until the end of the test.
func dialTest(t testing.TB, network, to string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// readResponse reads one answer, and returns its status line and its body.
func readResponse(t testing.TB, r *bufio.Reader) (status, body string) {
	t.Helper()
	length := 0
	for i := 0; ; i++ {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("answer: %q, %v", line, err)
		}
		if line = strings.TrimSpace(line); i == 0 {
			status = line
		}
		fmt.Sscanf(line, "Content-Length: %d", &length)
		if line == "" {
			break
		}
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("body: %v", err)
	}
	return status, string(b)
}

// readEnd checks that the server has closed the connection without a reset.
func readEnd(t testing.TB, r *bufio.Reader) {
	t.Helper()
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Errorf("expected the end, got %q, %v", b, err)
	}
}

const (
	statusOK = "HTTP/1.1 200 OK"
	keep     = "GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.1\r\nConnection: keep-alive\r\n\r\n"
	dont     = "GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.1\r\n\r\n"
	scrape   = "GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa\n\n"
	bad      = "BREW / HTTP/1.1\r\n\r\n"
)

func TestHTTP(t *testing.T) {
	s := serveTest(t, Config{TCPReactors: 2})
	tests := []struct {
		name string
		send []string // each a segment of its own
		want []string // status lines; the connection closes behind the last
	}{
		{"one", []string{dont}, []string{"HTTP/1.1 200 OK"}},
		{"byte by byte", strings.Split(dont, ""), []string{"HTTP/1.1 200 OK"}},
		{"pipelined", []string{dont + scrape + dont}, []string{statusOK, statusOK, statusOK}},
		{"pipelined, end missing", []string{dont + scrape + dont[:20]}, []string{statusOK, statusOK}},
		{"pipelined with an error", []string{dont + bad + dont}, []string{statusOK, "HTTP/1.0 400 Invalid Request"}},
		{"kept", []string{keep, keep, dont}, []string{statusOK, statusOK, statusOK}},
		{"kept and pipelined", []string{keep + keep + keep[:9], keep[9:] + dont}, []string{statusOK, statusOK, statusOK, statusOK}},
		{"not found", []string{"GET /x HTTP/1.0\r\n\r\n"}, []string{"HTTP/1.0 404 Not Found"}},
		{"too long", []string{"GET /" + strings.Repeat("x", 20000)}, []string{"HTTP/1.0 500 Internal Server Error"}},
		{"too long, much follows", []string{"GET /" + strings.Repeat("x", 1<<20)}, []string{"HTTP/1.0 500 Internal Server Error"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.each(t, "tcp", func(t *testing.T, to string) {
				c := dialTest(t, "tcp", to)
				r := bufio.NewReader(c)
				for i, segment := range tt.send {
					io.WriteString(c, segment)
					if i+1 < len(tt.send) && len(segment) == len(keep) {
						r.Peek(1) // wait for the answer
					}
				}
				for i, want := range tt.want {
					if got, _ := readResponse(t, r); got != want {
						t.Errorf("answer %d: %q, want %q", i, got, want)
					}
				}
				if tt.name == "too long" || tt.name == "too long, much follows" {
					c.(*net.TCPConn).CloseWrite() // we are heard out first
				}
				readEnd(t, r)
			})
		})
	}
}

// TestPeersMeet checks that peers of both wires and both families are one
// swarm.
func TestPeersMeet(t *testing.T) {
	s := serveTest(t, Config{})
	a := s.Addrs()
	u := dialTest(t, "udp", a[2].AddrPort.String())
	ask(t, u, udpAnnounceRequest(connect(t, u), 'a', 0, 0x1111))
	u = dialTest(t, "udp", a[3].AddrPort.String())
	ask(t, u, udpAnnounceRequest(connect(t, u), 'a', 0, 0x2222))
	c := dialTest(t, "tcp", a[0].AddrPort.String())
	io.WriteString(c, announceLine('a', "&port=3&left=1"))
	_, body := readResponse(t, bufio.NewReader(c))
	for _, want := range []string{
		"8:completei2e", "10:incompletei1e", "5:peers6:\x7f\x00\x00\x01\x11\x11",
		"6:peers618:" + strings.Repeat("\x00", 15) + "\x01\x22\x22",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is not in %q", want, body)
		}
	}
}

// TestHalfClosed checks that a client that has nothing more to say is still
// answered.
func TestHalfClosed(t *testing.T) {
	s := serveTest(t, Config{})
	for _, req := range []string{dont, keep, scrape + scrape} {
		s.each(t, "tcp", func(t *testing.T, to string) {
			c := dialTest(t, "tcp", to)
			io.WriteString(c, req)
			c.(*net.TCPConn).CloseWrite()
			r := bufio.NewReader(c)
			for range strings.Count(req, "GET") {
				if status, _ := readResponse(t, r); status != statusOK {
					t.Errorf("got %q", status)
				}
			}
			readEnd(t, r)
		})
	}
}

// TestStop checks that a stopped server has closed everything, and that the
// same addresses can be had at once.
func TestStop(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		before := openFiles()
		s := serveTest(t, Config{UDP: tr, TCP: tcpLike(tr)})
		addrs := s.Addrs()
		for range 3 {
			c := dialTest(t, "tcp", addrs[0].AddrPort.String())
			io.WriteString(c, keep)
			readResponse(t, bufio.NewReader(c))
			s.Stop()
			s.Stop()
			if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("after the stop: %d bytes, %v", n, err)
			}
			c.Close()
			if n := openFiles(); n > before {
				t.Errorf("%d descriptors open, %d before", n, before)
			}
			s = serveTest(t, Config{UDP: tr, TCP: tcpLike(tr), Listen: addrs})
		}
	})
}

// TestTransportsSay checks that the transport that cannot choose the address
// of its answers says so, and only where it matters.
func TestTransportsSay(t *testing.T) {
	said := func(tr Transport, to string) bool {
		var all string
		serveTest(t, Config{UDP: tr, Listen: []Addr{addr(to)}, Logf: func(_ Level, _, format string, args ...any) {
			all += fmt.Sprintf(format, args...) + "\n"
		}}).Stop()
		return strings.Contains(all, "another address")
	}
	if hasGnet && !said(TransportGnet, "udp 0.0.0.0:0") {
		t.Errorf("gnet on every address says nothing")
	}
	if hasGnet && said(TransportGnet, "udp 127.0.0.1:0") || hasBatches && said(TransportBatches, "udp 0.0.0.0:0") {
		t.Errorf("it is said where it is not so")
	}
}
