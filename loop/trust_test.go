package loop

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"tracker/proto"
)

// prefixes returns the networks in s.
func prefixes(s ...string) (all []netip.Prefix) {
	for _, p := range s {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func TestClient(t *testing.T) {
	proxies := prefixes("10.0.0.0/8", "2001:db8:1::/48", "192.0.2.1/32")
	const proxy, stranger = "10.0.0.1", "198.51.100.1"
	tests := []struct {
		src, headers string
		realIP       bool
		want         string
	}{
		{proxy, "", false, proxy},
		{proxy, "X-Forwarded-For: 203.0.113.7\r\n", false, "203.0.113.7"},
		{proxy, "X-Forwarded-For: 8.8.8.8, 203.0.113.7\r\n", false, "203.0.113.7"},
		{proxy, "X-Forwarded-For: 8.8.8.8, 203.0.113.7, 10.9.9.9\r\nX-Forwarded-For: 2001:db8:1::1\r\n", false, "203.0.113.7"},
		{proxy, "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", false, "10.0.0.3"}, // a client among the proxies
		{proxy, "X-Forwarded-For: ::ffff:203.0.113.7, ::ffff:10.0.0.2\r\n", false, "203.0.113.7"},
		{proxy, "X-Forwarded-For: 203.0.113.7, unknown\r\n", false, proxy},
		{proxy, "X-Forwarded-For: 203.0.113.7, unknown, 10.0.0.2\r\n", false, "10.0.0.2"},
		{"2001:db8:1::1", "X-Forwarded-For: 2001:db8::7\r\n", false, "2001:db8::7"},
		{stranger, "X-Forwarded-For: 203.0.113.7\r\n", false, stranger},
		{stranger, "X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\n", true, stranger},

		{proxy, "X-Real-IP: 203.0.113.7\r\n", false, proxy},
		{proxy, "X-Real-IP: 203.0.113.7\r\n", true, "203.0.113.7"},
		{proxy, "X-Real-IP: 203.0.113.7\r\nX-Forwarded-For: 8.8.8.8\r\n", true, "203.0.113.7"},
		{proxy, "X-Real-IP: 8.8.8.8\r\nX-Forwarded-For: 203.0.113.7\r\n", false, "203.0.113.7"},
		{proxy, "X-Real-IP: 192.0.2.1\r\nX-Forwarded-For: 8.8.8.8, 203.0.113.7, 192.0.2.1\r\n", true, "203.0.113.7"},
		{proxy, "X-Real-IP: unix:\r\nX-Forwarded-For: 8.8.8.8\r\n", true, proxy},
		{proxy, "X-Forwarded-For: 203.0.113.7\r\n", true, "203.0.113.7"},
	}
	for _, tt := range tests {
		trust := makeTrust(&Trust{Proxies: proxies, RealIP: tt.realIP})
		src := netip.MustParseAddr(tt.src)
		got, proxied := trust.client([]byte("GET / HTTP/1.1\r\n"+tt.headers+"\r\n"), src)
		if got.String() != tt.want || proxied != (tt.src != stranger) {
			t.Errorf("%s, %q, real IP %v: got %v, %v, want %s", tt.src, tt.headers, tt.realIP, got, proxied, tt.want)
		}
	}
}

// TestNetworks compares with looking at every network.
func TestNetworks(t *testing.T) {
	if n := makeNetworks(nil); n.contains(client4.Addr()) || n.contains(netip.Addr{}) {
		t.Errorf("no network contains an address")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	random := func(is4 bool) netip.Addr { // close to each other, so that networks nest and touch
		if is4 {
			return netip.AddrFrom4([4]byte{192, 0, byte(rnd.Uint32N(4)), byte(rnd.Uint32())})
		}
		a := netip.MustParseAddr("2001:db8::").As16()
		a[14], a[15] = byte(rnd.Uint32N(4)), byte(rnd.Uint32())
		return netip.AddrFrom16(a)
	}
	for range 300 {
		var list []netip.Prefix
		for range rnd.IntN(12) {
			a := random(rnd.IntN(2) == 0)
			list = append(list, netip.PrefixFrom(a, a.BitLen()-rnd.IntN(12)))
		}
		if rnd.IntN(50) == 0 {
			list = append(list, netip.MustParsePrefix("::/0"))
		}
		n := makeNetworks(list)
		for range 100 {
			a, want := random(rnd.IntN(2) == 0), false
			for _, p := range list {
				want = want || p.Contains(a)
			}
			if n.contains(a) != want {
				t.Fatalf("%v in %v: %v, want %v", a, list, !want, want)
			}
		}
	}
}

// peersOf announces over HTTP as somebody else and returns the answer, which
// holds the peer before.
func peersOf(r *reactor) string {
	got, _ := r.request(nil, []byte(announceLine('a', "&port=9&left=1")), netip.MustParseAddrPort("198.51.100.9:1"))
	return string(got)
}

func TestForwardedPeers(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"10.0.0.1:1", "5:peers6:\xcb\x00\x71\x07\x1a\xe1e"},     // 203.0.113.7
		{"198.51.100.1:1", "5:peers6:\xc6\x33\x64\x01\x1a\xe1e"}, // itself
	} {
		r := newTestReactor()
		r.trust = makeTrust(&Trust{Proxies: prefixes("10.0.0.0/8")})
		req := viaProxy(announceLine('a', "&port=6881&left=1"), "X-Forwarded-For: 203.0.113.7\r\n")
		if _, fate := r.request(nil, []byte(req), netip.MustParseAddrPort(tt.src)); fate == fateKeep != (tt.src == "10.0.0.1:1") {
			t.Errorf("%s: fate %d", tt.src, fate)
		}
		if got := peersOf(r); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.src, got, tt.want)
		}
	}
}

// TestProxyKeeps checks when the connection of a proxy stays open.
func TestProxyKeeps(t *testing.T) {
	r := newTestReactor()
	r.trust = makeTrust(&Trust{Proxies: prefixes("10.0.0.0/8")})
	for req, want := range map[string]fate{
		"GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n\r\n":                           fateKeep,
		"GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nConnection: close\r\n\r\n":      fateDone,
		"GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.0\r\n\r\n":                           fateDone,
		"GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.0\r\nConnection: keep-alive\r\n\r\n": fateKeep,
		"GET /announce?port=1 HTTP/1.1\r\n\r\n":                                                 fateKeep, // refused
		"GET /x HTTP/1.1\r\n\r\n":                                                               fateClose,
	} {
		got, fate := r.request(nil, []byte(req), netip.MustParseAddrPort("10.0.0.1:1"))
		if told := bytes.Contains(got, []byte("\r\nConnection: keep-alive\r\n")); fate != want || told != strings.Contains(req, "keep-alive") {
			t.Errorf("%q: fate %d, want %d, got %q", req, fate, want, got)
		}
	}
}

func TestAnnouncedPeers(t *testing.T) {
	const (
		itself4 = "5:peers6:\xc0\x00\x02\x07\x1a\xe1e"
		named4  = "5:peers6:\xcb\x00\x71\x07\x1a\xe1e" // 203.0.113.7
		named6  = "6:peers618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09\x1a\xe1e"
	)
	udp := func(r *reactor, src netip.AddrPort, ip string) string {
		pkt := udpAnnounceRequest(r.connID(src), 'a', 1, 6881)
		copy(pkt[84:], netip.MustParseAddr(ip).AsSlice())
		return string(r.datagram(nil, pkt, src))
	}
	http := func(r *reactor, src netip.AddrPort, ip string) string {
		got, _ := r.request(nil, []byte(announceLine('a', "&port=6881&left=1&ip="+ip)), src)
		return string(got)
	}
	tests := []struct {
		name     string
		announce func(r *reactor, src netip.AddrPort, ip string) string
		src      netip.AddrPort
		ip, want string
		trusted  string
	}{
		{"http", http, client4, "203.0.113.7", named4, "192.0.2.0/24"},
		{"http, other family", http, client4, "2001:db8::9", named6, "192.0.2.0/24"},
		{"http, not trusted", http, client4, "203.0.113.7", itself4, "198.51.100.0/24"},
		{"http, no address", http, client4, "x", "5:peers0:e", "192.0.2.0/24"},
		{"http, no address, not trusted", http, client4, "x", itself4, "198.51.100.0/24"},
		{"udp", udp, client4, "203.0.113.7", named4, "192.0.2.0/24"},
		{"udp, none", udp, client4, "0.0.0.0", itself4, "192.0.2.0/24"},
		{"udp, not trusted", udp, client4, "203.0.113.7", itself4, "198.51.100.0/24"},
		{"udp over IPv6", udp, client6, "203.0.113.7", "\x00\x07\x1a\xe1e", "2001:db8::/32"},
	}
	for _, tt := range tests {
		r := newTestReactor()
		r.trust = makeTrust(&Trust{Announcers: prefixes(tt.trusted)})
		answer := tt.announce(r, tt.src, tt.ip)
		if got := peersOf(r); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if bad := strings.HasPrefix(answer, proto.HTTP400); bad != (tt.name == "http, no address") {
			t.Errorf("%s: answered %q", tt.name, answer)
		}
	}
}

// TestAnnouncerBehindProxy checks that a proxy's own right to announce other
// addresses is not that of its clients.
func TestAnnouncerBehindProxy(t *testing.T) {
	r := newTestReactor()
	r.trust = makeTrust(&Trust{Proxies: prefixes("10.0.0.0/8"), Announcers: prefixes("10.0.0.0/8")})
	req := viaProxy(announceLine('a', "&port=6881&left=1&ip=8.8.8.8"), "X-Forwarded-For: 192.0.2.7\r\n")
	r.request(nil, []byte(req), netip.MustParseAddrPort("10.0.0.1:1"))
	if got, want := peersOf(r), "5:peers6:\xc0\x00\x02\x07\x1a\xe1e"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
