package stats

// A Report is everything there is to tell at one moment: what was counted, and
// how the process is. The page, the numbers for scripts and the metrics are all
// made of one. The zero value is empty; it is some 7 KB.
type Report struct {
	Snapshot
	Unix    int64 // when, by the wall clock, in seconds since 1970
	Process Process
	Conns   Conns
}

// A Process is what a process takes. What the system does not tell is 0.
type Process struct {
	ResidentBytes uint64 // of memory there, everything included
	LimitBytes    uint64 // of memory that the process is kept below; 0: none
	StoreBytes    uint64 // of memory for peers and torrents, which is not in Go's heap
	HeapBytes     uint64 // in use on Go's heap, garbage included
	CPUSeconds    float64
	Processors    int // that it may use
	Goroutines    int
	Collections   uint64 // of garbage
	OpenFiles     int    // descriptors that are open
	MaxFiles      int    // descriptors that may be open
	StartUnix     int64  // when it began to serve, by the wall clock, in seconds since 1970
}

// Conns are the TCP connections.
type Conns struct {
	Open, Limit uint64
}

// Leechers returns how many peers are no seeders. The three are not counted at
// the same instant.
func (r *Report) Leechers() uint64 { return r.Peers - min(r.Peers, r.Seeders) }

// A figure is the sum of counters under one name.
type figure struct {
	name string
	of   []Counter
}

// sum returns the sum over both families.
func (f *figure) sum(t *Totals) (n uint64) {
	for _, k := range f.of {
		n += t.Sum(k)
	}
	return n
}

// httpOther are requests over HTTP that are neither announces nor scrapes.
var httpOther = []Counter{
	HTTPPages, HTTPNoInfohash, HTTPRedirects, HTTPParseErrors, HTTPInvalid, HTTPCompact, HTTPDenied, HTTPNotFound,
	HTTPTooLong, HTTPNotModest, HTTPSwitchedOff, HTTPBusy,
}

// figureInvalid is the name of refusals that are all refusals but two kinds.
const figureInvalid = "invalid"

// refused are the reasons why something was not done that was asked for. Each is
// counted once, but a datagram whose connection id is wrong and which gets no
// answer for that is also under rate_unproven or load.
//
// To add a reason: a row here, and a line in the README.
var refused = []figure{
	{"unlisted", []Counter{Unlisted}},
	{"client", []Counter{RefusedClients}},
	{figureInvalid, []Counter{Refusals}}, // less the two above
	{"connection_id", []Counter{UDPMissmatches}},
	{"malformed", []Counter{UDPMalformed, HTTPParseErrors, HTTPInvalid, HTTPCompact, HTTPTooLong}},
	{"not_found", []Counter{HTTPNotFound}},
	{"rate_address", []Counter{RateAddress}},
	{"rate_prefix", []Counter{RatePrefix}},
	{"rate_connections", []Counter{RateClosed}},
	{"rate_unproven", []Counter{RateUnproven}},
	{"load", []Counter{LoadUnproven, LoadPages}},
	{"memory", []Counter{PeersNoMemory}},
	{"peers_per_torrent", []Counter{PeersTooMany}},
	{"torrents", []Counter{PeersNewTorrent}},
	{"ports_per_address", []Counter{PeersManyPorts}},
	{"denied", []Counter{HTTPDenied}},
	{"unproxied", []Counter{TCPUnproxied}},
	{"connections", []Counter{TCPRefused}},
	{"too_busy", []Counter{HTTPBusy}},
	{"too_soon", []Counter{HTTPNotModest}},
	{"switched_off", []Counter{HTTPSwitchedOff}},
}

// refusals returns row f of refused.
func (t *Totals) refusals(f *figure) uint64 {
	n := f.sum(t)
	if f.name == figureInvalid {
		n -= min(n, t.Sum(Unlisted)+t.Sum(RefusedClients))
	}
	return n
}
