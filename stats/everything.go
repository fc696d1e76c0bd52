package stats

import "strconv"

// AppendEverything appends the page of all numbers as XML. There are parsers
// out there that go by the position of an element, and others that go by lines,
// so order, indentation and the missing line end at the end are part of it.
//
// What we count and opentracker does not is not here.
func AppendEverything(dst []byte, s *Snapshot) []byte {
	x := markup{b: append(dst, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"...)}
	t := &s.Totals
	x.open("stats")
	x.number("tracker_id", uint64(s.TrackerID))
	x.open("version")
	x.text(s.Version)
	x.close("version")
	x.number("uptime", s.UptimeSeconds)
	x.open("torrents")
	x.number("count_mutex", s.Torrents)
	x.number("count_iterator", s.Torrents)
	x.close("torrents")
	x.counted("peers", s.Peers)
	x.counted("seeds", s.Seeders)
	x.counted("completed", t.Sum(Completed))
	x.connections(t)
	x.open("debug")
	x.renew(s)
	x.httpErrors(s)
	x.counted("mutex_stall", 0) // no such thing here
	x.close("debug")
	return append(x.b, "</stats>"...)
}

func (x *markup) connections(t *Totals) {
	x.open("connections")
	x.open("tcp")
	x.number("accept", t.Sum(TCPAccepts))
	x.number("announce", t.Sum(HTTPAnnounces))
	x.number("scrape", t.Sum(HTTPScrapes))
	x.close("tcp")
	x.open("udp")
	x.number("overall", t.Sum(UDPPackets))
	x.number("connect", t.Sum(UDPConnects))
	x.number("announce", t.Sum(UDPAnnounces))
	x.number("scrape", t.Sum(UDPScrapes))
	x.number("missmatch", t.Sum(UDPMissmatches))
	x.close("udp")
	x.counted("livesync", t.Sum(SyncRecords))
	x.close("connections")
}

func (x *markup) renew(s *Snapshot) {
	x.open("renew")
	for minute, n := range s.Renew {
		x.indent()
		x.b = append(x.b, "<count interval=\""...)
		x.b = appendPadded(x.b, uint64(minute), 2)
		x.endCount(n)
	}
	x.close("renew")
}

func (x *markup) httpErrors(s *Snapshot) {
	t := &s.Totals
	x.open("http_error")
	for _, e := range [...]struct {
		code string
		n    uint64
	}{
		{"302 Redirect", t.Sum(HTTPRedirects)},
		{"400 Parse Error", t.Sum(HTTPParseErrors)},
		{"400 Invalid Parameter", t.Sum(HTTPInvalid)},
		{"400 Invalid Parameter (compact=0)", t.Sum(HTTPCompact)},
		// opentracker, too, answers with 402 and counts it here.
		{"400 Not Modest", t.Sum(HTTPNotModest)},
		{"402 Payment Required", 0},
		{"403 Access Denied", t.Sum(HTTPDenied)},
		{"404 Not found", t.Sum(HTTPNotFound)},
		{"500 Internal Server Error", s.serverErrors()},
	} {
		x.indent()
		x.b = append(x.b, "<count code=\""...)
		x.b = append(x.b, e.code...)
		x.endCount(e.n)
	}
	x.close("http_error")
}

// markup appends elements, each on its line.
type markup struct {
	b     []byte
	depth int
}

func (x *markup) indent() {
	for range x.depth {
		x.b = append(x.b, "  "...)
	}
}

func (x *markup) open(name string) {
	x.indent()
	x.depth++
	x.b = append(x.b, '<')
	x.b = append(x.b, name...)
	x.b = append(x.b, ">\n"...)
}

func (x *markup) close(name string) {
	x.depth--
	x.indent()
	x.b = append(x.b, "</"...)
	x.b = append(x.b, name...)
	x.b = append(x.b, ">\n"...)
}

// number appends an element that holds n.
func (x *markup) number(name string, n uint64) {
	x.indent()
	x.b = append(x.b, '<')
	x.b = append(x.b, name...)
	x.b = append(x.b, '>')
	x.b = strconv.AppendUint(x.b, n, 10)
	x.b = append(x.b, "</"...)
	x.b = append(x.b, name...)
	x.b = append(x.b, ">\n"...)
}

// counted appends an element that holds nothing but a count.
func (x *markup) counted(name string, n uint64) {
	x.open(name)
	x.number("count", n)
	x.close(name)
}

// endCount appends what follows an attribute's value.
func (x *markup) endCount(n uint64) {
	x.b = append(x.b, "\">"...)
	x.b = strconv.AppendUint(x.b, n, 10)
	x.b = append(x.b, "</count>\n"...)
}

// text appends text as lines that are not indented.
func (x *markup) text(text string) {
	for i := range len(text) {
		switch c := text[i]; c {
		case '<':
			x.b = append(x.b, "&lt;"...)
		case '&':
			x.b = append(x.b, "&amp;"...)
		default:
			x.b = append(x.b, c)
		}
	}
	x.b = append(x.b, '\n')
}
