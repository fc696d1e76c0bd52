package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"tracker/perf"
)

// Addresses of those who take part. All of them are of the loopback network,
// which is ours without being configured.
var (
	witness4 = netip.MustParseAddr("127.9.9.9")
	witness6 = netip.IPv6Loopback()
	hostile  = hostileSources()                 // 127.66.0.0/24
	auditor  = netip.MustParseAddr("127.8.8.8") // may read statistics and scrape everything, as often as it likes
)

func hostileSources() []netip.Addr {
	all := make([]netip.Addr, 256)
	for i := range all {
		all[i] = netip.AddrFrom4([4]byte{127, 66, 0, byte(i)})
	}
	return all
}

// announceEvery is how often each lane of the witness announces.
const announceEvery = 100 * time.Millisecond

// A witness is a client that behaves, over several lanes: one for each
// transport and family. All of them are leechers in one torrent, where nobody
// is but they and the residents, and each of their announces is checked for
// all that must be in its answer.
//
//	residents  8 seeders and 12 leechers a family, ports 7001 and up
//	lanes      127.9.9.9 and ::1, ports 6001 (UDP) and 6002 (HTTP)
type witness struct {
	lanes []*lane
	stop  chan struct{}
	wait  sync.WaitGroup
}

// A lane is how the witness goes over one transport and family.
type lane struct {
	name   string
	http   bool
	target netip.AddrPort
	self   netip.AddrPort // as what it is known
	truth  *truth
	scale  *scale
	conn   *net.UDPConn // UDP alone
	id     uint64

	mu sync.Mutex // of tally, which many goroutines of HTTP write
	tally
}

// A tally is what became of a lane's announces in one stage.
type tally struct {
	asked    uint64
	sent     uint64 // datagrams, or connections
	first    uint64 // answered without being sent again
	answered uint64
	lost     uint64 // not answered, in the end
	wrong    uint64
	example  string // of what is wrong, or why one was lost
	latency  perf.Histogram
	longest  time.Duration
}

// newWitness has the residents join at the tracker and then each lane, and
// returns when all are known there.
func newWitness(at4, at6 netip.AddrPort, strict bool, sc *scale) (*witness, error) {
	w := &witness{}
	t := &truth{strict: strict}
	add := func(name string, http bool, target netip.AddrPort, self netip.Addr, port uint16) {
		w.lanes = append(w.lanes, &lane{
			name: name, http: http, target: target, self: netip.AddrPortFrom(self, port), truth: t, scale: sc,
		})
	}
	add("UDP", false, at4, witness4, 6001)
	add("HTTP", true, at4, witness4, 6002)
	if at6.IsValid() {
		add("UDP, IPv6", false, at6, witness6, 6001)
		add("HTTP, IPv6", true, at6, witness6, 6002)
	}
	for _, l := range w.lanes {
		if err := w.join(l); err != nil {
			w.close()
			return nil, fmt.Errorf("witness, %s: %w", l.name, err)
		}
	}
	return w, nil
}

// join opens a lane, has the residents of its family join over it if they have
// not, and then itself.
func (w *witness) join(l *lane) error {
	l.truth.add(l.self, false)
	if l.http {
		_, err := l.get(time.Now().Add(l.scale.patience))
		return err
	}
	if err := l.dial(); err != nil {
		return err
	}
	for i := range residentSeeders + residentLeechers {
		port, left := uint16(7001+i), uint64(0)
		if i >= residentSeeders {
			left = 1 << 20
		}
		if _, err := l.exchange(port, left); err != nil {
			return err
		}
		l.truth.add(netip.AddrPortFrom(l.self.Addr(), port), left == 0)
	}
	_, err := l.exchange(l.self.Port(), 1<<20)
	return err
}

// close closes the sockets.
func (w *witness) close() {
	for _, l := range w.lanes {
		if l.conn != nil {
			l.conn.Close()
		}
	}
}

// begin has all lanes announce from now on.
func (w *witness) begin() {
	w.stop = make(chan struct{})
	for _, l := range w.lanes {
		l.tally = tally{}
		run := l.runUDP
		if l.http {
			run = l.runHTTP
		}
		w.wait.Go(func() { run(w.stop) })
	}
}

// end has them announce no more, waits until each announce is answered or
// given up, and returns what became of them, by lane.
func (w *witness) end() []tally {
	close(w.stop)
	w.wait.Wait()
	all := make([]tally, len(w.lanes))
	for i, l := range w.lanes {
		all[i] = l.tally
	}
	return all
}

// done counts an answer that took so long, after try retransmissions.
func (l *lane) done(took time.Duration, try int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case errors.Is(err, errWrong):
		l.wrong++
	case err != nil:
		l.lost++
	default:
		l.answered++
		if try == 0 {
			l.first++
		}
		l.latency.Add(took)
		l.longest = max(l.longest, took)
		return
	}
	if l.example == "" {
		l.example = err.Error()
	}
}

// count counts an announce, unless it is sent again.
func (l *lane) count(try int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent++; try == 0 {
		l.asked++
	}
}
