package loop

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"tracker/proto"
	"tracker/stats"
)

// TestStopwatch times the first read of every eight, and what it held.
func TestStopwatch(t *testing.T) {
	var w stopwatch
	var c stats.Counters
	reads := 0
	read := func() {
		w.start()
		w.stop(&c, 3)
		reads++
	}
	for want := range uint64(100) {
		for reads%timedShare != 0 {
			read()
		}
		if got := timed(&c); got != 3*want {
			t.Fatalf("after %d reads %d requests were timed, want %d", reads, got, 3*want)
		}
		read()
	}
	w = stopwatch{}
	before := timed(&c)
	w.start()
	w.stop(&c, 0)
	if got := timed(&c); got != before {
		t.Error("a read with no request was counted")
	}
	if n := testing.AllocsPerRun(1000, read); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// timed returns how many requests of c were timed.
func timed(c *stats.Counters) uint64 {
	var s stats.Snapshot
	s.AddWire(stats.UDP, c)
	return s.Times[stats.UDP].Count()
}

// TestTimes asks over both wires, with every transport, and finds that some of
// it was timed.
func TestTimes(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s := serveTest(t, Config{
			Listen: []Addr{addr("tcp 127.0.0.1:0"), addr("udp 127.0.0.1:0")}, TCPReactors: 1, UDPReactors: 1, UDP: tr, TCP: tcpLike(tr),
		})
		const n = 2 * timedShare
		for _, a := range s.Addrs() {
			c := dialTest(t, a.Network, a.AddrPort.String())
			r := bufio.NewReader(c)
			for range n {
				if a.Network == "tcp" {
					io.WriteString(c, keep)
					readResponse(t, r)
					continue
				}
				c.Write(udpRequest(proto.ConnIDMagic, 0, 1))
				if _, err := c.Read(make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.Stop() // what is timed is counted after it was answered
		var got stats.Snapshot
		s.ledger.read(&got)
		for wire, name := range []string{"UDP", "HTTP"} {
			// A read that found nothing, as after a signal, is one, too.
			if k := got.Times[wire].Count(); k == 0 || k > n/2 {
				t.Errorf("%d of %d requests over %s were timed", k, n, name)
			}
			if got.Times[wire].Nanos == 0 {
				t.Errorf("those over %s took no time", name)
			}
		}
		if u, h := got.Wires[stats.UDP].Sum(stats.UDPConnects), got.Wires[stats.HTTP].Sum(stats.HTTPAnnounces); u != n || h != n {
			t.Errorf("UDP %d, HTTP %d, want %d each", u, h, n)
		}
	})
}

// TestTimesPipelined counts every request of a read that was timed.
func TestTimesPipelined(t *testing.T) {
	s := serveTest(t, Config{Listen: []Addr{addr("tcp 127.0.0.1:0")}, TCPReactors: 1})
	c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
	io.WriteString(c, strings.Repeat(keep, 5))
	r := bufio.NewReader(c)
	for range 5 {
		readResponse(t, r)
	}
	s.Stop()
	var got stats.Snapshot
	s.ledger.read(&got)
	if n := got.Times[stats.HTTP].Count(); n != 5 {
		t.Errorf("%d requests timed, want 5", n)
	}
}

// BenchmarkStopwatch measures what timing costs a read.
func BenchmarkStopwatch(b *testing.B) {
	var w stopwatch
	var c stats.Counters
	for b.Loop() {
		w.start()
		w.stop(&c, 1)
	}
}
