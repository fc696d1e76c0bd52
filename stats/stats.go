// Package stats counts what the tracker does, and tells it.
//
// # Counting
//
// Counting is the only logging there is on the path of a request: each outcome
// has a [Counter], each counter is kept apart for IPv4 and IPv6, and each
// reactor owns one [Counters], so that counting never makes two processors
// fight over a cache line. Beside them stand three histograms: of renewals by
// minutes, of numwant, and of how long answers took. A reactor serves one
// [Wire], so what it counts is also known by wire.
//
//	reactor 0   Counters ─┐
//	reactor 1   Counters ─┼─ Snapshot.AddWire ─► Snapshot ─► AppendPeer, AppendConn, …
//	reactor 2   Counters ─┘
//
// Numbers only ever grow, from the start of the process. Rates are the
// business of whoever reads twice, as a [History] does.
//
// # Pages
//
// A page is what opentracker answers to /stats?mode=…, byte for byte that of
// its generation of 2024 and later, except where that is a defect. [ParseQuery]
// turns the query into a [Mode], and the mode's [Kind] says what the page is
// made of:
//
//	KindPage        of a Snapshot alone: at once, without allocating
//	KindTop         of all torrents:     Top.Add each, then Top.Append
//	KindNetworks    of all peers:        Networks.Add each, then AppendNetworks
//	KindWoodpeckers of Woodpeckers:      Networks.Merge each, then AppendWoodpeckers
//	KindListing     of all torrents, too long to hold: ChunkWriter
//
// These pages differ from opentracker's on purpose:
//
//	fscr         tells the true numbers; opentracker's are always 0
//	herr         the last three lines count answers 403, 404 and 500, as their
//	             labels say; opentracker shows other counters there
//	renew        minute 44 holds all longer ones, as we may remember longer
//	numwants     are always there, and over both wires; opentracker has them
//	woodpeckers  only if it was built with them
//	s24s         IPv4 networks are dotted quads, which opentracker prints as if
//	             they were IPv6; those of IPv6 follow, if there are any
//	tpbs         without a format is invalid; opentracker never answers
//	listings     that are empty end once; opentracker sends the last chunk twice
//
// # Numbers
//
// A [Report] is everything there is to tell at one moment; [AppendJSON] tells it
// to programs. A [History] remembers what a page shows that people look at, and
// [Leaders] are the largest torrents for it.
//
// # Memory
//
// Nothing here holds more than a named limit, however many torrents and peers
// there are. A listing goes out in chunks of at most [MaxChunk], in whatever
// order its torrents are given; opentracker's is ascending. A History is a ring.
//
// Nothing here knows what a request is, or reads a clock.
package stats

// A Snapshot is everything that pages tell, at one moment. The zero value is
// ready for AddWire.
type Snapshot struct {
	Totals  Totals               // of all
	Wires   [NumWires]Totals     // of what came over each; what is not a request is in neither
	Times   [NumWires]Times      // how long some of the answers took
	Renew   [RenewMinutes]uint64 // announces of known peers, by minutes since the last one
	NumWant [NumWants]uint64     // announces by how many peers they may be given

	UptimeSeconds uint64
	Torrents      uint64 // known, those without peers included
	Peers         uint64 // of all torrents, seeders included
	Seeders       uint64

	Cluster *Cluster // nil: this tracker is alone

	TrackerID uint32 // drawn at the start of the process
	Version   string // one line or several, without the last line end
}

// AddWire adds the present numbers of c, which serves w.
func (s *Snapshot) AddWire(w Wire, c *Counters) {
	for k := range c.n {
		for f := range c.n[k] {
			n := c.n[k][f].Load()
			s.Totals[k][f] += n
			s.Wires[w][k][f] += n
		}
	}
	s.Times[w].add(&c.took)
	s.addHistograms(c)
}

// Add adds the present numbers of c, which serves neither wire, or both.
func (s *Snapshot) Add(c *Counters) {
	s.Totals.Add(c)
	s.addHistograms(c)
}

func (s *Snapshot) addHistograms(c *Counters) {
	for i := range c.renew {
		s.Renew[i] += c.renew[i].Load()
	}
	for i := range c.numWant {
		s.NumWant[i] += c.numWant[i].Load()
	}
}

// connections returns how many came: connections and datagrams.
func (s *Snapshot) connections() uint64 {
	return s.Totals.Sum(TCPAccepts) + s.Totals.Sum(UDPPackets)
}

// successes returns how many of them opentracker calls successful.
func (s *Snapshot) successes() uint64 {
	return s.Totals.Sum(HTTPAnnounces) + s.udpSuccesses()
}

func (s *Snapshot) udpSuccesses() uint64 {
	return s.Totals.Sum(UDPAnnounces) + s.Totals.Sum(UDPConnects)
}

// perSecond returns n as a whole rate since the start.
func (s *Snapshot) perSecond(n uint64) uint64 { return n / max(1, s.UptimeSeconds) }

// perHour returns n as a rate over the whole hours since the start.
func (s *Snapshot) perHour(n uint64) uint64 { return n / max(1, s.hours()) }

func (s *Snapshot) hours() uint64 { return s.UptimeSeconds / 3600 }
