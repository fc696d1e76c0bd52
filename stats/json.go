package stats

import (
	"math"
	"strconv"
)

// AppendJSON appends r as a JSON object. The names in it are told in the README
// and do not change.
func AppendJSON(dst []byte, r *Report) []byte {
	t := &r.Totals
	j := object{append(dst, '{')}
	j.text("version", r.Version)
	j.int("time", r.Unix)
	j.number("uptime_seconds", r.UptimeSeconds)
	j.number("torrents", r.Torrents)
	j.number("peers", r.Peers)
	j.number("seeders", r.Seeders)
	j.number("leechers", r.Leechers())
	j.number("completed", t.Sum(Completed))
	j.requests(t)
	j.open("refused")
	for i := range refused {
		j.number(refused[i].name, t.refusals(&refused[i]))
	}
	j.close()
	j.figures("slowed", t, []figure{{"rate", []Counter{RateSlowed}}, {"load", []Counter{LoadSlowed}}})
	j.open("connections")
	j.number("open", r.Conns.Open)
	j.number("limit", r.Conns.Limit)
	j.members(t, connFigures)
	j.close()
	j.figures("udp", t, []figure{
		{"received", []Counter{UDPPackets}},
		{"dropped_by_kernel", []Counter{UDPDrops}},
		{"send_errors", []Counter{UDPSendErrors}},
		{"receive_errors", []Counter{UDPReceiveErrors}},
	})
	j.figures("snapshots", t, []figure{{"written", []Counter{Snapshots}}, {"failed", []Counter{SnapshotErrors}}})
	j.cluster(r.Cluster)
	j.process(&r.Process)
	j.open("latency")
	j.latency("udp", &r.Times[UDP])
	j.latency("http", &r.Times[HTTP])
	j.close()
	return append(j.b, "}\n"...)
}

// connFigures are what became of connections.
var connFigures = []figure{
	{"accepted", []Counter{TCPAccepts}},
	{"evicted", []Counter{TCPEvicted}},
	{"cut", []Counter{TCPCut, TCPCrowded}},
	{"expired", []Counter{TCPExpired, TCPTrickled}},
	{"overrun", []Counter{TCPOverrun}},
	{"accept_errors", []Counter{TCPAcceptErrors}},
}

// requests appends what was asked, by wire and family.
func (j *object) requests(t *Totals) {
	j.open("requests")
	j.open("udp")
	for f, family := range familyNames {
		j.open(family)
		j.number("connect", t[UDPConnects][f])
		j.number("announce", t[UDPAnnounces][f])
		j.number("scrape", t[UDPScrapes][f])
		j.close()
	}
	j.close()
	j.open("http")
	for f, family := range familyNames {
		j.open(family)
		j.number("announce", t[HTTPAnnounces][f])
		j.number("scrape", t[HTTPScrapes][f])
		j.number("full_scrape", t[FullScrapes][f])
		other := uint64(0)
		for _, k := range httpOther {
			other += t[k][f]
		}
		j.number("other", other)
		j.close()
	}
	j.close()
	j.close()
}

// familyNames are families as JSON and metrics call them.
var familyNames = [numFamilies]string{V4: "ipv4", V6: "ipv6"}

// process appends what the process takes.
func (j *object) process(p *Process) {
	j.open("memory")
	j.number("resident_bytes", p.ResidentBytes)
	j.number("limit_bytes", p.LimitBytes)
	j.number("store_bytes", p.StoreBytes)
	j.number("heap_bytes", p.HeapBytes)
	j.close()
	j.open("cpu")
	j.key("seconds")
	j.b = strconv.AppendFloat(j.b, p.CPUSeconds, 'f', 3, 64)
	j.number("processors", uint64(p.Processors))
	j.close()
}

// latency appends how long answers took.
func (j *object) latency(name string, t *Times) {
	j.open(name)
	j.number("count", t.Count())
	j.float("p50_seconds", t.Quantile(0.5))
	j.float("p99_seconds", t.Quantile(0.99))
	j.float("p999_seconds", t.Quantile(0.999))
	j.close()
}

// An object appends JSON.
type object struct{ b []byte }

// key begins a member of the object that was opened last.
func (j *object) key(name string) {
	if j.b[len(j.b)-1] != '{' {
		j.b = append(j.b, ',')
	}
	j.b = append(j.b, '"')
	j.b = append(j.b, name...)
	j.b = append(j.b, '"', ':')
}

func (j *object) open(name string) {
	j.key(name)
	j.b = append(j.b, '{')
}

func (j *object) close() { j.b = append(j.b, '}') }

func (j *object) number(name string, n uint64) {
	j.key(name)
	j.b = strconv.AppendUint(j.b, n, 10)
}

func (j *object) int(name string, n int64) {
	j.key(name)
	j.b = strconv.AppendInt(j.b, n, 10)
}

func (j *object) float(name string, v float64) {
	j.key(name)
	j.b = appendFloat(j.b, v)
}

// members appends the sums of t that all names.
func (j *object) members(t *Totals, all []figure) {
	for i := range all {
		j.number(all[i].name, all[i].sum(t))
	}
}

func (j *object) figures(name string, t *Totals, all []figure) {
	j.open(name)
	j.members(t, all)
	j.close()
}

// text appends a string. Bytes that are not ASCII go out as they are, which is
// right for UTF-8.
func (j *object) text(name, s string) {
	const hex = "0123456789abcdef"
	j.key(name)
	j.b = append(j.b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			j.b = append(j.b, '\\', c)
		case c < ' ':
			j.b = append(j.b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		default:
			j.b = append(j.b, c)
		}
	}
	j.b = append(j.b, '"')
}

// appendFloat appends v to four digits, or null if it is not a number.
func appendFloat(dst []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return strconv.AppendInt(dst, int64(v), 10)
	}
	if v >= 1000 {
		return strconv.AppendFloat(dst, v, 'f', 1, 64)
	}
	return strconv.AppendFloat(dst, v, 'g', 4, 64)
}
