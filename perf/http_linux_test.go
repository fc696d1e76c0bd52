package perf

import (
	"bufio"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

const httpAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nd8:intervali1e"

// startHTTP answers each request in two pieces, and closes after requests of
// them on a connection, or when the client does.
func startHTTP(t *testing.T, requests int) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serveHTTP(c, requests) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return netip.MustParseAddrPort(l.Addr().String())
}

func serveHTTP(c net.Conn, requests int) {
	defer c.Close()
	in := bufio.NewReader(c)
	for range requests {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if strings.TrimSpace(line) == "" {
				break
			}
		}
		for _, part := range []string{httpAnswer[:30], httpAnswer[30:]} {
			if _, err := c.Write([]byte(part)); err != nil {
				return
			}
		}
	}
}

func TestHTTP(t *testing.T) {
	for _, tt := range []struct {
		name      string
		requests  int // the server answers on a connection
		keepAlive bool
		depth     int
		lossless  bool
	}{
		{name: "a connection each", requests: 1, lossless: true},
		{name: "kept", requests: 1 << 30, keepAlive: true, lossless: true},
		{name: "pipelined", requests: 1 << 30, keepAlive: true, depth: 8, lossless: true},
		{name: "closed now and then", requests: 10, keepAlive: true, depth: 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := OpenHTTP(startHTTP(t, tt.requests), Sources4(256))
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			h.Limits = Limits{Count: 2000, Window: 20}
			h.KeepAlive, h.Depth = tt.keepAlive, tt.depth
			w := canonical(t, Workload{})
			for range 2 {
				res, err := h.Run(func(r *Request) bool { w.Next(r); return true })
				if err != nil {
					t.Fatal(err)
				}
				if res.Sent != 2000 || res.Answered+res.Lost != 2000 || res.Answered < 1000 || res.Refused > 0 {
					t.Errorf("sent %d, answered %d, lost %d, refused %d", res.Sent, res.Answered, res.Lost, res.Refused)
				}
				if tt.lossless && res.Lost > 0 {
					t.Errorf("%d lost", res.Lost)
				}
			}
		})
	}
}

// TestHTTPSilence has nobody accept: requests go out and are lost.
func TestHTTPSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h, err := OpenHTTP(netip.MustParseAddrPort(l.Addr().String()), Sources4(1))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.Limits = Limits{Count: 10, Window: 10, Timeout: 50 * time.Millisecond}
	res, err := h.Run(func(r *Request) bool { *r = Request{Kind: Announce}; return true })
	if err != nil || res.Lost != 10 || res.Answered != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}
