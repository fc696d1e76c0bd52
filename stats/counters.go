package stats

import "sync/atomic"

// A Counter names one thing that is counted.
//
// To add one: a constant here with its meaning, and the line that counts it.
type Counter uint8

// What is counted. HTTP counters count requests, UDP counters datagrams, unless
// it says otherwise.
const (
	// TCPAccepts are connections accepted, those refused at once included.
	TCPAccepts Counter = iota
	// TCPRefused are connections closed at once because the limit was reached
	// and none could be closed for them.
	TCPRefused
	// TCPExpired are connections closed because nothing was asked.
	TCPExpired
	// TCPOverrun are connections closed because the client does not read, or
	// too slowly.
	TCPOverrun
	// TCPUnproxied are connections closed at a listener for reverse proxies,
	// because they do not come from one or do not begin with a PROXY header.
	TCPUnproxied
	// EngineRestarts are event loops that ended unasked and were started again.
	EngineRestarts

	// HTTPAnnounces have an info_hash; refusals and stops are among them.
	HTTPAnnounces
	// HTTPScrapes are scrapes of named torrents.
	HTTPScrapes
	// HTTPNoInfohash are announces without an info_hash.
	HTTPNoInfohash
	// HTTPRedirects are answers 302.
	HTTPRedirects
	// HTTPParseErrors are answers 400 to what is no request.
	HTTPParseErrors
	// HTTPInvalid are answers 400 to a parameter with an impossible value.
	HTTPInvalid
	// HTTPCompact are answers 400 to a client that cannot take compact peers.
	HTTPCompact
	// HTTPDenied are answers 403.
	HTTPDenied
	// HTTPNotFound are answers 404.
	HTTPNotFound
	// HTTPTooLong are answers 500: requests over the limit of length.
	HTTPTooLong

	// UDPPackets are datagrams received, empty ones excepted.
	UDPPackets
	// UDPConnects are connects answered.
	UDPConnects
	// UDPAnnounces are announces with a valid connection id.
	UDPAnnounces
	// UDPScrapes are scrapes with a valid connection id.
	UDPScrapes
	// UDPMissmatches are announces and scrapes with a connection id that is
	// not, or no longer, theirs. The spelling is that of the answer.
	UDPMissmatches
	// UDPMalformed are datagrams that are too short or make no sense, and get
	// no answer.
	UDPMalformed
	// UDPSendErrors are answers the system did not take.
	UDPSendErrors
	// UDPReceiveErrors are failed receive calls.
	UDPReceiveErrors
	// UDPDrops are datagrams the system threw away because they came faster
	// than they were read. It is not split by family: all count as IPv4.
	UDPDrops

	// Refusals are announces answered with a failure reason, either wire.
	Refusals
	// Unlisted are those of the refusals that named a torrent not served here.
	Unlisted
	// RefusedClients are those of them that came from a program not served here.
	RefusedClients
	// Completed are downloads finished, either wire, each peer's once.
	Completed

	// RateSlowed are requests over the budget of their address or prefix that
	// were answered, announces with a longer interval. So that a connection
	// that ends without a request costs no less, it is counted as one, here and
	// in the next two.
	RateSlowed
	// RateAddress are requests that got no answer because their address is far
	// over its budget.
	RateAddress
	// RatePrefix are the same for the prefix.
	RatePrefix
	// RateClosed are connections closed at once for either reason.
	RateClosed
	// RateUnproven are datagrams without a valid connection id that got no
	// answer because too many come in the name of their address.
	RateUnproven

	// LoadSlowed are announces answered with a longer interval because more
	// arrives than can be answered. Those over a budget may be among them.
	LoadSlowed
	// LoadUnproven are wrong connection ids not answered for the same reason.
	LoadUnproven
	// LoadPages are connections closed for it that asked for a page which takes
	// long.
	LoadPages

	// PeersNoMemory are announces, either wire, of peers that were not stored
	// because there is no memory for them, or little and their torrent is large.
	// They are answered, as the next three are.
	PeersNoMemory
	// PeersTooMany are those of peers of torrents with as many as they may have.
	PeersTooMany
	// PeersNewTorrent are those for torrents beyond the limit of torrents.
	PeersNewTorrent
	// PeersManyPorts are those of peers whose address has as many ports in the
	// torrent as it may have.
	PeersManyPorts

	// LANHidden are peers, not requests, that were left out of answers: those of
	// the tracker's LAN, asked for from outside while there was no address to hand
	// out in place of theirs.
	LANHidden

	// HTTPNotModest are answers 402 to a full scrape too soon after the last.
	HTTPNotModest
	// HTTPSwitchedOff are answers 500 to a page that nobody has, mode=busy.
	HTTPSwitchedOff
	// HTTPBusy are answers 500 to a page that takes long, because too many of
	// them are wanted at once.
	HTTPBusy
	// FullScrapes are full scrapes begun. Pages of mode=tpbs are not among them.
	FullScrapes
	// FullScrapeBytes are the bytes of their bodies handed to the system, as
	// they went out: compressed if they were.
	FullScrapeBytes
	// HTTPPages are statistics answered, but for full scrapes.
	HTTPPages
	// SyncRecords are announces learnt from other trackers.
	SyncRecords

	// Snapshots are snapshots of the store written to the state file.
	Snapshots
	// SnapshotErrors are snapshots that could not be written.
	SnapshotErrors

	// TCPTrickled are connections closed because a request took too long to
	// come.
	TCPTrickled
	// TCPEvicted are idle connections closed to make room for others, at the
	// limit or for want of descriptors.
	TCPEvicted
	// TCPCut are connections closed for that in the middle of a request or an
	// answer, because none was idle.
	TCPCut
	// TCPCrowded are connections closed in the middle of a request or an answer
	// because all of them together held too much memory.
	TCPCrowded
	// TCPAcceptErrors are failures to accept for want of descriptors or memory.
	// It is not split by family: all count as IPv4.
	TCPAcceptErrors

	// NumCounters is how many counters there are.
	NumCounters
)

// Family says over which protocol a request came.
type Family uint8

// The two families.
const (
	V4 Family = iota
	V6
	numFamilies
)

// cacheLine is, in bytes, at least the cache line of every machine that has
// several processors.
const cacheLine = 128

// Counters are the numbers of one reactor: it alone adds, anyone may read.
// The zero value is ready.
type Counters struct {
	_       [cacheLine]byte
	n       [NumCounters][numFamilies]atomic.Uint64
	renew   [RenewMinutes]atomic.Uint64
	numWant [NumWants]atomic.Uint64
	took    atomicTimes
	_       [cacheLine]byte
}

// RenewMinutes is how many minutes the histogram of renewals tells apart:
// opentracker forgets a peer after 45.
const RenewMinutes = 45

// NumWants is how many values of numwant there are: 0 to 200, the most that
// opentracker hands out.
const NumWants = 201

// Inc adds one to k.
func (c *Counters) Inc(k Counter, f Family) { c.n[k][f].Add(1) }

// Add adds n to k.
func (c *Counters) Add(k Counter, f Family, n uint64) { c.n[k][f].Add(n) }

// Heard returns a number that grows while whoever counts takes what arrives.
// Empty datagrams are in it because some of them are timed.
func (c *Counters) Heard() (n uint64) {
	for _, k := range []Counter{UDPPackets, UDPReceiveErrors, TCPAccepts, TCPAcceptErrors} {
		n += c.n[k][V4].Load() + c.n[k][V6].Load()
	}
	for i := range c.took.n {
		n += c.took.n[i].Load()
	}
	return n
}

// Renew counts an announce of a peer that was last heard of so many minutes
// ago. The last class holds all that is 44 and more: we may remember longer
// than opentracker, but the pages have 45 lines.
func (c *Counters) Renew(minutes uint32) {
	c.renew[min(minutes, RenewMinutes-1)].Add(1)
}

// NumWant counts an announce that is given up to n peers. What is outside 0 to
// 200 counts as the nearer of the two.
func (c *Counters) NumWant(n int) {
	c.numWant[max(0, min(n, NumWants-1))].Add(1)
}

// Totals are sums over several [Counters] at one moment.
type Totals [NumCounters][numFamilies]uint64

// Add adds the present numbers of c to t.
func (t *Totals) Add(c *Counters) {
	for k := range c.n {
		for f := range c.n[k] {
			t[k][f] += c.n[k][f].Load()
		}
	}
}

// Sum returns k over both families.
func (t *Totals) Sum(k Counter) uint64 { return t[k][V4] + t[k][V6] }
