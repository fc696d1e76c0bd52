package stats

import (
	"runtime"
	"sync"
)

// A metric is a name in the exposition format of Prometheus, with the series
// that it has. Names follow its conventions: base units, and _total at the end
// of what only grows.
type metric struct {
	name, help string
	split      split
	rows       []series
}

// A split says by which labels a counter is told, before those of a series.
type split uint8

const (
	splitNone   split = iota // it is not known by family
	splitFamily              // family
	splitWire                // protocol and family
)

// A series is a sum of counters under some labels.
type series struct {
	labels string // of its own, written out; may be empty
	wires  wires  // that have it, with splitWire
	of     []Counter
	less   []Counter // taken away from the sum
}

// wires are a set of protocols.
type wires uint8

const (
	overUDP wires = 1 << iota
	overHTTP
	overBoth = overUDP | overHTTP
)

// To add a counter to the metrics: a row here. A test fails for one that is in
// none. The names are told in the README and do not change.
var metrics = [...]metric{
	{
		"tracker_requests_total", "Requests by what was asked and what came of it. Those that got no answer for their rate are in tracker_refused_total alone.",
		splitWire,
		[]series{
			{`action="connect",outcome="answered"`, overUDP, []Counter{UDPConnects}, nil},
			{`action="announce",outcome="answered"`, overUDP, []Counter{UDPAnnounces}, []Counter{Refusals}},
			{`action="announce",outcome="answered"`, overHTTP, []Counter{HTTPAnnounces, HTTPNoInfohash}, []Counter{Refusals}},
			{`action="announce",outcome="refused"`, overBoth, []Counter{Refusals}, nil},
			{`action="scrape",outcome="answered"`, overUDP, []Counter{UDPScrapes}, nil},
			{`action="scrape",outcome="answered"`, overHTTP, []Counter{HTTPScrapes}, nil},
			{`action="full_scrape",outcome="answered"`, overHTTP, []Counter{FullScrapes}, nil},
			{`action="full_scrape",outcome="too_soon"`, overHTTP, []Counter{HTTPNotModest}, nil},
			{`action="page",outcome="answered"`, overHTTP, []Counter{HTTPPages}, nil},
			{`action="page",outcome="redirected"`, overHTTP, []Counter{HTTPRedirects}, nil},
			{`action="page",outcome="denied"`, overHTTP, []Counter{HTTPDenied}, nil},
			{`action="page",outcome="too_busy"`, overHTTP, []Counter{HTTPBusy, LoadPages}, nil},
			{`action="page",outcome="switched_off"`, overHTTP, []Counter{HTTPSwitchedOff}, nil},
			{`action="unknown",outcome="connection_id"`, overUDP, []Counter{UDPMissmatches}, nil},
			{`action="unknown",outcome="malformed"`, overUDP, []Counter{UDPMalformed}, nil},
			{`action="unknown",outcome="malformed"`, overHTTP, []Counter{HTTPParseErrors, HTTPInvalid, HTTPCompact, HTTPTooLong}, nil},
			{`action="unknown",outcome="not_found"`, overHTTP, []Counter{HTTPNotFound}, nil},
		},
	},
	{
		"tracker_refused_total", "Requests that were not done, or done without storing the peer, by reason. Those that were answered are in tracker_requests_total, too.",
		splitWire,
		[]series{
			{`reason="unlisted"`, overBoth, []Counter{Unlisted}, nil},
			{`reason="client"`, overBoth, []Counter{RefusedClients}, nil},
			{`reason="invalid"`, overBoth, []Counter{Refusals}, []Counter{Unlisted, RefusedClients}},
			{`reason="connection_id"`, overUDP, []Counter{UDPMissmatches}, nil},
			{`reason="malformed"`, overUDP, []Counter{UDPMalformed}, nil},
			{`reason="malformed"`, overHTTP, []Counter{HTTPParseErrors, HTTPInvalid, HTTPCompact, HTTPTooLong}, nil},
			{`reason="rate_address"`, overBoth, []Counter{RateAddress}, nil},
			{`reason="rate_prefix"`, overBoth, []Counter{RatePrefix}, nil},
			{`reason="rate_unproven"`, overUDP, []Counter{RateUnproven}, nil},
			{`reason="load"`, overUDP, []Counter{LoadUnproven}, nil},
			{`reason="load"`, overHTTP, []Counter{LoadPages}, nil},
			{`reason="memory"`, overBoth, []Counter{PeersNoMemory}, nil},
			{`reason="peers_per_torrent"`, overBoth, []Counter{PeersTooMany}, nil},
			{`reason="torrents"`, overBoth, []Counter{PeersNewTorrent}, nil},
			{`reason="ports_per_address"`, overBoth, []Counter{PeersManyPorts}, nil},
			{`reason="denied"`, overHTTP, []Counter{HTTPDenied}, nil},
			{`reason="too_busy"`, overHTTP, []Counter{HTTPBusy}, nil},
			{`reason="too_soon"`, overHTTP, []Counter{HTTPNotModest}, nil},
		},
	},
	{
		"tracker_slowed_total", "Announces answered with a longer interval, because of the rate of their address or because the tracker is behind.",
		splitWire,
		[]series{
			{`reason="rate"`, overBoth, []Counter{RateSlowed}, nil},
			{`reason="load"`, overBoth, []Counter{LoadSlowed}, nil},
		},
	},
	{"tracker_completed_total", "Downloads finished.", splitWire, []series{{"", overBoth, []Counter{Completed}, nil}}},
	{"tracker_connections_accepted_total", "TCP connections accepted, those refused at once included.", splitFamily, []series{{"", 0, []Counter{TCPAccepts}, nil}}},
	{
		"tracker_connections_closed_total", "TCP connections that the tracker closed for want of room, patience or a reason to keep them.",
		splitFamily,
		[]series{
			{`reason="limit"`, 0, []Counter{TCPRefused}, nil},
			{`reason="rate"`, 0, []Counter{RateClosed}, nil},
			{`reason="unproxied"`, 0, []Counter{TCPUnproxied}, nil},
			{`reason="idle"`, 0, []Counter{TCPExpired}, nil},
			{`reason="slow_request"`, 0, []Counter{TCPTrickled}, nil},
			{`reason="slow_reader"`, 0, []Counter{TCPOverrun}, nil},
			{`reason="evicted"`, 0, []Counter{TCPEvicted}, nil},
			{`reason="cut"`, 0, []Counter{TCPCut}, nil},
			{`reason="memory"`, 0, []Counter{TCPCrowded}, nil},
		},
	},
	{"tracker_connections_accept_errors_total", "Failures to accept a TCP connection, for want of descriptors or memory.", splitNone, []series{{"", 0, []Counter{TCPAcceptErrors}, nil}}},
	{"tracker_udp_received_total", "Datagrams received.", splitFamily, []series{{"", 0, []Counter{UDPPackets}, nil}}},
	{"tracker_udp_kernel_drops_total", "Datagrams that the system threw away because they came faster than they were read.", splitNone, []series{{"", 0, []Counter{UDPDrops}, nil}}},
	{"tracker_udp_send_errors_total", "Answers over UDP that the system did not take.", splitFamily, []series{{"", 0, []Counter{UDPSendErrors}, nil}}},
	{"tracker_udp_receive_errors_total", "Failures to receive datagrams.", splitNone, []series{{"", 0, []Counter{UDPReceiveErrors}, nil}}},
	{"tracker_full_scrape_bytes_total", "Bytes of full scrapes handed to the system, as they went out.", splitNone, []series{{"", 0, []Counter{FullScrapeBytes}, nil}}},
	{"tracker_event_loop_restarts_total", "Event loops that ended unasked and were started again.", splitNone, []series{{"", 0, []Counter{EngineRestarts}, nil}}},
	{
		"tracker_snapshots_total", "Snapshots of all peers, written to the state file or failed to be.",
		splitNone,
		[]series{{`outcome="written"`, 0, []Counter{Snapshots}, nil}, {`outcome="failed"`, 0, []Counter{SnapshotErrors}, nil}},
	},
	{"tracker_lan_peers_hidden_total", "Peers of the tracker's LAN left out of answers for want of an address outside.", splitWire, []series{{"", overBoth, []Counter{LANHidden}, nil}}},
	{"tracker_sync_records_total", "Announces learnt from other trackers.", splitNone, []series{{"", 0, []Counter{SyncRecords}, nil}}},
}

// wireNames are protocols as labels.
var wireNames = [NumWires]string{UDP: "udp", HTTP: "http"}

// maxDerived is how many series are differences: each of two, for two wires and
// two families.
const maxDerived = 2 * int(NumWires) * int(numFamilies)

// A Floor keeps what was told last of those series that are differences of
// counters. These are read one after the other, while requests go on, so that a
// difference may come out lower than before; who reads that takes it for a new
// start. The zero value is ready, and for several goroutines.
type Floor struct {
	mu   sync.Mutex
	told [maxDerived]uint64
}

// raise returns v, or what was told before of series i if that is more.
func (f *Floor) raise(i int, v uint64) uint64 {
	f.told[i] = max(f.told[i], v)
	return f.told[i]
}

// AppendMetrics appends r in the text format of Prometheus, version 0.0.4. What
// the system does not tell is left out.
func AppendMetrics(dst []byte, r *Report, f *Floor) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := exposition{b: dst, r: r, floor: f}
	for i := range metrics {
		x.metric(&metrics[i])
	}
	x.head("tracker_peers", "Peers of all torrents.", "gauge")
	x.labeled("tracker_peers", `role="seeder"`, r.Seeders)
	x.labeled("tracker_peers", `role="leecher"`, r.Leechers())
	x.gauge("tracker_torrents", "Torrents known, those without peers included.", r.Torrents)
	x.cluster(r.Cluster)
	x.times()
	x.gauge("tracker_connections", "TCP connections that are open.", r.Conns.Open)
	x.gauge("tracker_connections_limit", "TCP connections that may be open at once.", r.Conns.Limit)
	p := &r.Process
	if p.LimitBytes > 0 {
		x.gauge("tracker_memory_limit_bytes", "Memory that the whole process is kept below.", p.LimitBytes)
	}
	x.gauge("tracker_store_bytes", "Memory for torrents and peers.", p.StoreBytes)
	x.gauge("tracker_processors", "Processors that the tracker may use.", uint64(p.Processors))
	x.head("tracker_build_info", "Always 1; the labels say what this program is.", "gauge")
	x.b = append(x.b, `tracker_build_info{version="`...)
	x.escaped(r.Version)
	x.b = append(x.b, `",goversion="`...)
	x.escaped(runtime.Version())
	x.b = append(x.b, "\"} 1\n"...)
	x.process(p)
	return x.b
}
