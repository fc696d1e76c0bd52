package loop

import (
	"bytes"
	"net/netip"
	"sync"
	"time"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// defaultStatsPath is where statistics are read, without leading slashes.
const defaultStatsPath = "stats"

// A ledger is what the statistics are made of. Every reactor reads it; it does
// not change once the first of them runs.
type ledger struct {
	store       *store.Store
	clock       *clock
	process     *process
	history     *stats.History                    // nil: there is none
	cluster     func() stats.Cluster              // nil: there is none
	counters    [stats.NumWires][]*stats.Counters // one for each reactor, by what it serves
	woodpeckers []*stats.Woodpeckers              // one for each reactor
	own         stats.Counters                    // of no reactor; several goroutines count here, rarely
	started     int64                             // milliseconds of the clock
	trackerID   uint32                            // of this start
	version     string
	floor       stats.Floor // of metrics
}

// read sets s to the present.
func (l *ledger) read(s *stats.Snapshot) {
	*s = stats.Snapshot{
		UptimeSeconds: uint64(max(0, l.clock.millis.Load()-l.started) / 1000),
		TrackerID:     l.trackerID,
		Version:       l.version,
	}
	for wire, all := range l.counters {
		for _, c := range all {
			s.AddWire(stats.Wire(wire), c)
		}
	}
	s.Add(&l.own)
	if l.cluster != nil {
		c := l.cluster()
		s.Cluster = &c
		s.Totals[stats.SyncRecords][stats.V4] += c.RecordsReceived // of both families
	}
	torrents, seeders, leechers := l.store.Totals()
	s.Torrents, s.Seeders, s.Peers = uint64(torrents), uint64(seeders), uint64(seeders+leechers)
}

// mayRead reports whether a client at that address may read the statistics.
func (r *reactor) mayRead(client netip.Addr) bool {
	return len(r.readers) == 0 || r.readers.contains(client)
}

// statistics answers the request for a page of statistics that is in r.http,
// or leaves in r.order what somebody else has to answer.
func (r *reactor) statistics(dst, req []byte, client netip.Addr) ([]byte, fate) {
	family := familyOf(client)
	if !r.mayRead(client) {
		return r.deny(dst, family)
	}
	page, err := stats.ParseQuery(r.http.Query)
	if err != nil {
		r.stats.Inc(stats.HTTPInvalid, family)
		return append(dst, proto.HTTP400...), fateClose
	}
	switch page.Mode.Kind() {
	case stats.KindPage:
		r.ledger.read(&r.news().Snapshot)
		r.body = page.Mode.AppendPage(r.body[:0], &r.report.Snapshot)
		r.stats.Inc(stats.HTTPPages, family)
		return r.finish(dst)
	case stats.KindSilence:
		return dst, fateClose
	case stats.KindError:
		r.stats.Inc(stats.HTTPSwitchedOff, family)
		return append(dst, proto.HTTP500...), fateClose
	}
	return r.leave(dst, order{page: page, gzip: takesGzip(req), family: family, who: r.bounded(client)})
}

// news returns where to put a report. A reactor that nobody asks for one needs
// no memory for it.
func (r *reactor) news() *stats.Report {
	if r.report == nil {
		r.report = new(stats.Report)
	}
	return r.report
}

// showPage answers the request for the page for people. Who cannot read it, as
// it is sent, is told the most important of it.
func (r *reactor) showPage(dst, req []byte, client netip.Addr) ([]byte, fate) {
	family := familyOf(client)
	if !r.mayRead(client) {
		return r.deny(dst, family)
	}
	r.stats.Inc(stats.HTTPPages, family)
	if takesGzip(req) {
		dst = append(stats.AppendHead(dst, stats.ContentPage, len(stats.Page), r.http.KeepAlive), stats.Page...)
		return dst, r.fate()
	}
	r.ledger.read(&r.news().Snapshot)
	r.body = stats.AppendSummary(r.body[:0], r.report, r.statsPath, r.whereMetrics())
	return r.told(dst, stats.ContentText)
}

// told appends an answer with r.body.
func (r *reactor) told(dst []byte, c stats.Content) ([]byte, fate) {
	return append(stats.AppendHead(dst, c, len(r.body), r.http.KeepAlive), r.body...), r.fate()
}

// deny answers somebody who may not read statistics.
func (r *reactor) deny(dst []byte, family stats.Family) ([]byte, fate) {
	r.stats.Inc(stats.HTTPDenied, family)
	return append(dst, proto.HTTP403...), fateClose
}

// fullScrape does the same as statistics for a scrape of all torrents.
//
// Where the operator has not said who may read statistics, everybody may, and
// a full scrape is by far the most that one line can ask for. So there an
// address gets one in [scrapePause]. Those that the operator has named, and
// this machine itself, may ask as often as they like.
func (r *reactor) fullScrape(dst, req []byte, client netip.Addr) ([]byte, fate) {
	family := familyOf(client)
	switch {
	case !r.mayRead(client):
		return r.deny(dst, family)
	case r.sheds(stats.LoadPages, family):
		return dst, fateClose
	case r.desk.busy(&order{scrape: true}):
		return r.tooBusy(dst, family)
	case r.bounded(client).IsValid() && !r.desk.scrapes.take(r.bounded(client), r.clock.millis.Load()):
		r.stats.Inc(stats.HTTPNotModest, family)
		return append(dst, proto.HTTP402...), fateClose
	}
	page := stats.Request{Format: stats.FormatBen}
	return r.leave(dst, order{page: page, scrape: true, gzip: takesGzip(req), family: family, who: r.bounded(client)})
}

// leave leaves o to the desk, if there is room.
func (r *reactor) leave(dst []byte, o order) ([]byte, fate) {
	if r.desk.walksFor(&o) && r.sheds(stats.LoadPages, o.family) {
		return dst, fateClose
	}
	if r.desk.busy(&o) {
		return r.tooBusy(dst, o.family)
	}
	r.order = o
	return dst, fateLeft
}

// tooBusy turns down what would have to wait too long.
func (r *reactor) tooBusy(dst []byte, family stats.Family) ([]byte, fate) {
	r.stats.Inc(stats.HTTPBusy, family)
	return append(dst, proto.HTTP500...), fateClose
}

// bounded returns whom to count what a client has asked for against, or the
// zero Prefix if it may ask for as much as it likes: those that the operator
// has named may, and this machine itself. Of IPv6, what a customer has is one
// address.
func (r *reactor) bounded(client netip.Addr) netip.Prefix {
	if len(r.readers) > 0 || client.IsLoopback() {
		return netip.Prefix{}
	}
	bits := 32
	if client.Is6() {
		bits = 64
	}
	who, _ := client.Prefix(bits)
	return who
}

// takesGzip reports whether the client names gzip among what it can decode, and
// not with a quality of 0, which is to say that it cannot.
func takesGzip(req []byte) bool {
	value, _ := proto.Header(req, "Accept-Encoding")
	_, rest, ok := bytes.Cut(value, gzipName)
	quality, _, _ := bytes.Cut(rest, []byte(","))
	_, weight, weighed := bytes.Cut(quality, []byte("="))
	return ok && (!weighed || len(bytes.Trim(weight, ".0 \t")) > 0)
}

var gzipName = []byte("gzip")

// scrapePause is how long an address waits for its next full scrape, and
// maxScrapers of how many addresses that is remembered: 10 KB. Whoever has more
// addresses than that is held back by the length of the queue.
const (
	scrapePause = 5 * time.Minute
	maxScrapers = 256
)

// scrapers are the addresses that asked for a full scrape last.
type scrapers struct {
	mu   sync.Mutex
	last [maxScrapers]struct {
		who   netip.Prefix
		until int64 // milliseconds of the clock
	}
	next int // the oldest
}

// take reports whether who may have a full scrape now, and notes that it had
// one.
func (s *scrapers) take(who netip.Prefix, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.last {
		if s.last[i].who == who && s.last[i].until > now {
			return false
		}
	}
	s.last[s.next].who, s.last[s.next].until = who, now+scrapePause.Milliseconds()
	s.next = (s.next + 1) % maxScrapers
	return true
}
