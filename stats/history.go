package stats

import (
	"math"
	"strconv"
	"sync"
	"time"
)

// A Span is how far back a [History] is looked at.
type Span uint8

// Spans.
const (
	SpanNone Span = iota
	SpanHour
	SpanDay
	numSpans
)

// spans are the length of each in samples, and the time between two.
var spans = [numSpans]struct {
	name     string
	samples  int
	interval time.Duration
}{
	SpanHour: {"hour", 240, 15 * time.Second},
	SpanDay:  {"day", 288, 5 * time.Minute},
}

// Rates are told per second. To add one: a row here, and a word in the README.
var rates = [...]struct {
	name string
	v4   bool
	v6   bool
	of   []Counter
}{
	{"udp4_connect", true, false, []Counter{UDPConnects}},
	{"udp6_connect", false, true, []Counter{UDPConnects}},
	{"udp4_announce", true, false, []Counter{UDPAnnounces}},
	{"udp6_announce", false, true, []Counter{UDPAnnounces}},
	{"udp4_scrape", true, false, []Counter{UDPScrapes}},
	{"udp6_scrape", false, true, []Counter{UDPScrapes}},
	{"http4_announce", true, false, []Counter{HTTPAnnounces}},
	{"http6_announce", false, true, []Counter{HTTPAnnounces}},
	{"http4_scrape", true, false, []Counter{HTTPScrapes, FullScrapes}},
	{"http6_scrape", false, true, []Counter{HTTPScrapes, FullScrapes}},
	{"http_other", true, true, httpOther},
	{"completed", true, true, []Counter{Completed}},
	{"refused_listing", true, true, []Counter{Unlisted, RefusedClients}},
	{"refused_connection_id", true, true, []Counter{UDPMissmatches}},
	{"refused_malformed", true, true, []Counter{UDPMalformed, HTTPParseErrors, HTTPInvalid, HTTPCompact, HTTPTooLong}},
	{"refused_rate", true, true, []Counter{RateAddress, RatePrefix, RateClosed, RateUnproven}},
	{"refused_load", true, true, []Counter{LoadUnproven, LoadPages}},
	{"refused_limits", true, true, []Counter{PeersNoMemory, PeersTooMany, PeersNewTorrent, PeersManyPorts}},
	{"udp_dropped", true, true, []Counter{UDPDrops}},
}

// gauges are told as they are when the sample is taken, and measures as they
// were since the one before.
var (
	gauges   = [...]string{"torrents", "peers", "seeders", "resident_bytes", "limit_bytes", "connections"}
	measures = [...]string{"cpu", "udp_p50", "udp_p99", "http_p50", "http_p99"}
)

const numSeries = len(rates) + len(gauges) + len(measures)

// seriesName returns the name of series i.
func seriesName(i int) string {
	switch {
	case i < len(rates):
		return rates[i].name
	case i < len(rates)+len(gauges):
		return gauges[i-len(rates)]
	}
	return measures[i-len(rates)-len(gauges)]
}

// A sample is one point of every series.
type sample [numSeries]float32

// A mark is what rates and measures of the next sample are counted from.
type mark struct {
	at    time.Duration
	rates [len(rates)]uint64
	cpu   float64
	times [NumWires]Times
}

// A ring holds the last samples of a span, by blocks that are there once they
// are needed.
type ring struct {
	blocks []*[blockLen]sample
	n      int           // so many samples have been taken, or missed
	due    time.Duration // when the next is
	last   mark
}

// blockLen divides the length of every span.
const blockLen = 16

// at returns the place of sample number n.
func (g *ring) at(n int) *sample {
	n %= len(g.blocks) * blockLen
	block := &g.blocks[n/blockLen]
	if *block == nil {
		*block = new([blockLen]sample)
	}
	return &(*block)[n%blockLen]
}

// A History remembers an hour by 15 seconds and a day by 5 minutes. It takes 63
// KB when it is full, and 2 KB at a time until then: all at once would have had
// the collector begin its work, and a tracker that nobody asks take 0.4 MB
// more. One goroutine takes samples, any may look.
type History struct {
	mu      sync.Mutex
	started bool
	rings   [numSpans]ring

	// What sampling needs room for is here: on the stack it would be too much
	// for the little one of a goroutine that does nothing else, and more memory
	// than all else of a tracker that nobody asks.
	now  mark
	took Times
}

// NewHistory returns a history that begins with the first sample.
func NewHistory() *History {
	h := new(History)
	for i := range spans {
		h.rings[i].blocks = make([]*[blockLen]sample, spans[i].samples/blockLen)
	}
	return h
}

// Due reports whether there is a sample to be taken at now, a monotonic time.
// It is for the goroutine that takes them.
func (h *History) Due(now time.Duration) bool { return !h.started || now >= h.rings[SpanHour].due }

// Sample takes the samples that are due at now, of r. Those that nobody took in
// time are missing; what happened meanwhile is spread over all of that time. Once
// the history is full it allocates nothing.
func (h *History) Sample(r *Report, now time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now.set(r, now)
	for i := SpanHour; i < numSpans; i++ {
		g := &h.rings[i]
		switch {
		case !h.started:
			g.due = now + spans[i].interval
			g.last = h.now
		case now >= g.due:
			h.take(r, g, spans[i].interval)
		}
	}
	h.started = true
}

// take takes a sample of g that is due.
func (h *History) take(r *Report, g *ring, interval time.Duration) {
	missed := int((h.now.at - g.due) / interval)
	for range min(missed, len(g.blocks)*blockLen) {
		s := g.next()
		for i := range s {
			s[i] = float32(math.NaN())
		}
	}
	h.fill(g.next(), r, &g.last)
	g.due += interval * time.Duration(missed+1)
	g.last = h.now
}

// next returns the place of the next sample.
func (g *ring) next() *sample {
	g.n++
	return g.at(g.n - 1)
}

// set makes m what r says of now.
func (m *mark) set(r *Report, now time.Duration) {
	m.at, m.cpu = now, r.Process.CPUSeconds
	m.times = r.Times
	for i := range rates {
		m.rates[i] = 0
		for _, k := range rates[i].of {
			if rates[i].v4 {
				m.rates[i] += r.Totals[k][V4]
			}
			if rates[i].v6 {
				m.rates[i] += r.Totals[k][V6]
			}
		}
	}
}

// fill makes s of r, and of what was counted between was and now.
func (h *History) fill(s *sample, r *Report, was *mark) {
	m := &h.now
	seconds := (m.at - was.at).Seconds()
	for i := range rates {
		s[i] = float32(float64(m.rates[i]-min(m.rates[i], was.rates[i])) / seconds)
	}
	for i, v := range [len(gauges)]uint64{
		r.Torrents, r.Peers, r.Seeders, r.Process.ResidentBytes, r.Process.LimitBytes, r.Conns.Open,
	} {
		s[len(rates)+i] = float32(v)
	}
	rest := s[len(rates)+len(gauges):]
	rest[0] = float32((m.cpu - was.cpu) / seconds)
	for wire := range NumWires {
		h.took.between(&was.times[wire], &m.times[wire])
		rest[1+2*wire] = float32(h.took.Quantile(0.5))
		rest[2+2*wire] = float32(h.took.Quantile(0.99))
	}
}

// AppendHistory appends a span of h as a JSON object, at now, which is unix
// seconds since 1970. Before the first sample, all are missing.
func AppendHistory(dst []byte, h *History, span Span, now time.Duration, unix int64) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := &h.rings[span]
	if h.started {
		unix -= int64((now - g.last.at) / time.Second)
	}
	j := object{append(dst, '{')}
	j.int("time", unix)
	j.int("interval_seconds", int64(spans[span].interval/time.Second))
	j.open("series")
	for i := range numSeries {
		j.key(seriesName(i))
		j.b = append(j.b, '[')
		for k := g.n - spans[span].samples; k < g.n; k++ {
			if j.b[len(j.b)-1] != '[' {
				j.b = append(j.b, ',')
			}
			v := math.NaN()
			if k >= 0 {
				v = float64(g.at(k)[i])
			}
			j.b = appendFloat(j.b, v)
		}
		j.b = append(j.b, ']')
	}
	j.close()
	return append(j.b, "}\n"...)
}

// A NumbersRequest is what the query of a request for numbers asks for. The zero
// value is all numbers of now.
type NumbersRequest struct {
	History Span // those of this span instead
	Top     int  // so many of the largest torrents instead, up to MaxTop
}

// ParseNumbers reads query as [ParseQuery] does: history=hour or day, or top=N.
// Other names are passed over.
func ParseNumbers(query []byte) (r NumbersRequest, err error) {
	p := params{b: query}
	for ok := true; p.more(); {
		switch name := p.name(); {
		case string(name) == "info_hash":
			return r, ErrInvalid
		case string(name) == "history":
			r.History, ok = spanOf(p.value())
		case string(name) == "top":
			n, err := strconv.Atoi(string(p.value()))
			r.Top, ok = n, err == nil && n > 0 && n <= MaxTop
		default:
			p.skip()
		}
		if p.bad || !ok {
			return NumbersRequest{}, ErrInvalid
		}
	}
	if r.Top > 0 && r.History != SpanNone {
		return NumbersRequest{}, ErrInvalid
	}
	return r, nil
}

// spanOf returns the span of that name.
func spanOf(name []byte) (s Span, ok bool) {
	for i := SpanHour; i < numSpans; i++ {
		if string(name) == spans[i].name {
			return i, true
		}
	}
	return SpanNone, false
}
