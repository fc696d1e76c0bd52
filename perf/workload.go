// Package perf measures trackers: what an announce costs them in CPU time,
// what a peer costs them in memory, and how long their clients wait.
//
// # Parts
//
// This package holds what the commands below it share: the canonical
// [Workload], a [Histogram] of latencies, generators for UDP and HTTP, and
// [Server], which runs a tracker as a child process and reads its memory and
// CPU time from the kernel.
//
//	perf/load      sends the workload to a running tracker and prints what came back
//	perf/memory    fills trackers with peers and prints bytes a torrent and a peer
//	perf/compare   runs several trackers in turn under the same load
//	perf/floor     answers HTTP with gnet and nothing else, to compare with
//	perf/routersim gives a tracker 5 % of a core and 24 MB, and looks whether it holds
//	perf/torture   does to a tracker what hostile clients do, and looks who notices
//	perf/soak      keeps a tracker at half load for an hour, and looks whether it grows
//
//	Workload ──► Request ──► UDP or HTTP generator ──► server under test
//	  seed       24 bytes       batch, window, rate      /proc/PID
//
// # What it never does
//
// Everything is sent to loopback addresses; another target is refused. Every
// run is bounded in requests and in time, and on INT, TERM and HUP a command
// takes its servers and files with it, see [Held]. Nothing here is linked into the
// tracker. The generators and commands need Linux; elsewhere only the
// workload and the histogram are built.
package perf

import (
	"encoding/binary"
	"errors"
	"math"

	"tracker/proto"
)

// ErrWorkload is returned for a workload outside its limits.
var ErrWorkload = errors.New("perf: a workload needs 1 to 2^30 torrents and clients, 1 to 65536 sources, and shares that add up to at most 1")

// Workload is the canonical workload: every number published about this
// tracker was made with it, unless it says otherwise.
//
// A fixed population of clients announces to a fixed set of torrents. A client
// is a number; its torrent, address, port, and whether it seeds follow from
// that number and the seed by hashing, so that a client drawn twice is the
// same peer announcing again, and the tracker's swarms are full after each
// client has been heard once (see [Workload.Client]).
//
//	torrents  10,000, or 1,000,000 where caches are to be cold. Zipf with
//	          exponent 1: torrent k of n is drawn with probability
//	          ln(1+1/k)/ln(n+1). The most wanted has 7.5 % of 10,000.
//	clients   10 a torrent. Half the torrents then hold one peer or none, and
//	          the largest of 10,000 swarms 7,500.
//	seeders   40 % of the clients.
//	events    of each client drawn at random, uniformly and independently:
//	          started 4 %, stopped 4 %, completed 2 %, none 90 %.
//	numwant   50, as most clients ask.
//	sources   256 addresses, 127.1.0.1 and up, or fd00::1 and up, or ::1
//	          alone; ports 1024 to 65535.
//	family    IPv4, or for a mix two generators side by side, one a family,
//	          whose windows stand as 9 to 1.
//	wire      UDP with connects made before the clock starts; or HTTP.
//
// A zero field takes the value above. A Workload is used by one goroutine.
type Workload struct {
	Seed     uint64 // 0 is a seed like any other
	Torrents uint32
	Clients  uint32
	Sources  uint32
	NumWant  uint16 // NoPeers for none
	Seeders  float64
	Started  float64 // share of announces with this event, 0 to 1
	Stopped  float64
	Complete float64

	rnd    splitmix
	logN   float64
	events [3]uint64 // cumulative thresholds of started, stopped, completed
}

// NoPeers is the NumWant of a workload that asks for none, where zero would
// ask for the default.
const NoPeers = math.MaxUint16

// A Kind says what a [Request] asks.
type Kind uint8

// Kinds of request.
const (
	Connect Kind = iota // BEP 15 only
	Announce
	Scrape // over UDP: Count torrents from Torrent on
)

// Request is one request before it becomes bytes.
type Request struct {
	Torrent uint32 // names an infohash, see [Infohash]
	Source  uint32 // index of the address it is sent from
	Port    uint16 // in the announce; not that of the socket
	NumWant uint16
	Count   uint8
	Kind    Kind
	Event   proto.Event
	Seeder  bool // left is 0
}

// Init fills in defaults and checks limits. It must be called first, and
// again to start the same sequence over. It returns [ErrWorkload].
func (w *Workload) Init() error {
	def(&w.Torrents, 10_000)
	def(&w.Clients, 10*w.Torrents)
	def(&w.Sources, 256)
	def(&w.NumWant, 50)
	def(&w.Seeders, 0.40)
	def(&w.Started, 0.04)
	def(&w.Stopped, 0.04)
	def(&w.Complete, 0.02)
	const most = 1 << 30
	if w.Torrents > most || w.Clients > most || w.Sources > 65536 ||
		w.Seeders < 0 || w.Seeders > 1 || w.Started < 0 || w.Stopped < 0 || w.Complete < 0 ||
		w.Started+w.Stopped+w.Complete > 1 {
		return ErrWorkload
	}
	w.rnd = splitmix(w.Seed)
	w.logN = math.Log(float64(w.Torrents) + 1)
	w.events[0] = uint64(w.Started * (1 << 32))
	w.events[1] = w.events[0] + uint64(w.Stopped*(1<<32))
	w.events[2] = w.events[1] + uint64(w.Complete*(1<<32))
	return nil
}

// def gives *v the value d if it is zero.
func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Client fills r with the first announce of client c, its event none. Calling
// it for every c below Clients populates the swarms.
func (w *Workload) Client(c uint32, r *Request) {
	a, b := mix(w.Seed^uint64(c)<<20), mix(w.Seed+uint64(c)<<20+1)
	*r = Request{
		Kind:    Announce,
		Torrent: w.zipf(a),
		Source:  uint32(b>>32) % w.Sources,
		Port:    uint16(1024 + uint32(b&0xffff)*(65536-1024)>>16),
		Seeder:  float64(b>>16&0xffff) < w.Seeders*65536,
		NumWant: w.NumWant,
	}
	if w.NumWant == NoPeers {
		r.NumWant = 0
	}
}

// Next fills r with the next announce of the endless sequence.
func (w *Workload) Next(r *Request) {
	x := w.rnd.next()
	w.Client(uint32(x>>32*uint64(w.Clients)>>32), r)
	switch e := x & 0xffffffff; {
	case e < w.events[0]:
		r.Event = proto.EventStarted
	case e < w.events[1]:
		r.Event = proto.EventStopped
	case e < w.events[2]:
		r.Event, r.Seeder = proto.EventCompleted, true
	}
}

// zipf turns 64 random bits into a torrent. It inverts the continuous
// distribution with density 1/x over [1, n+1), which needs one exponential
// and no table; a table of a million torrents would cost the generator a
// dozen cache misses a request.
func (w *Workload) zipf(bits uint64) uint32 {
	u := float64(bits>>11) / (1 << 53)
	k := uint32(math.Exp(u * w.logN)) // 1 to n, or n+1 by rounding
	return min(k, w.Torrents) - 1
}

// Infohash returns the infohash of torrent number t: the same for every seed,
// so that a tracker's whitelist can be written before the workload is chosen.
func Infohash(t uint32) (ih proto.Infohash) {
	binary.LittleEndian.PutUint64(ih[0:], mix(uint64(t)<<2|1))
	binary.LittleEndian.PutUint64(ih[8:], mix(uint64(t)<<2|2))
	binary.LittleEndian.PutUint32(ih[16:], uint32(mix(uint64(t)<<2|3)))
	return ih
}

// splitmix is Steele, Lea and Flood's generator: a counter and a mixer. Its
// sequence is fixed, which math/rand does not promise across Go versions.
type splitmix uint64

func (s *splitmix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	return finish(uint64(*s))
}

// mix hashes one number.
func mix(x uint64) uint64 { return finish((x + 1) * 0x9e3779b97f4a7c15) }

func finish(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
