package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A bidder announces from an address of its own over UDP.
type bidder struct {
	conn     *net.UDPConn
	announce []byte
}

// newBidder connects, by BEP 15, from an address of this machine.
func newBidder(t testing.TB, from, to string) *bidder {
	t.Helper()
	local := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))
	c, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	b := &bidder{conn: c}
	connect := binary.BigEndian.AppendUint64(nil, 0x41727101980)
	answer, err := b.ask(append(connect, 0, 0, 0, 0, 0, 0, 0, 1), patience)
	if err != nil || len(answer) != 16 {
		t.Fatalf("%s: connect: %x, %v", from, answer, err)
	}
	b.announce = append(slices.Clone(answer[8:]), 0, 0, 0, 1, 0, 0, 0, 2)
	b.announce = append(b.announce, strings.Repeat("a", 20)+"-XX0000-aaaaaaaaaaaa"...)
	b.announce = append(b.announce, make([]byte, 40)...)
	b.announce = append(b.announce, 0x1a, 0xe1)
	return b
}

func (b *bidder) ask(request []byte, wait time.Duration) ([]byte, error) {
	if _, err := b.conn.Write(request); err != nil {
		return nil, err
	}
	return b.hear(wait)
}

func (b *bidder) hear(wait time.Duration) ([]byte, error) {
	answer := make([]byte, 2048)
	b.conn.SetReadDeadline(time.Now().Add(wait))
	n, err := b.conn.Read(answer)
	return answer[:n], err
}

// interval returns what an announce is told, or 0 if there is no answer.
func (b *bidder) interval(wait time.Duration) uint32 {
	answer, err := b.ask(b.announce, wait)
	if err != nil || len(answer) < 20 || binary.BigEndian.Uint32(answer) != 1 {
		return 0
	}
	return binary.BigEndian.Uint32(answer[8:])
}

// startFlooded starts a tracker with these lines in its file, on addresses that
// are reached from all of 127.0.0.0/8.
func startFlooded(t *testing.T, lines string) (p *process, tcp, udp string) {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "tracker.conf")
	lines += "listen.tcp 127.0.0.1:0\nlisten.udp 127.0.0.1:0\ntracker.rootdir /\n"
	if err := os.WriteFile(conf, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	p = startTracker(t, "-f", conf)
	return p, p.says("tracker: listening on tcp "), p.says("tracker: listening on udp ")
}

// getFrom asks for path from an address of this machine, and returns whatever is
// answered.
func getFrom(from, to, path string) (string, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)), Timeout: patience}
	c, err := d.Dial("tcp", to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\n\r\n", path)
	answer, err := io.ReadAll(c)
	return string(answer), err
}

// TestBudgetLadder takes one address over its budget and back, over both wires.
func TestBudgetLadder(t *testing.T) {
	p, tcp, udp := startFlooded(t, "limit.rate.address 5\nlimit.rate.burst 2\n")
	b := newBidder(t, "127.1.2.1", udp)
	var usual, longer, none int
	for range 60 { // 10 at once, 10 more with a longer interval; the clock may tick meanwhile
		switch n := b.interval(200 * time.Millisecond); {
		case n == 0:
			none++
		case n < 2000:
			usual++
		default:
			longer++
		}
		if none > 0 {
			break
		}
	}
	if usual < 10 || longer < 10 || none != 1 {
		t.Fatalf("%d usual answers, %d with a longer interval, %d missing; want 10, 10 and an end", usual, longer, none)
	}
	// Over HTTP the same address is not heard either, and nobody else minds.
	for range 3 {
		if got, err := getFrom("127.1.2.1", tcp, announcePath('a', 1)); got != "" {
			t.Fatalf("over HTTP: %q, %v", got, err)
		}
	}
	for _, from := range []string{"127.1.2.2", "127.9.9.9"} {
		if got, err := getFrom(from, tcp, announcePath('a', 2)); !strings.Contains(got, "8:interval") {
			t.Errorf("%s is answered %q, %v", from, got, err)
		}
	}
	quiet := time.Now()
	for b.interval(time.Second) == 0 {
		if time.Since(quiet) > patience {
			t.Fatal("the ban does not end")
		}
	}
	t.Logf("heard again after %v of a request a second", time.Since(quiet).Round(100*time.Millisecond))
	p.signal(syscall.SIGUSR1)
	if line := p.says("tracker: "); !strings.Contains(line, "over budget") {
		t.Errorf("USR1: %q", line)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestFlood floods from two dozen addresses of one /24, over both wires at once,
// and as fast as they get rid of it. A client in another network announces every
// 100 ms meanwhile. Over HTTP it gets every answer. So it does over UDP, unless
// the system drops something before the tracker sees it, which says so.
func TestFlood(t *testing.T) {
	p, tcp, udp := startFlooded(t, "limit.rate.address 50\nlimit.rate.prefix 500\nlimit.rate.burst 2\n")
	var ended atomic.Bool
	var floods sync.WaitGroup
	t.Cleanup(func() { ended.Store(true); floods.Wait() }) // whatever becomes of the test
	var asked, answered, gets, got atomic.Int64
	b := newBidder(t, "127.9.9.9", udp)
	var flooders [20]*bidder // all connected before the first of them floods
	for i := range flooders {
		flooders[i] = newBidder(t, fmt.Sprintf("127.1.2.%d", i+1), udp)
	}
	for _, b := range flooders {
		floods.Go(func() {
			for !ended.Load() {
				for range 32 {
					b.conn.Write(b.announce)
					asked.Add(1)
				}
				for {
					if _, err := b.hear(time.Millisecond); err != nil {
						break
					}
					answered.Add(1)
				}
			}
		})
	}
	for i := range 4 {
		from := fmt.Sprintf("127.1.2.%d", i+101)
		floods.Go(func() {
			for !ended.Load() {
				gets.Add(1)
				if answer, _ := getFrom(from, tcp, announcePath('a', 1)); answer != "" {
					got.Add(1)
				}
			}
		})
	}
	missing, rounds := 0, 20
	var waits []time.Duration
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range rounds {
		<-tick.C
		began := time.Now()
		if n := b.interval(250 * time.Millisecond); n == 0 {
			missing++
		} else if n > 2800 {
			t.Errorf("told to come back in %d s", n)
		}
		waits = append(waits, time.Since(began))
		if answer, err := getFrom("127.9.9.9", tcp, announcePath('a', 2)); !strings.Contains(answer, "8:interval") {
			t.Errorf("over HTTP: %q, %v", answer, err)
		}
	}
	ended.Store(true)
	floods.Wait()
	slices.Sort(waits)
	t.Logf("flood over UDP: %d sent, %d answered; over HTTP: %d asked, %d answered; the good client: %d of %d missing over UDP, median %v, longest %v",
		asked.Load(), answered.Load(), gets.Load(), got.Load(), missing, rounds, waits[rounds/2], waits[rounds-1])
	p.signal(syscall.SIGUSR1)
	line := p.says("tracker: ")
	t.Logf("tracker: %s", line)
	if missing > 0 && !strings.Contains(line, "; behind: ") {
		t.Errorf("%d announces are not answered, and the system dropped nothing", missing)
	}
	// Twice the burst, and then nothing as long as it goes on.
	if n := answered.Load() + got.Load(); n > 2*1000+500 {
		t.Errorf("%d requests of the flood are answered", n)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}
