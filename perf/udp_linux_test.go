package perf

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// startEcho serves as the floor until the test ends.
func startEcho(tb testing.TB, addr string) netip.AddrPort {
	tb.Helper()
	e, err := OpenEcho(netip.MustParseAddrPort(addr), 3)
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve() }()
	tb.Cleanup(func() {
		e.Close()
		if err := <-served; err != nil {
			tb.Error(err)
		}
	})
	at, err := e.Addr()
	if err != nil {
		tb.Fatal(err)
	}
	return at
}

func openTestUDP(tb testing.TB, target netip.AddrPort, sources []netip.Addr) *UDP {
	tb.Helper()
	u, err := OpenUDP(target, sources)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(u.Close)
	return u
}

func TestUDPClosedLoop(t *testing.T) {
	for _, tt := range []struct {
		name, listen string
		sources      []netip.Addr
	}{
		{"IPv4", "127.0.0.1:0", Sources4(256)},
		{"IPv6", "[::1]:0", Sources6(1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			probe, err := net.ListenPacket("udp", tt.listen)
			if err != nil {
				t.Logf("not run: %v", err)
				return
			}
			probe.Close()
			u := openTestUDP(t, startEcho(t, tt.listen), tt.sources)
			u.Limits, u.Resend = Limits{Count: 10_000, Window: 100}, true
			w := canonical(t, Workload{Sources: uint32(len(tt.sources))})
			bodies := 0
			u.Answer = func(r *Request, body []byte) {
				if len(body) != 12+3*6 {
					t.Errorf("answer of %d bytes to %+v", len(body), *r)
				}
				bodies++
			}
			res, err := u.Run(func(r *Request) bool { w.Next(r); return true })
			if err != nil {
				t.Fatal(err)
			}
			if res.Answered != 10_000 || res.Latency.Count() != 10_000 || bodies != 10_000 || res.Refused != 0 {
				t.Errorf("%+v", *res)
			}
			if res.Sent != 10_000+res.Lost || res.Bytes != 10_000*(20+18) {
				t.Errorf("sent %d, lost %d, bytes %d", res.Sent, res.Lost, res.Bytes)
			}
		})
	}
}

// TestUDPOpenLoop sends 200 requests at 2,000 a second, which takes a tenth of
// a second however fast the answers are.
func TestUDPOpenLoop(t *testing.T) {
	u := openTestUDP(t, startEcho(t, "127.0.0.1:0"), Sources4(1))
	u.Limits = Limits{Count: 200, Rate: 2000}
	res, err := u.Run(func(r *Request) bool { *r = Request{Kind: Announce}; return true })
	if err != nil {
		t.Fatal(err)
	}
	if res.Sent != 200 || res.Answered+res.Lost != 200 {
		t.Errorf("sent %d, answered %d, lost %d", res.Sent, res.Answered, res.Lost)
	}
	if least := 199 * time.Second / 2000; res.Elapsed < least {
		t.Errorf("took %v, want at least %v", res.Elapsed, least)
	}
}

// A lossy tracker answers a request only when it sees it for the second time.
func startLossy(t *testing.T) netip.AddrPort {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		seen := map[uint32]bool{}
		buf := make([]byte, maxRequest)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			action, tid := be.Uint32(buf[8:]), be.Uint32(buf[12:])
			if n < 16 || action == actionAnnounce && !seen[tid] {
				seen[tid] = true
				continue
			}
			answer := be.AppendUint32(be.AppendUint32(nil, action), tid)
			if _, err := c.WriteToUDPAddrPort(append(answer, make([]byte, 12)...), from); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestUDPLoss(t *testing.T) {
	for _, resend := range []bool{false, true} {
		u := openTestUDP(t, startLossy(t), Sources4(4))
		u.Limits, u.Resend = Limits{Count: 100, Window: 50, Timeout: 50 * time.Millisecond}, resend
		res, err := u.Run(func(r *Request) bool { *r = Request{Kind: Announce, Source: 1}; return true })
		if err != nil {
			t.Fatal(err)
		}
		answered, sent := uint64(0), uint64(100)
		if resend {
			answered, sent = 100, 100+res.Lost
		}
		if res.Answered != answered || res.Sent != sent || res.Lost < 100 {
			t.Errorf("resend %v: sent %d, answered %d, lost %d", resend, res.Sent, res.Answered, res.Lost)
		}
	}
}

func TestUDPRefusals(t *testing.T) {
	remote := netip.MustParseAddrPort("192.0.2.1:6969")
	if _, err := OpenUDP(remote, Sources4(1)); !errors.Is(err, ErrNotLoopback) {
		t.Errorf("UDP to another machine: %v", err)
	}
	if _, err := OpenHTTP(remote, Sources4(1)); !errors.Is(err, ErrNotLoopback) {
		t.Errorf("HTTP to another machine: %v", err)
	}
	if _, err := OpenEcho(remote, 1); !errors.Is(err, ErrNotLoopback) {
		t.Errorf("echo for other machines: %v", err)
	}
	u := openTestUDP(t, startEcho(t, "127.0.0.1:0"), Sources4(1))
	if _, err := u.Run(func(r *Request) bool { *r = Request{Kind: Announce, Source: 1}; return true }); !errors.Is(err, ErrSource) {
		t.Errorf("request from an unknown source: %v", err)
	}
}

// BenchmarkUDP is the rate of generator and floor together: what nothing
// measured with them can exceed.
func BenchmarkUDP(b *testing.B) {
	u := openTestUDP(b, startEcho(b, "127.0.0.1:0"), Sources4(256))
	w := canonical(b, Workload{})
	u.Limits = Limits{Window: 192, Count: 1000}
	var sum Result
	for b.Loop() {
		res, err := u.Run(func(r *Request) bool { w.Next(r); return true })
		if err != nil {
			b.Fatal(err)
		}
		sum.Merge(res)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sum.Answered), "ns/answer")
}

// TestBlast sends without waiting, and finds the answers too late later.
func TestBlast(t *testing.T) {
	u := openTestUDP(t, startEcho(t, "127.0.0.1:0"), Sources4(4))
	w := canonical(t, Workload{Sources: 4})
	sent, err := u.Blast(w.Next, 10*time.Millisecond)
	if err != nil || sent == 0 {
		t.Fatalf("%d sent, %v", sent, err)
	}
	u.Limits = Limits{Count: 100, Window: 10}
	res, err := u.Run(func(r *Request) bool { w.Next(r); return true })
	if err != nil || res.Answered+res.Lost != 100 || res.Refused != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if _, err := u.Blast(func(r *Request) { *r = Request{Kind: Announce, Source: 4} }, time.Second); !errors.Is(err, ErrSource) {
		t.Errorf("%v, want ErrSource", err)
	}
}
