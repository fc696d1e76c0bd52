package proto

import (
	"net/netip"
	"testing"
)

// A step is one thing done for a request. What is measured is what is pinned
// to allocate nothing.
type step struct {
	name string
	do   func()
}

// steps returns everything that is done for requests. Each step panics if it
// fails, so that it is the successful path that is measured.
func steps() []step {
	must := func(ok bool) {
		if !ok {
			panic("a step failed")
		}
	}
	var (
		q     HTTPRequest
		a     Announce
		s     Scrape
		dst   = make([]byte, 0, 1<<14)
		key   = MakeConnKey([16]byte{1})
		addr4 = netip.MustParseAddr("192.0.2.1")
		addr6 = netip.MustParseAddr("2001:db8::1")
		id4   = key.ID(addr4, 1)
		id6   = key.ID(addr6, 0)
		peers = make([]byte, 50*Peer4Len)
		many6 = make([]byte, 20*Peer6Len)
	)
	parse := func(req string, want error) func() {
		b := []byte(req)
		return func() { must(HTTPEnd(b, 0) == len(b) && ParseHTTP(b, &q) == want) }
	}
	const query = "GET /announce?info_hash=" + ihText + "&left=1"
	scrape64 := []byte("GET /scrape?")
	for i := range MaxHTTPScrape {
		scrape64 = append(scrape64, "info_hash=aaaaaaaaaaaaaaaaaaa"...)
		scrape64 = append(scrape64, 'a'+byte(i*7%26), '&')
	}
	scrape64 = append(scrape64, " HTTP/1.1\r\n\r\n"...)
	reply := func(form Form) func() {
		r := AnnounceReply{Form: form, Interval: 1800, Counts: Counts{100, 10000, 50}, Peers4: peers, Peers6: many6}
		var body []byte
		return func() {
			body = AppendHTTPAnnounce(body[:0], &r)
			dst = append(AppendHTTPHead(dst[:0], len(body), true), body...)
		}
	}
	announce, scrape := announcePacket(), scrapePacket(10)
	forwarded := []byte("GET /a HTTP/1.1\r\nX-Real-IP: 2001:db8::1\r\nX-Forwarded-For: x, 2001:db8::1\r\nX-Forwarded-For: 192.0.2.1:80\r\n\r\n")
	proxy1 := []byte("PROXY TCP6 2001:db8::1 2001:db8::2 51413 6969\r\n")
	proxy2 := proxyV2(0x21, 0x21, append(addr6.AsSlice(), make([]byte, 20)...)...)
	return []step{
		{"parse/wire=http/announce", parse(announceRequest, nil)},
		{"parse/wire=http/announce/escaped", parse(query+"&p%6frt=%35&event=st%6fpped HTTP/1.1\r\nConnection: Keep-Alive\r\n\r\n", nil)},
		{"parse/wire=http/scrape", parse(scrapeRequest, nil)},
		{"parse/wire=http/scrape/infohashes=64", parse(string(scrape64), nil)},
		{"parse/wire=http/refused=infohash", parse("GET /announce?port=1 HTTP/1.1\r\n\r\n", RefuseNoInfohash)},
		{"parse/wire=http/refused=port", parse(query+" HTTP/1.1\r\n\r\n", RefusePort)},
		{"parse/wire=http/refused=left", parse(query+"&port=1&left=x HTTP/1.1\r\n\r\n", RefuseLeft)},
		{"parse/wire=http/invalid", parse(query+"&port=x HTTP/1.1\r\n\r\n", ErrInvalid)},
		{"parse/wire=http/notfound", parse("GET /x\"y HTTP/1.1\r\n\r\n", ErrNotFound)},
		{"parse/wire=http/stats", parse("GET /%73tats?mode=peer HTTP/1.1\r\n\r\n", nil)},
		{"parse/wire=http/forwarded", func() {
			hops := ForwardedFor(forwarded)
			a, ok1 := hops.Next()
			b, ok2 := hops.Next()
			must(ok1 && ok2 && a.Is4() && b == addr6)
		}},
		{"parse/wire=http/realip", func() {
			a, _, ok := RealIP(forwarded)
			must(ok && a == addr6)
		}},
		{"parse/wire=proxy/version=1", func() {
			_, src, err := ParsePROXY(proxy1)
			must(err == nil && src.Addr() == addr6)
		}},
		{"parse/wire=proxy/version=2", func() {
			_, src, err := ParsePROXY(proxy2)
			must(err == nil && src.Addr() == addr6)
		}},
		{"parse/wire=proxy/invalid", func() {
			_, _, err := ParsePROXY(forwarded)
			must(err == ErrPROXY)
		}},
		{"parse/wire=udp/announce", func() {
			_, _, _, ok := UDPHeader(announce)
			tx, err := ParseUDPAnnounce(announce, &a)
			must(ok && tx != 0 && err == nil)
		}},
		{"parse/wire=udp/scrape", func() {
			_, err := ParseUDPScrape(scrape, &s)
			must(err == nil && s.N == 10)
		}},
		{"parse/wire=udp/short", func() {
			_, err := ParseUDPAnnounce(announce[:97], &a)
			must(err == ErrShort)
		}},
		{"sort/infohashes=64", func() {
			must(ParseHTTP(scrape64, &q) == nil && q.Scrape.N == 64)
			q.Scrape.Sort()
		}},
		{"append/wire=http/form=compact", reply(FormCompact)},
		{"append/wire=http/form=list", reply(FormList)},
		{"append/wire=http/form=stopped", reply(FormStopped)},
		{"append/wire=http/scrape", func() {
			dst = AppendHTTPScrapeTail(AppendHTTPScrapeEntry(AppendHTTPScrapeHead(dst[:0]), &ih, Counts{1, 2, 3}))
		}},
		{"append/wire=http/failure", func() { dst = AppendHTTPFailure(dst[:0], RefuseUnlisted) }},
		{"append/wire=http/retry", func() { dst = AppendHTTPRetry(dst[:0], RefuseUnlisted, 30) }},
		{"append/wire=http/redirect", func() { dst = AppendHTTPRedirect(dst[:0], "http://example.org/") }},
		{"append/wire=udp/connect", func() { dst = AppendUDPConnect(dst[:0], 1, id4) }},
		{"append/wire=udp/announce", func() { dst = AppendUDPAnnounce(dst[:0], 1, 1800, Counts{1, 2, 3}, peers) }},
		{"append/wire=udp/scrape", func() { dst = AppendUDPScrapeEntry(AppendUDPScrapeHead(dst[:0], 1), Counts{1, 2, 3}) }},
		{"append/wire=udp/error", func() { dst = AppendUDPError(dst[:0], 1, RefuseConnID) }},
		{"connid/make", func() { must(key.ID(addr4, 1) == id4) }},
		{"connid/valid/epoch=current", func() { must(key.Valid(id4, addr4, 1)) }},
		{"connid/valid/epoch=previous", func() { must(key.Valid(id6, addr6, 1)) }},
		{"peer/make", func() { p := MakePeer(addr6, 6881); must(!p.Private() && len(p.Compact()) == Peer6Len) }},
	}
}

func TestAllocs(t *testing.T) {
	for _, s := range steps() {
		if n := testing.AllocsPerRun(100, s.do); n != 0 {
			t.Errorf("%s: %v allocations, want 0", s.name, n)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	for _, s := range steps() {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.do()
			}
		})
	}
}
