package main

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
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
		p.late.Reset(time.Minute)
		next := h.start(replaceFlag, append(listen(tcp, udp), "state.file state")...)
		both := watchMemory(p, next) // which is not ready for some milliseconds
		said := next.replaces(p)
		before, sum := both.end()
		most, least = max(most, sum/before), before
		next.says("tracker: listening on tcp ")
		next.says("tracker: listening on udp ")
		p = next
		if got := scrapeAll(t, tcp); got != want {
			t.Fatalf("upgrade %d: %s", i, difference(want, got))
		}
		if i < 3 || testing.Verbose() {
			t.Logf("upgrade %d: %s; both take %.2f of the memory of one", i, said, sum/before)
		}
	}
	finish()
	for _, l := range loads {
		l.check(t)
	}
	t.Logf("%d upgrades: both take up to %.2f of the memory of one, which is %.1f MB", *upgrades, most, least/1e6)
	if (most > 1.6 || most < 1) && !race {
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

// A memoryWatch looks all the time how much memory a tracker takes, and with it the
// one that takes its place. What both have, such as the store's memory and the
// program, counts once. The most that each of them was seen to take adds up, even
// if that was not at one moment: no moment is missed in which it was.
type memoryWatch struct {
	processes [2]*process
	most      [2]processStatus
	before    float64 // what the first took alone
	done      chan struct{}
	ended     chan struct{}
}

// watchMemory looks at a and b until end is called.
func watchMemory(a, b *process) *memoryWatch {
	w := &memoryWatch{processes: [2]*process{a, b}, done: make(chan struct{}), ended: make(chan struct{})}
	w.most[0] = a.status()
	w.before = float64(w.most[0].anonymous + w.most[0].shared)
	go func() {
		defer close(w.ended)
		for {
			w.look()
			select {
			case <-w.done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return w
}

func (w *memoryWatch) look() {
	for i, p := range w.processes {
		now, most := p.status(), &w.most[i]
		most.anonymous, most.shared = max(most.anonymous, now.anonymous), max(most.shared, now.shared)
	}
}

// end ends looking, after the first has ended and the second serves. It returns
// what the first took before, and the most of both, in bytes.
func (w *memoryWatch) end() (before, most float64) {
	close(w.done)
	<-w.ended
	w.look()
	a, b := w.most[0], w.most[1]
	return w.before, float64(a.anonymous + b.anonymous + max(a.shared, b.shared))
}

// status returns what the system says of p, or nothing if it is no more.
func (p *process) status() processStatus {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return processStatus{}
	}
	defer f.Close() // it was only read
	return parseStatus(f)
}
