package loop

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

var (
	client4 = netip.MustParseAddrPort("192.0.2.7:51413")
	client6 = netip.MustParseAddrPort("[2001:db8::7]:51413")
)

// newTestReactor returns a reactor with an empty store and a clock that stands.
func newTestReactor() *reactor {
	r := &reactor{
		store: store.New(store.Options{Shards: 1}),
		clock: new(clock),
		pace:  makePace(defaultInterval, store.DefaultExpire),
		stats: new(stats.Counters),
		rnd:   store.NewRand(1),

		woodpeckers: new(stats.Woodpeckers),
		statsPath:   defaultStatsPath,
		page:        true,
	}
	r.ledger = &ledger{store: r.store, clock: r.clock}
	r.ledger.counters[stats.HTTP] = []*stats.Counters{r.stats} // it serves both
	q := &quota{limit: 1000}
	r.desk = newDesk(r.ledger, q, &Config{Now: func() time.Duration { return 0 }})
	r.ledger.process = newProcess(&Config{Wall: time.Now}, q)
	r.setEpoch(100)
	return r
}

// setEpoch sets the hour of connection ids.
func (r *reactor) setEpoch(epoch uint32) {
	r.clock.keys.Store(&connKeys{hourKey: hourKey{proto.MakeConnKey([16]byte{1, 2, 3}), epoch}})
}

// counted returns what r has counted as k.
func (r *reactor) counted(k stats.Counter) uint64 {
	var t stats.Totals
	t.Add(r.stats)
	return t.Sum(k)
}

// udpRequest returns the 16 bytes every request starts with.
func udpRequest(id proto.ConnID, action, tx uint32) []byte {
	pkt := binary.BigEndian.AppendUint64(nil, uint64(id))
	pkt = binary.BigEndian.AppendUint32(pkt, action)
	return binary.BigEndian.AppendUint32(pkt, tx)
}

// udpAnnounceRequest returns an announce for the torrent of 20 times ih.
func udpAnnounceRequest(id proto.ConnID, ih byte, left uint64, port uint16) []byte {
	pkt := udpRequest(id, proto.ActionAnnounce, 0xabcdef01)
	pkt = append(pkt, bytes.Repeat([]byte{ih}, 20)...)
	pkt = append(pkt, "-XX0000-aaaaaaaaaaaa"...)
	pkt = binary.BigEndian.AppendUint64(pkt, 0)
	pkt = binary.BigEndian.AppendUint64(pkt, left)
	pkt = append(pkt, make([]byte, 8+4+4+4)...)
	pkt = binary.BigEndian.AppendUint32(pkt, 1<<32-1)
	return binary.BigEndian.AppendUint16(pkt, port)
}

// udpScrapeRequest returns a scrape for the torrents of 20 times each byte.
func udpScrapeRequest(id proto.ConnID, ihs ...byte) []byte {
	pkt := udpRequest(id, proto.ActionScrape, 0xabcdef02)
	for _, ih := range ihs {
		pkt = append(pkt, bytes.Repeat([]byte{ih}, 20)...)
	}
	return pkt
}

// connID returns a connection id that is valid for src now.
func (r *reactor) connID(src netip.AddrPort) proto.ConnID {
	return r.clock.keys.Load().id(src.Addr())
}

func TestDatagramAnswers(t *testing.T) {
	r := newTestReactor()
	id := r.connID(client4)
	r.datagram(nil, udpAnnounceRequest(id, 'a', 0, 1000), client4) // somebody is there
	refused := udpAnnounceRequest(id, 'a', 1, 0)
	tests := []struct {
		name string
		pkt  []byte
		want []byte // the interval is left out of it
		as   stats.Counter
	}{
		{
			"connect", udpRequest(proto.ConnIDMagic, 0, 7),
			binary.BigEndian.AppendUint64([]byte{0, 0, 0, 0, 0, 0, 0, 7}, uint64(id)), stats.UDPConnects,
		},
		{
			"announce", udpAnnounceRequest(id, 'a', 1, 6881),
			append([]byte{0, 0, 0, 1, 0xab, 0xcd, 0xef, 1, 0, 0, 0, 1, 0, 0, 0, 1}, 192, 0, 2, 7, 3, 0xe8), stats.UDPAnnounces,
		},
		{
			"announce with options", append(udpAnnounceRequest(id, 'a', 1, 6881), 2, 4, '/', 'a', 'n', 'n', 0),
			append([]byte{0, 0, 0, 1, 0xab, 0xcd, 0xef, 1, 0, 0, 0, 1, 0, 0, 0, 1}, 192, 0, 2, 7, 3, 0xe8), stats.UDPAnnounces,
		},
		{
			"scrape", udpScrapeRequest(id, 'a', 'x'),
			append([]byte{0, 0, 0, 2, 0xab, 0xcd, 0xef, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 12)...), stats.UDPScrapes,
		},
		{"scrape of nothing", udpScrapeRequest(id), []byte{0, 0, 0, 2, 0xab, 0xcd, 0xef, 2}, stats.UDPScrapes},
		{"no port", refused, append([]byte{0, 0, 0, 3, 0xab, 0xcd, 0xef, 1}, proto.RefusePort...), stats.Refusals},
		{
			"forged id", udpAnnounceRequest(id+1, 'a', 1, 6881),
			append([]byte{0, 0, 0, 3, 0xab, 0xcd, 0xef, 1}, "Connection ID missmatch."...), stats.UDPMissmatches,
		},
		{"forged id, question shorter than the answer", udpScrapeRequest(id + 1), nil, stats.UDPMissmatches},
		{"connect without the magic", udpRequest(proto.ConnIDMagic+1, 0, 7), nil, stats.UDPMalformed},
		{"no such action", udpRequest(id, 3, 7), nil, stats.UDPMalformed},
		{"short announce", udpAnnounceRequest(id, 'a', 1, 6881)[:97], nil, stats.UDPMalformed},
		{"short", make([]byte, 15), nil, stats.UDPMalformed},
	}
	for _, tt := range tests {
		before := r.counted(tt.as)
		got := r.datagram(nil, tt.pkt, client4)
		if len(got) > 12 && got[3] == 1 { // cut the interval out
			got = append(got[:8:8], got[12:]...)
		}
		if !bytes.Equal(got, tt.want) {
			t.Errorf("%s: got % x, want % x", tt.name, got, tt.want)
		}
		if n := r.counted(tt.as) - before; n != 1 {
			t.Errorf("%s: counted %d times, want once", tt.name, n)
		}
	}
	if got := r.datagram(nil, nil, client4); len(got) != 0 || r.counted(stats.UDPPackets) != uint64(len(tests))+1 {
		t.Errorf("an empty datagram: got % x, %d packets counted", got, r.counted(stats.UDPPackets))
	}
}

// TestUnproven checks that nobody can be flooded through us: without a valid
// connection id, no datagram of any length gets a longer answer.
func TestUnproven(t *testing.T) {
	r := newTestReactor()
	long := append(udpAnnounceRequest(1, 'a', 1, 6881), make([]byte, 1400)...)
	for action := range uint32(5) {
		for _, id := range []proto.ConnID{1, proto.ConnIDMagic} {
			for n := range long {
				pkt := append(udpRequest(id, action, 7), long[16:]...)[:n]
				if got := r.datagram(nil, pkt, client4); len(got) > len(pkt) {
					t.Fatalf("action %d, %d bytes: got %d", action, n, len(got))
				}
			}
		}
	}
}

// TestConnIDLife checks that an id lives for one to two hours, and only for
// the address it was given to.
func TestConnIDLife(t *testing.T) {
	r := newTestReactor()
	pkt := udpScrapeRequest(r.connID(client4), 'a')
	valid := func(src netip.AddrPort) bool { return r.datagram(nil, pkt, src)[3] == 2 }
	if !valid(client4) || !valid(netip.AddrPortFrom(client4.Addr(), 1)) {
		t.Errorf("a new id is refused")
	}
	if valid(client6) {
		t.Errorf("the id of another address is taken")
	}
	if r.setEpoch(101); !valid(client4) {
		t.Errorf("the id of the hour before is refused")
	}
	if r.setEpoch(102); valid(client4) {
		t.Errorf("an id of two hours ago is taken")
	}
}

func TestUDP6PeersFit(t *testing.T) {
	r := newTestReactor()
	id := r.connID(client6)
	for port := range uint16(300) {
		r.datagram(nil, udpAnnounceRequest(id, 'a', 1, port+1), client6)
	}
	if got := r.datagram(nil, udpAnnounceRequest(id, 'a', 1, 6881), client6); len(got) != 20+66*18 {
		t.Errorf("got %d bytes over IPv6, want %d", len(got), 20+66*18)
	}
	id = r.connID(client4)
	for port := range uint16(300) {
		r.datagram(nil, udpAnnounceRequest(id, 'a', 1, port+1), client4)
	}
	if got := r.datagram(nil, udpAnnounceRequest(id, 'a', 1, 6881), client4); len(got) != 20+200*6 {
		t.Errorf("got %d bytes over IPv4, want %d", len(got), 20+200*6)
	}
}

// announceLine returns a request for the torrent of 20 times ih.
func announceLine(ih byte, rest string) string {
	return "GET /announce?info_hash=" + strings.Repeat(string(ih), 20) + rest + " HTTP/1.1\r\nHost: x\r\n\r\n"
}

func TestRequestAnswers(t *testing.T) {
	r := newTestReactor()
	r.allowed = func(ih *proto.Infohash) bool { return ih[0] != 'z' }
	ok := "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
	failure := func(why proto.Refusal) string { return fmt.Sprintf("d14:failure reason%d:%se", len(why), why) }
	tests := []struct {
		name, req, start, end string
		fate                  fate
		as                    stats.Counter
	}{
		{"announce", announceLine('a', "&port=6881&left=1"), ok, "5:peers0:e", fateDone, stats.HTTPAnnounces},
		{"nobody but oneself", announceLine('a', "&port=6881&left=1"), ok + "92", "5:peers0:e", fateDone, stats.HTTPAnnounces},
		{"second peer", announceLine('a', "&port=1000&left=0"), ok, "5:peers6:\xc0\x00\x02\x07\x1a\xe1e", fateDone, stats.HTTPAnnounces},
		{"completed", announceLine('a', "&port=6881&left=0&event=completed"), ok, "5:peers0:e", fateDone, stats.Completed},
		{"stopped", announceLine('a', "&port=1000&left=0&event=stopped"), ok, "5:peers0:e", fateDone, stats.HTTPAnnounces},
		{
			"keep-alive", "GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
			ok, "e", fateKeep, stats.HTTPAnnounces,
		},
		{"unlisted", announceLine('z', "&port=6881"), ok, "8:retry ini32ee", fateDone, stats.Unlisted},
		{"unlisted stops", announceLine('z', "&port=6881&event=stopped"), ok, "5:peers0:e", fateDone, stats.HTTPAnnounces},
		{"no port", announceLine('a', ""), ok, failure(proto.RefusePort), fateDone, stats.Refusals},
		{"no info_hash", "GET /announce?port=1\r\n\r\n", ok, failure(proto.RefuseNoInfohash), fateDone, stats.HTTPNoInfohash},
		{
			"scrape", "GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash=xxxxxxxxxxxxxxxxxxxx\n\n", ok,
			"d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1e10:downloadedi1e10:incompletei1eeee", fateDone, stats.HTTPScrapes,
		},
		{"bad port", announceLine('a', "&port=abc"), proto.HTTP400, "", fateClose, stats.HTTPInvalid},
		{"no compact peers", announceLine('a', "&port=1&compact6=0"), proto.HTTP400, "", fateClose, stats.HTTPCompact},
		{"no request", "HEAD / HTTP/1.0\r\n\r\n", proto.HTTP400, "", fateClose, stats.HTTPParseErrors},
		{"root", "GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/plain; ", "", fateDone, stats.HTTPPages},
		{"root with a query", "GET /?x HTTP/1.0\r\n\r\n", proto.HTTP404, "", fateClose, stats.HTTPNotFound},
		{"elsewhere", "GET /stats/ HTTP/1.0\r\n\r\n", proto.HTTP404, "", fateClose, stats.HTTPNotFound},
	}
	for _, tt := range tests {
		before := r.counted(tt.as)
		got, fate := r.request(nil, []byte(tt.req), client4)
		if !strings.HasPrefix(string(got), tt.start) || !strings.HasSuffix(string(got), tt.end) {
			t.Errorf("%s: got %q, want %q … %q", tt.name, got, tt.start, tt.end)
		}
		if fate != tt.fate {
			t.Errorf("%s: fate %d, want %d", tt.name, fate, tt.fate)
		}
		if n := r.counted(tt.as) - before; n != 1 {
			t.Errorf("%s: counted %d times, want once", tt.name, n)
		}
		if keeps := strings.Contains(string(got), "\r\nConnection: keep-alive\r\n"); keeps != (fate == fateKeep) {
			t.Errorf("%s: the answer does not tell that the connection stays", tt.name)
		}
	}
}

// TestInterval checks that clients are told what opentracker tells them.
func TestInterval(t *testing.T) {
	r := newTestReactor()
	low, high := r.interval(), uint32(0)
	for range 10000 {
		low, high = min(low, r.interval()), max(high, r.interval())
	}
	if low != 1620 || high != 1979 {
		t.Errorf("intervals from %d to %d, want 1620 to 1979", low, high)
	}
}

// viaProxy returns req with headers added by a proxy.
func viaProxy(req, headers string) string {
	return strings.TrimSuffix(req, "\r\n") + headers + "\r\n"
}

// TestHistograms checks what is counted of an announce beside that it came.
func TestHistograms(t *testing.T) {
	r := newTestReactor()
	for i, rest := range []string{"&numwant=7", "&numwant=7", "&numwant=200", "&event=stopped", "&numwant=9"} {
		r.request(nil, []byte(announceLine('a', "&port=1&left=1"+rest)), client4)
		r.clock.minute.Store(uint32(10 * (i + 1)))
	}
	var s stats.Snapshot
	s.Add(r.stats)
	if s.NumWant[7] != 2 || s.NumWant[200] != 1 || s.NumWant[9] != 1 || s.NumWant[50] != 0 {
		t.Errorf("numwants %v", s.NumWant)
	}
	if s.Renew[10] != 2 { // the last one was stopped before
		t.Errorf("renewals %v", s.Renew)
	}
}

// TestBothFamilies checks that an HTTP answer has peers of both.
func TestBothFamilies(t *testing.T) {
	r := newTestReactor()
	r.request(nil, []byte(announceLine('a', "&port=1")), client4)
	r.request(nil, []byte(announceLine('a', "&port=2")), client6)
	got, _ := r.request(nil, []byte(announceLine('a', "&port=3")), client4)
	if s := string(got); !strings.Contains(s, "5:peers6:\xc0") || !strings.Contains(s, "6:peers618:\x20\x01\x0d\xb8") {
		t.Errorf("got %q", got)
	}
}

func TestDatagramAllocs(t *testing.T) {
	for _, src := range []netip.AddrPort{client4, client6} {
		r := newTestReactor()
		id := r.connID(src)
		for port := range uint16(250) {
			r.datagram(nil, udpAnnounceRequest(id, 'a', uint64(port%2), port+1), src)
		}
		for name, pkt := range map[string][]byte{
			"connect":  udpRequest(proto.ConnIDMagic, 0, 1),
			"announce": udpAnnounceRequest(id, 'a', 1, 6881),
			"scrape":   udpScrapeRequest(id, 'a', 'b'),
			"error":    udpAnnounceRequest(id+1, 'a', 1, 6881),
		} {
			dst := make([]byte, 0, 2048)
			n := testing.AllocsPerRun(1000, func() {
				if len(r.datagram(dst, pkt, src)) == 0 {
					panic("no answer")
				}
			})
			if n != 0 {
				t.Errorf("%v allocations per %s from %v, want 0", n, name, src.Addr())
			}
		}
	}
}

func TestRequestAllocs(t *testing.T) {
	for _, src := range []netip.AddrPort{client4, client6} {
		r := newTestReactor()
		r.allowed = func(ih *proto.Infohash) bool { return ih[0] != 'z' }
		all := []netip.Prefix{netip.PrefixFrom(src.Addr(), src.Addr().BitLen()), netip.MustParsePrefix("10.0.0.0/8")}
		r.trust = makeTrust(&Trust{Proxies: all, RealIP: true, Announcers: all})
		for port := range 250 {
			r.request(nil, []byte(announceLine('a', fmt.Sprintf("&port=%d&left=%d", port+1, port%2))), src)
		}
		for name, req := range map[string]string{
			"announce":      announceLine('a', "&port=6881&left=1&numwant=200"),
			"announce list": announceLine('a', "&port=6881&left=1&compact=0"),
			"scrape":        "GET /scrape?info_hash=bbbbbbbbbbbbbbbbbbbb&info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n\r\n",
			"refusal":       announceLine('a', "&port=0"),
			"error":         "POST / HTTP/1.1\r\n\r\n",
			"forwarded":     viaProxy(announceLine('a', "&port=6881&left=1"), "X-Forwarded-For: 192.0.2.1, 2001:db8::7, 10.0.0.2\r\n"),
			"real ip":       viaProxy(announceLine('a', "&port=6881&left=1"), "X-Real-IP: 192.0.2.1\r\n"),
			"announced ip":  announceLine('a', "&port=6881&left=1&ip=2001:db8::9"),
			"unlisted":      announceLine('z', "&port=6881"),
		} {
			dst, b := make([]byte, 0, 16384), []byte(req)
			n := testing.AllocsPerRun(1000, func() {
				if out, _ := r.request(dst, b, src); len(out) == 0 {
					panic("no answer")
				}
			})
			if n != 0 {
				t.Errorf("%v allocations per %s from %v, want 0", n, name, src.Addr())
			}
		}
	}
}

// BenchmarkHandler measures the line a request takes, without sockets.
func BenchmarkHandler(b *testing.B) {
	r := newTestReactor()
	id := r.connID(client4)
	for port := range uint16(250) {
		r.datagram(nil, udpAnnounceRequest(id, 'a', uint64(port%2), port+1), client4)
	}
	dst := make([]byte, 0, 16384)
	udp, http := udpAnnounceRequest(id, 'a', 1, 6881), []byte(announceLine('a', "&port=6881&left=1"))
	b.Run("wire=udp", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.datagram(dst, udp, client4)
		}
	})
	b.Run("wire=udp/budgets=on", func(b *testing.B) {
		b.ReportAllocs()
		r.guard = newGuard(Rates{Address: 100_000, Prefix: 100_000, Burst: 100, Bits4: 24, Bits6: 48})
		for b.Loop() {
			r.datagram(dst, udp, client4)
		}
		r.guard = nil
	})
	b.Run("wire=http", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.request(dst, http, client4)
		}
	})
}
