package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tracker/perf"
)

var upgrades = flag.Int("upgrades", 3, "how often TestUpgrades replaces the tracker")

// Load of TestUpgrades: requests a second, half of those over HTTP with a
// connection each and half over connections that are kept.
const (
	upgradeUDP  = 5000
	upgradeHTTP = 200
)

// TestUpgrades replaces a tracker that knows a million peers, again and again,
// under load. Every request is answered, none is asked twice, and a scrape of
// everything is the same before and after. It tells how long requests waited,
// and how much memory both took together.
func TestUpgrades(t *testing.T) {
	h := newHouse(t)
	file := filepath.Join(h.dir, "state")
	peers, slower := uint32(1_000_000), 1.0
	if race {
		peers, slower = 50_000, 20
	}
	writePeers(t, file, peers)
	p := h.start(nil, "listen.tcp_udp 127.0.0.1:0", "state.file state")
	p.says("tracker: snapshot state: ")
	tcp, udp := p.says("tracker: listening on tcp "), p.says("tracker: listening on udp ")

	end := make(chan struct{})
	var running sync.WaitGroup
	finish := sync.OnceFunc(func() { close(end); running.Wait() })
	var loads []*load
	for _, l := range []*load{
		{name: "UDP", rate: upgradeUDP}, {name: "HTTP", rate: upgradeHTTP / 2}, {name: "HTTP, kept", rate: upgradeHTTP / 2},
	} {
		l.rate /= slower
		l.open(t, tcp, udp)
		l.fill(t)
		loads = append(loads, l)
	}
	t.Cleanup(finish)
	for _, l := range loads {
		running.Go(func() { l.run(end) })
	}

	most, least := 0.0, 0.0
	for i := range *upgrades {
		want := scrapeAll(t, tcp)
		before := p.pss()
		p.late.Reset(time.Minute)
		next := h.start(replaceFlag, append(listen(tcp, udp), "state.file state")...)
		both, done := make(chan float64), make(chan struct{})
		go func() { both <- watchBoth(p, next, done) }()
		said := next.replaces(p)
		close(done)
		sum := <-both / before
		most, least = max(most, sum), before
		next.says("tracker: listening on tcp ")
		next.says("tracker: listening on udp ")
		p = next
		if got := scrapeAll(t, tcp); got != want {
			t.Fatalf("upgrade %d: %s", i, difference(want, got))
		}
		if i < 3 || testing.Verbose() {
			t.Logf("upgrade %d: %s; both take %.2f of the memory of one", i, said, sum)
		}
	}
	finish()
	for _, l := range loads {
		l.check(t)
	}
	t.Logf("%d upgrades: both take up to %.2f of the memory of one, which is %.1f MB", *upgrades, most, least/1024)
	if most > 1.6 && !race {
		t.Errorf("both take %.2f of the memory of one", most)
	}
	if said := p.stop(syscall.SIGTERM); !strings.Contains(said, " peers written in ") {
		t.Errorf("it says %q", said)
	}
}

// difference returns the first line that differs.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d is %q, was %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("there are %d lines, were %d", len(g), len(w))
}

// A load asks for the same peers' torrents again and again.
type load struct {
	name string
	rate float64
	gen  perf.Generator
	next uint32
	res  *perf.Result
	err  error
}

// loadPeers is how many peers each load has, four to a torrent.
const loadPeers = 4000

func (l *load) open(t *testing.T, tcp, udp string) {
	t.Helper()
	sources := make([]netip.Addr, 64)
	for i := range sources {
		sources[i] = netip.AddrFrom4([4]byte{127, 1, 0, byte(i + 1)})
	}
	var err error
	if l.name == "UDP" {
		l.gen, err = perf.OpenUDP(netip.MustParseAddrPort(udp), sources)
	} else {
		var g *perf.HTTP
		g, err = perf.OpenHTTP(netip.MustParseAddrPort(tcp), sources)
		g.KeepAlive = l.name != "HTTP"
		l.gen = g
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.gen.Close)
}

// ask fills in the next request.
func (l *load) ask(r *perf.Request) bool {
	n := l.next % loadPeers
	l.next++
	*r = perf.Request{Kind: perf.Announce, Torrent: 1000*uint32(len(l.name)) + n/4, Port: uint16(1024 + n), NumWant: 50, Seeder: n%4 == 0}
	if l.name == "UDP" { // elsewhere it is that of the connection
		r.Source = n % 64
	}
	return true
}

// fill announces every peer once.
func (l *load) fill(t *testing.T) {
	t.Helper()
	*l.gen.Bounds() = perf.Limits{Window: 32, Count: loadPeers, Timeout: patience}
	if res, err := l.gen.Run(l.ask); err != nil || res.Answered != loadPeers {
		t.Fatalf("%s: %+v, %v", l.name, res, err)
	}
}

// run asks until end.
func (l *load) run(end <-chan struct{}) {
	*l.gen.Bounds() = perf.Limits{Window: 4096, Rate: l.rate, Timeout: patience}
	if l.name != "UDP" {
		l.gen.Bounds().Window = 256
	}
	l.res, l.err = l.gen.Run(func(r *perf.Request) bool {
		select {
		case <-end:
			return false
		default:
			return l.ask(r)
		}
	})
}

// check fails unless every request has got its answer.
func (l *load) check(t *testing.T) {
	t.Helper()
	r := l.res
	if l.err != nil || r.Answered != r.Sent || r.Lost+r.Late+r.Refused > 0 {
		t.Errorf("%s: %d sent, %d answered, %d lost, %d late, %d refused: %v", l.name, r.Sent, r.Answered, r.Lost, r.Late, r.Refused, l.err)
	}
	t.Logf("%s: %d asked in %v, all answered; p50 %v, p99.9 %v, longest %v", l.name, r.Sent, r.Elapsed.Round(time.Millisecond),
		r.Latency.Quantile(0.5), r.Latency.Quantile(0.999), r.Latency.Quantile(1))
}

// pss returns how much memory a process takes, in kB. What it shares with
// others is theirs in part.
func (p *process) pss() (kb float64) {
	rollup, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	for line := range strings.Lines(string(rollup)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "Pss:" {
			kb, _ = strconv.ParseFloat(words[1], 64)
		}
	}
	return kb
}

// watchBoth returns the most that two processes take together until done.
func watchBoth(a, b *process, done <-chan struct{}) (most float64) {
	for {
		select {
		case <-done:
			return most
		case <-time.After(5 * time.Millisecond):
			most = max(most, a.pss()+b.pss())
		}
	}
}
