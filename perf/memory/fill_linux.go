package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"tracker/perf"
	"tracker/proto"
)

const (
	// The warm-up touches every path once, so that the baseline holds what is
	// there whatever the number of peers. Its torrents are numbers 0 and up,
	// those of the sweeps follow.
	warmTorrents = 5_000
	warmPeers    = 10

	// A peer's port is one of portCount from firstPort on, its address one of
	// sourceCount: 800,000 peers for each torrent.
	firstPort   = 1024
	portCount   = 50_000
	sourceCount = 16

	// window is below the 256 small datagrams that fit the default receive
	// buffer of a server that asked for no other.
	window  = 160
	timeout = 200 * time.Millisecond
)

// A filler announces peers to a tracker until it has them.
type filler struct {
	srv  *perf.Server
	udp  *perf.UDP
	base perf.Memory
}

func newFiller(srv *perf.Server, udp *perf.UDP) *filler {
	udp.Window, udp.Timeout, udp.Resend = window, timeout, true
	return &filler{srv: srv, udp: udp}
}

// startTime is how long a server that was just started is left alone: ours gives
// memory back that only its start needed, 1.5 s after it, and what of that comes
// back with the first requests is no peer's.
const startTime = 2 * time.Second

// warm announces 50,000 peers, stops them, and takes the baseline.
func (f *filler) warm() (err error) {
	time.Sleep(startTime)
	b := block{0, warmTorrents, 0, warmPeers}
	for _, e := range []proto.Event{proto.EventStarted, proto.EventStopped} {
		if err := f.announce(b, e); err != nil {
			return fmt.Errorf("warm-up: %w", err)
		}
	}
	f.base, err = f.settle()
	return err
}

// steps runs the steps of s and then stops all peers, and looks at what is
// left once after has passed.
func (f *filler) steps(s *sweep, after time.Duration) ([]row, error) {
	var rows []row
	var have step
	for _, st := range s.steps {
		begin := time.Now()
		if err := f.announce(between(have, st), proto.EventStarted); err != nil {
			return nil, err
		}
		took := time.Since(begin)
		if err := f.verify(st); err != nil {
			return nil, err
		}
		mem, err := f.settle()
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{at: st, base: f.base, grown: mem})
		fmt.Fprintf(os.Stderr, "%s: %d × %d in %.1f s, %d kB\n", s.name, st.torrents, st.peers, took.Seconds(), mem.RSS>>10)
		have = st
	}
	if err := f.announce(between(step{}, have), proto.EventStopped); err != nil {
		return nil, err
	}
	time.Sleep(after)
	mem, err := f.settle()
	return append(rows, row{at: have, base: f.base, grown: mem, stopped: true}), err
}

// A block is a rectangle of torrents and peers, ends excluded.
type block struct {
	torrent0, torrent1, peer0, peer1 uint32
}

// between returns the peers that lead from one step to the next. Only one of
// the step's numbers may grow.
func between(from, to step) block {
	b := block{warmTorrents, warmTorrents + to.torrents, from.peers, to.peers}
	if from.peers == to.peers {
		b.peer0, b.torrent0 = 0, warmTorrents+from.torrents
	}
	return b
}

// announce sends one announce for each peer of b, in an order that jumps
// about in it, and returns when all are confirmed.
func (f *filler) announce(b block, e proto.Event) error {
	width := uint64(b.torrent1 - b.torrent0)
	n := width * uint64(b.peer1-b.peer0)
	// A prime larger than any n visits each number below n once.
	const stride = 2654435761
	var i uint64
	f.udp.Answer = nil
	res, err := f.udp.Run(func(r *perf.Request) bool {
		if i == n {
			return false
		}
		at := i * stride % n
		i++
		*r = request(b.torrent0+uint32(at%width), b.peer0+uint32(at/width))
		r.Event = e
		return true
	})
	if err == nil && (res.Answered != n || res.Refused > 0) {
		err = fmt.Errorf("%d of %d announces confirmed, %d refused", res.Answered, n, res.Refused)
	}
	return err
}

// request returns the announce of peer p of torrent t. A hash of t moves the
// ports, so that small swarms do not all consist of the same peers.
func request(t, p uint32) perf.Request {
	h := binary.LittleEndian.Uint32(hash(t))
	return perf.Request{
		Kind:    perf.Announce,
		Torrent: t,
		Source:  (p/portCount + h>>16) % sourceCount,
		Port:    uint16(firstPort + (p+h&0xffff)%portCount),
		Seeder:  seeder(t, p),
	}
}

// seeder reports whether peer p of torrent t seeds: one in four does.
func seeder(t, p uint32) bool { return (t+p)&3 == 0 }

func hash(t uint32) []byte {
	ih := perf.Infohash(t)
	return ih[:4]
}

// verify scrapes every torrent of the step and compares its counts.
func (f *filler) verify(st step) error {
	var wrong, seen uint32
	f.udp.Answer = func(r *perf.Request, body []byte) {
		for i := range uint32(r.Count) {
			complete, incomplete := expected(r.Torrent+i, st.peers)
			at := body[12*i:]
			if binary.BigEndian.Uint32(at) != complete || binary.BigEndian.Uint32(at[8:]) != incomplete {
				wrong++
			}
			seen++
		}
	}
	t, end := uint32(warmTorrents), warmTorrents+st.torrents
	_, err := f.udp.Run(func(r *perf.Request) bool {
		if t == end {
			return false
		}
		*r = perf.Request{Kind: perf.Scrape, Torrent: t, Count: uint8(min(perf.MaxScrape, end-t))}
		t += uint32(r.Count)
		return true
	})
	if err == nil && (wrong > 0 || seen != st.torrents) {
		err = fmt.Errorf("%d of %d torrents scraped, %d with other peers than announced", seen, st.torrents, wrong)
	}
	return err
}

// expected returns how many of the first n peers of t seed, and do not.
func expected(t, n uint32) (complete, incomplete uint32) {
	complete = n / 4
	for p := n &^ 3; p < n; p++ {
		if seeder(t, p) {
			complete++
		}
	}
	return complete, n - complete
}

// settle waits until the tracker's memory has stood still for a while, at
// most five seconds, and returns it: what is freed may go back to the system
// in the background.
func (f *filler) settle() (perf.Memory, error) {
	const pause, still, most = 100 * time.Millisecond, 5, 50
	last, err := f.srv.Memory()
	for same, i := 0, 0; err == nil && same < still && i < most; i++ {
		time.Sleep(pause)
		var now perf.Memory
		now, err = f.srv.Memory()
		if same++; now.RSS != last.RSS {
			same = 0
		}
		last = now
	}
	return last, err
}
