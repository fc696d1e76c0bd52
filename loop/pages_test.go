package loop

import (
	"net/netip"
	"strings"
	"testing"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// pageRequest asks for target with a header line.
func pageRequest(target string, header ...string) []byte {
	return []byte("GET " + target + " HTTP/1.1\r\n" + strings.Join(append(header, ""), "\r\n") + "\r\n")
}

func TestStatisticsAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "
	named := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	stranger, here := netip.MustParseAddr("198.51.100.1"), client4.Addr()
	tests := []struct {
		name    string
		readers []netip.Prefix
		client  netip.Addr
		target  string
		want    string // beginning of the answer
		fate    fate
		as      stats.Counter // or NumCounters
	}{
		{"open", nil, stranger, "/stats", ok + "46\r\n\r\n1\n0\nopentracker serving 1 torrents\nopentracker", fateDone, stats.NumCounters},
		{"named", named, here, "/stats?mode=peer", ok, fateDone, stats.NumCounters},
		{"not named", named, stranger, "/stats?mode=peer", proto.HTTP403, fateClose, stats.HTTPDenied},
		{"not named, asks nonsense", named, stranger, "/stats?mode=x", proto.HTTP403, fateClose, stats.HTTPDenied},
		{"not named, other family", named, client6.Addr(), "/stats", proto.HTTP403, fateClose, stats.HTTPDenied},
		{"nonsense", named, here, "/stats?mode=x", proto.HTTP400, fateClose, stats.HTTPInvalid},
		{"no format", named, here, "/stats?mode=tpbs", proto.HTTP400, fateClose, stats.HTTPInvalid},
		{"escaped", named, here, "//%73tats", ok, fateDone, stats.NumCounters},
		{"busy", named, here, "/stats?mode=busy", proto.HTTP500, fateClose, stats.HTTPSwitchedOff},
		{"fulllog", named, here, "/stats?mode=fulllog", "", fateClose, stats.NumCounters},
		{"list", named, here, "/stats?mode=tpbs&format=txt", "", fateLeft, stats.NumCounters},
		{"top", nil, stranger, "/stats?mode=top10", "", fateLeft, stats.NumCounters},
		{"networks", nil, stranger, "/stats?mode=s24s", "", fateLeft, stats.NumCounters},
		{"full scrape", named, here, "/scrape", "", fateLeft, stats.NumCounters},
		{"full scrape, not named", named, stranger, "/scrape", proto.HTTP403, fateClose, stats.HTTPDenied},
	}
	for _, tt := range tests {
		r := newTestReactor()
		r.request(nil, []byte(announceLine('a', "&port=1&left=1")), client4)
		r.readers = makeNetworks(tt.readers)
		got, fate := r.request(nil, pageRequest(tt.target), netip.AddrPortFrom(tt.client, 1))
		if !strings.HasPrefix(string(got), tt.want) || tt.want == "" && len(got) > 0 {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if fate != tt.fate {
			t.Errorf("%s: fate %d, want %d", tt.name, fate, tt.fate)
		}
		if tt.as < stats.NumCounters && r.counted(tt.as) != 1 {
			t.Errorf("%s: counted %d times, want once", tt.name, r.counted(tt.as))
		}
	}
}

// TestStatisticsBehindProxy judges the address the proxy speaks for.
func TestStatisticsBehindProxy(t *testing.T) {
	r := newTestReactor()
	proxy := netip.MustParseAddrPort("10.0.0.1:1")
	r.readers = makeNetworks([]netip.Prefix{netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("10.0.0.1/32")})
	forwarded := pageRequest("/stats", "X-Forwarded-For: 203.0.113.5")
	if got, _ := r.request(nil, forwarded, proxy); string(got[:12]) != "HTTP/1.1 200" {
		t.Errorf("a header of somebody who is no proxy is believed: %q", got)
	}
	r.trust = makeTrust(&Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if got, _ := r.request(nil, forwarded, proxy); string(got) != proto.HTTP403 {
		t.Errorf("a stranger behind a proxy that is named: %q", got)
	}
	if got, _ := r.request(nil, pageRequest("/stats", "X-Forwarded-For: 192.0.2.7"), proxy); string(got[:12]) != "HTTP/1.1 200" {
		t.Errorf("somebody named, behind a proxy: %q", got)
	}
}

// TestOrder looks at what is left to the desk.
func TestOrder(t *testing.T) {
	r := newTestReactor()
	tests := []struct {
		target, header string
		format         stats.Format
		scrape, gzip   bool
	}{
		{"/scrape", "Accept: */*", stats.FormatBen, true, false},
		{"/scrape", "accept-encoding: deflate, gzip", stats.FormatBen, true, true},
		{"/stats?mode=tpbs&format=ben", "Accept-Encoding: br", stats.FormatBen, false, false},
		{"/stats?mode=statedump", "User-Agent: gzip", stats.FormatState, false, false},
		{"/stats?mode=tpbs&format=txtp", "Accept-Encoding: gzip", stats.FormatTxtp, false, true},
	}
	for _, tt := range tests {
		if _, fate := r.request(nil, pageRequest(tt.target, tt.header), netip.MustParseAddrPort("127.0.0.1:1")); fate != fateLeft {
			t.Errorf("%s: fate %d", tt.target, fate)
		}
		if o := &r.order; o.page.Format != tt.format || o.scrape != tt.scrape || o.gzip != tt.gzip {
			t.Errorf("%s, %s: order %+v", tt.target, tt.header, r.order)
		}
	}
}

// TestFullScrapePause has an address ask again too soon.
func TestFullScrapePause(t *testing.T) {
	r := newTestReactor()
	full := pageRequest("/scrape")
	ask := func(from string) (granted bool) {
		t.Helper()
		got, fate := r.request(nil, full, netip.AddrPortFrom(netip.MustParseAddr(from), 1))
		if fate != fateLeft && string(got) != proto.HTTP402 {
			t.Errorf("%s: got %q", from, got)
		}
		return fate == fateLeft
	}
	for _, step := range []struct {
		from string
		want bool
	}{
		{"192.0.2.7", true},
		{"192.0.2.7", false},
		{"192.0.2.8", true},
		{"2001:db8:0:1::1", true},
		{"2001:db8:0:1::2", false}, // the same customer
		{"2001:db8:0:2::1", true},
		{"127.0.0.1", true},
		{"127.0.0.1", true},
		{"::1", true},
		{"::1", true},
	} {
		if got := ask(step.from); got != step.want {
			t.Errorf("%s: granted %v, want %v", step.from, got, step.want)
		}
	}
	if n := r.counted(stats.HTTPNotModest); n != 2 {
		t.Errorf("counted %d, want 2", n)
	}
	r.clock.millis.Add(scrapePause.Milliseconds())
	if !ask("192.0.2.7") {
		t.Error("refused after the pause")
	}
	r.readers = makeNetworks([]netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")})
	for range 2 {
		if !ask("192.0.2.7") {
			t.Error("refused to somebody who is named")
		}
	}
	for i := range 2 * maxScrapers { // the table is of one size
		r.desk.scrapes.take(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), 0)
	}
}

// TestBusyDesk turns down what would have to wait.
func TestBusyDesk(t *testing.T) {
	r := newTestReactor()
	one := netip.MustParsePrefix("192.0.2.7/32")
	for range maxAsked {
		if !r.desk.take(order{who: one}) {
			t.Error("there is no room for one client")
		}
	}
	if r.desk.take(order{who: one}) {
		t.Error("one client gets all the room")
	}
	for r.desk.take(order{}) {
	}
	for i, target := range []string{"/scrape", "/stats?mode=top10"} {
		got, fate := r.request(nil, pageRequest(target), client4)
		if string(got) != proto.HTTP500 || fate != fateClose || r.counted(stats.HTTPBusy) != uint64(i+1) {
			t.Errorf("%s: got %q, fate %d, counted %d", target, got, fate, r.counted(stats.HTTPBusy))
		}
	}
	if got, _ := r.request(nil, pageRequest("/stats"), client4); string(got[:12]) != "HTTP/1.1 200" {
		t.Errorf("a page of numbers waits too: %q", got)
	}
}

func TestPageAllocs(t *testing.T) {
	r := newTestReactor()
	dst := make([]byte, 0, 16<<10)
	for _, target := range []string{"/stats", "/stats?mode=everything", "/stats?mode=renew", "/stats?mode=numwants", "/stats?mode=x"} {
		req := pageRequest(target, "Connection: keep-alive")
		got, fate := r.request(dst, req, client4)
		if target != "/stats?mode=x" && (fate != fateKeep || !strings.Contains(string(got), "\r\nConnection: keep-alive\r\n")) {
			t.Errorf("%s: not kept: %q", target, got)
		}
		if n := testing.AllocsPerRun(100, func() { r.request(dst, req, client4) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", target, n)
		}
	}
}

// TestAnnouncesCounted looks at the histograms.
func TestAnnouncesCounted(t *testing.T) {
	r := newTestReactor()
	announce := func(rest string) { r.request(nil, []byte(announceLine('a', rest)), client4) }
	announce("&port=1")
	announce("&port=1&numwant=7")
	for range 5 {
		r.clock.minute.Add(1)
		for !r.store.SweepStep(store.Minute(r.clock.minute.Load())) {
		}
	}
	announce("&port=1&numwant=7")
	announce("&port=1&event=stopped")
	var s stats.Snapshot
	r.ledger.read(&s)
	if s.NumWant[50] != 1 || s.NumWant[7] != 2 {
		t.Errorf("numwant: 50 %d times, 7 %d times, want 1 and 2", s.NumWant[50], s.NumWant[7])
	}
	if s.Renew[0] != 1 || s.Renew[5] != 1 {
		t.Errorf("renewed at once %d times, after 5 minutes %d times, want 1 and 1", s.Renew[0], s.Renew[5])
	}
	var n stats.Networks
	n.Merge(r.woodpeckers)
	if got, want := string(stats.AppendWoodpeckers(nil, &n)), "Networks, limit /28:\n00000001: 192.0.2.0\n\n"; got != want {
		t.Errorf("woodpeckers: %q, want %q", got, want)
	}
	r.clock.millis.Store(7200_000)
	r.ledger.started = 3600_000
	if r.ledger.read(&s); s.UptimeSeconds != 3600 {
		t.Errorf("up %d s, want an hour", s.UptimeSeconds)
	}
}

func TestTakesGzip(t *testing.T) {
	for value, want := range map[string]bool{
		"gzip": true, "deflate, gzip;q=0.5, br": true, "x-gzip": true, "br, gzip;q=1.0": true,
		"": false, "br": false, "gzip;q=0": false, "gzip;q=0.000, br": false,
		"gzip; q=0": false, "gzip ;q=0.0 , br;q=1": false, "gzip; q=0.001, br": true,
	} {
		if got := takesGzip([]byte("GET /scrape HTTP/1.1\r\nAccept-Encoding: " + value + "\r\n\r\n")); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// TestSyncs checks that the page of announces learnt from other trackers counts
// them, and that one alone has learnt none.
func TestSyncs(t *testing.T) {
	r := newTestReactor()
	page := func() string {
		got, _ := r.request(nil, pageRequest("/stats?mode=syncs"), client4)
		_, body, _ := strings.Cut(string(got), "\r\n\r\n")
		return body
	}
	if got := page(); !strings.HasPrefix(got, "0\n0\n0 seconds") {
		t.Errorf("alone: %q", got)
	}
	r.ledger.cluster = func() stats.Cluster { return stats.Cluster{RecordsReceived: 41} }
	if got := page(); !strings.HasPrefix(got, "41\n0\n0 seconds") {
		t.Errorf("one of several: %q", got)
	}
}
