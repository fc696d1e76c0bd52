package loop

import (
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

// testRates allow 10 requests at once, 5 a second, and a prefix 20.
var testRates = Rates{Address: 5, Prefix: 10, Burst: 2, Bits4: 24, Bits6: 48}

// newGuardedReactor returns a reactor with budgets.
func newGuardedReactor(l Rates) *reactor {
	r := newTestReactor()
	r.guard = newGuard(l)
	r.trust = makeTrust(&Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	return r
}

// advance moves the clock.
func (r *reactor) advance(d time.Duration) { r.clock.millis.Add(d.Milliseconds()) }

// TestDatagramLadder sends one client's announces until there is no answer.
func TestDatagramLadder(t *testing.T) {
	for _, src := range []netip.AddrPort{client4, client6} {
		r := newGuardedReactor(testRates)
		pkt := udpAnnounceRequest(r.connID(src), 'a', 1, 6881)
		for i := range 100 {
			answer := r.datagram(nil, pkt, src)
			if i >= 20 {
				if len(answer) != 0 {
					t.Fatalf("announce %d is answered", i)
				}
				continue
			}
			low, high := uint32(1620), uint32(1979)
			if i >= 10 { // twice as much, but not so much that it is forgotten
				low, high = 2229, 2727
			}
			if got := binary.BigEndian.Uint32(answer[8:]); got < low || got > high {
				t.Errorf("announce %d: interval %d, want %d to %d", i, got, low, high)
			}
		}
		if slowed, silenced := r.counted(stats.RateSlowed), r.counted(stats.RateAddress); slowed != 10 || silenced != 80 {
			t.Errorf("counted %d slowed and %d silenced, want 10 and 80", slowed, silenced)
		}
		if n := r.counted(stats.UDPAnnounces); n != 20 {
			t.Errorf("%d announces are counted, want those answered", n)
		}
		if r.datagram(nil, udpScrapeRequest(r.connID(src), 'a'), src) != nil {
			t.Errorf("a scrape is answered")
		}
		if r.datagram(nil, udpRequest(proto.ConnIDMagic, 0, 7), src) == nil {
			t.Errorf("a connect is not answered, which might be anybody's")
		}
		r.advance(5 * time.Second) // twice the burst, and one
		if answer := r.datagram(nil, pkt, src); len(answer) == 0 {
			t.Errorf("not heard after 5 s")
		}
		r.advance(20 * time.Second)
		if answer := r.datagram(nil, pkt, src); binary.BigEndian.Uint32(answer[8:]) > 1979 {
			t.Errorf("still slowed after 25 s")
		}
	}
}

// TestForgedBudget checks that datagrams with an address that is not their
// sender's are charged to nobody, and cost an answer only those like them.
func TestForgedBudget(t *testing.T) {
	r := newGuardedReactor(testRates)
	id := r.connID(client4)
	answered := 0
	for range 1000 {
		if r.datagram(nil, udpAnnounceRequest(id+1, 'a', 1, 6881), client4) != nil {
			answered++
		}
		if r.datagram(nil, udpRequest(proto.ConnIDMagic, 0, 7), client4) == nil {
			t.Fatal("a connect is not answered")
		}
	}
	// The connects take half of the budget, and are answered all the same.
	if answered != 5 || r.counted(stats.RateUnproven) != 995 || r.counted(stats.UDPMissmatches) != 1000 {
		t.Errorf("%d bad ids answered, %d not, of %d", answered, r.counted(stats.RateUnproven), r.counted(stats.UDPMissmatches))
	}
	if r.datagram(nil, udpAnnounceRequest(id, 'a', 1, 6881), client4) == nil || r.counted(stats.RateSlowed) != 0 {
		t.Errorf("it is the victim's loss")
	}
}

// TestPrefixBudget floods from all of a /24, each address within its budget.
func TestPrefixBudget(t *testing.T) {
	r := newGuardedReactor(testRates)
	ask := func(src netip.AddrPort) bool {
		return r.datagram(nil, udpScrapeRequest(r.connID(src), 'a'), src) != nil
	}
	answered := 0
	for i := range 256 {
		if ask(netip.MustParseAddrPort(fmt.Sprintf("198.51.100.%d:1", i))) {
			answered++
		}
	}
	if answered != 40 || r.counted(stats.RatePrefix) != 216 || r.counted(stats.RateSlowed) != 20 {
		t.Errorf("%d answered, %d slowed, %d silenced", answered, r.counted(stats.RateSlowed), r.counted(stats.RatePrefix))
	}
	if !ask(netip.MustParseAddrPort("198.51.101.1:1")) {
		t.Errorf("the next /24 is silenced too")
	}
}

// TestRequestLadder does what TestDatagramLadder does over HTTP, and through a
// proxy.
func TestRequestLadder(t *testing.T) {
	announce := announceLine('a', "&port=6881&left=1")
	proxy := netip.MustParseAddrPort("10.0.0.1:80")
	t.Run("direct", func(t *testing.T) {
		r := newGuardedReactor(testRates)
		for i := range 100 {
			got, fate := r.request(nil, []byte(announce), client4)
			if answered := len(got) > 0; answered != (i < 20) || !answered && fate != fateClose {
				t.Fatalf("announce %d: %q, fate %d", i, got, fate)
			}
		}
		if n := r.counted(stats.RateAddress); n != 80 {
			t.Errorf("counted %d, want 80", n)
		}
	})
	t.Run("proxied", func(t *testing.T) {
		r := newGuardedReactor(testRates)
		for i := range 100 {
			got, fate := r.request(nil, []byte(viaProxy(announce, "X-Forwarded-For: 192.0.2.7\r\n")), proxy)
			refused := strings.Contains(string(got), string(proto.RefuseRate)) && strings.HasSuffix(string(got), "8:retry ini80ee")
			if refused != (i >= 20) || fate != fateKeep {
				t.Fatalf("announce %d: %q, fate %d", i, got, fate)
			}
		}
		if got, _ := r.request(nil, []byte(viaProxy(announce, "X-Forwarded-For: 203.0.113.7\r\n")), proxy); !strings.Contains(string(got), "8:interval") {
			t.Errorf("another client of the proxy gets %q", got)
		}
		for range 1000 {
			if got, _ := r.request(nil, []byte(announce), proxy); !strings.Contains(string(got), "8:interval") {
				t.Fatalf("the proxy itself gets %q", got)
			}
		}
	})
}

// TestConnectionBudget checks that to connect and say nothing is charged, that a
// connection is then closed at once, and that a proxy's never is.
func TestConnectionBudget(t *testing.T) {
	r := newGuardedReactor(testRates)
	tcp := newTCPReactor(r, &quota{limit: 1000}, new(Config))
	for i := range 100 {
		c := tcp.opened(nil, client4, new(Addr))
		if (c != nil) != (i < 20) {
			t.Fatalf("connection %d: %v", i, c)
		}
		if c != nil {
			tcp.closed(c)
		}
	}
	if n := r.counted(stats.RateClosed); n != 80 {
		t.Errorf("%d are closed at once, want 80", n)
	}
	if tcp.quota.used.Load() != 0 || tcp.open != 0 {
		t.Errorf("connections that were turned away are counted as open")
	}
	for range 1000 {
		c := tcp.opened(nil, netip.MustParseAddrPort("10.0.0.1:80"), new(Addr))
		if c == nil {
			t.Fatal("a trusted proxy is turned away")
		}
		tcp.closed(c)
	}
}

// TestPushedOutBudget checks what connections cost that go for others: nothing
// if they have asked, and otherwise a request, or those who never finish one
// would take each other's place for ever.
func TestPushedOutBudget(t *testing.T) {
	for say, want := range map[string]int{keep: 20, "GET": 21, "": 21} { // of 20 that may be asked for; the last has not been charged yet
		w := newTestCrowd(1, 1)
		tcp := w.reactors[0]
		tcp.guard = newGuard(testRates)
		n := 0
		for range 100 {
			c := tcp.opened(new(fakeLink), client4, new(Addr))
			if c == nil {
				break
			}
			n++
			w.say(0, c, say, 0)
		}
		if n != want {
			t.Errorf("%q: %d connections, want %d", say, n, want)
		}
	}
}

// TestLongestInterval checks that nobody is asked to stay away until he is
// forgotten, or for longer than is told to anybody.
func TestLongestInterval(t *testing.T) {
	for expire, want := range map[store.Minute]int{45: 45, 50: 50, 99: 80, 127: 80} {
		p := makePace(1800*time.Second, expire)
		longest := around(p.longest)
		if most := int(longest.base + longest.spread); most > 60*want || most < 50*want {
			t.Errorf("peers are remembered for %d minutes, and asked back in %d s", expire, most)
		}
	}
	p := makePace(4600*time.Second, 127)
	if p.longest != p.mean || p.base != 4140 || p.spread != 920 {
		t.Errorf("the longest configured: %+v", p)
	}
}

func TestGuardedAllocs(t *testing.T) {
	r := newGuardedReactor(testRates)
	r.trust = makeTrust(&Trust{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	id, dst := r.connID(client4), make([]byte, 0, 16384)
	udp, forged := udpAnnounceRequest(id, 'a', 1, 6881), udpAnnounceRequest(id+1, 'a', 1, 6881)
	http := []byte(announceLine('a', "&port=6881"))
	proxied := []byte(viaProxy(announceLine('a', "&port=6881"), "X-Forwarded-For: 192.0.2.7\r\n"))
	if n := testing.AllocsPerRun(1000, func() {
		r.datagram(dst, udp, client4)
		r.datagram(dst, forged, client4)
		r.request(dst, http, client4)
		r.request(dst, proxied, netip.MustParseAddrPort("10.0.0.1:80"))
		r.advance(50 * time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	if r.counted(stats.RateSlowed) == 0 || r.counted(stats.RateAddress) == 0 {
		t.Errorf("nobody was slowed and silenced meanwhile")
	}
}
