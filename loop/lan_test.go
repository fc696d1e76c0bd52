package loop

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"tracker/stats"
	"tracker/store"
)

// useLAN has r serve a LAN of these networks, with these addresses outside.
func (r *reactor) useLAN(networks, outside string) {
	var list []netip.Prefix
	for _, p := range strings.Fields(networks) {
		list = append(list, netip.MustParsePrefix(p))
	}
	r.lan = NewLAN(list)
	r.lan.setOutside(outside)
	r.store = store.New(store.Options{Shards: 1, Local: r.lan.Holds})
}

func (n *LAN) setOutside(outside string) {
	var addrs [2]netip.Addr
	for _, a := range strings.Fields(outside) {
		a := netip.MustParseAddr(a)
		addrs[familyOf(a)] = a
	}
	n.SetOutside(addrs[stats.V4], addrs[stats.V6])
}

// given announces from src over HTTP, and returns the peers it is given as
// words, sorted.
func (r *reactor) given(src string, more string) string {
	from := netip.MustParseAddrPort(src)
	line := announceLine('a', fmt.Sprintf("&port=%d&left=1%s", from.Port(), more))
	r.request(nil, []byte(line), from)
	return r.lastGiven()
}

// givenUDP does the same over UDP.
func (r *reactor) givenUDP(src string) string {
	from := netip.MustParseAddrPort(src)
	r.datagram(nil, udpAnnounceRequest(r.connID(from), 'a', 1, from.Port()), from)
	return r.lastGiven()
}

func (r *reactor) lastGiven() string {
	var all []string
	for c := range slices.Chunk(r.found.V4, 6) {
		all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte(c)), uint16(c[4])<<8|uint16(c[5])).String())
	}
	for c := range slices.Chunk(r.found.V6, 18) {
		all = append(all, netip.AddrPortFrom(netip.AddrFrom16([16]byte(c)), uint16(c[16])<<8|uint16(c[17])).String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestLAN has peers announce from many places, and then looks at who is given
// whom.
func TestLAN(t *testing.T) {
	const wan, lan1, lan2 = "198.51.100.9:7000", "192.168.1.5:5001", "192.168.1.6:5002"
	tests := []struct {
		name              string
		networks, outside string
		peers             string // those that are there
		asker             string
		want              string
		hidden            uint64
	}{
		{"outside", "", "203.0.113.5", lan1 + " " + lan2, wan, "203.0.113.5:5001 203.0.113.5:5002", 0},
		{"inside", "", "203.0.113.5", lan1 + " " + wan, lan2, "192.168.1.5:5001 " + wan, 0},
		{"no address outside", "", "", lan1 + " 198.51.100.8:1", wan, "198.51.100.8:1", 1},
		{"no address outside, inside", "", "", lan1 + " " + wan, lan2, "192.168.1.5:5001 " + wan, 0},
		{"address outside of the other family", "", "2001:db8::5", lan1, wan, "", 1},
		{"two peers with one port", "", "203.0.113.5", lan1 + " 192.168.1.6:5001 192.168.1.6:6025", wan, "203.0.113.5:5001 203.0.113.5:6025", 0},
		{"stored inside and outside", "", "203.0.113.5", lan1 + " 203.0.113.5:5001", wan, "203.0.113.5:5001", 0},
		{"hairpin, asker has the address outside", "", "203.0.113.5", lan1, "203.0.113.5:5002", lan1, 0},
		{"hairpin, peer has the address outside", "", "203.0.113.5", "203.0.113.5:5002", lan1, "203.0.113.5:5002", 0},
		{"hairpin, peer has the router's address inside", "", "203.0.113.5", "192.168.1.1:5002", wan, "203.0.113.5:5002", 0},
		{"named network", "192.168.1.0/24", "203.0.113.5", lan1 + " 10.0.0.1:1", wan, "203.0.113.5:5001", 0},
		{"named networks", "192.168.1.0/24 10.0.0.0/8", "203.0.113.5", lan1 + " 10.0.0.1:1", wan, "203.0.113.5:1 203.0.113.5:5001", 0},
		{"private asker outside of the LAN", "192.168.1.0/24", "203.0.113.5", lan1 + " 10.0.0.1:1", "10.0.0.2:2", "10.0.0.1:1 203.0.113.5:5001", 0},
		{"a LAN within a private network", "192.168.1.0/24", "10.0.0.9", lan1, "10.0.0.2:2", "10.0.0.9:5001", 0},
		{"a LAN within a private network, public asker", "192.168.1.0/24", "10.0.0.9", lan1, wan, "", 1},
		{"a LAN of addresses that are not private", "100.64.0.0/10", "203.0.113.5", "100.64.0.1:1", wan, "203.0.113.5:1", 0},
		{"the same without address outside", "100.64.0.0/10", "", "100.64.0.1:1", wan, "", 1},
		{"this machine", "192.168.1.0/24", "203.0.113.5", "127.0.0.1:1", wan, "203.0.113.5:1", 0},
		{"from this machine", "192.168.1.0/24", "203.0.113.5", lan1, "127.0.0.1:1", lan1, 0},
		{"IPv6 is not translated", "192.168.1.0/24 2001:db8:1::/48", "203.0.113.5 2001:db8::5", "[2001:db8:1::7]:1", "[2001:db8:2::1]:1", "[2001:db8:1::7]:1", 0},
		{"unique local IPv6", "", "2001:db8::5", "[fd00::7]:1", "[2001:db8:2::1]:1", "[2001:db8::5]:1", 0},
		{"unique local IPv6, no address outside", "", "203.0.113.5", "[fd00::7]:1", "[2001:db8:2::1]:1", "", 1},
		{"from the LAN over IPv6", "192.168.1.0/24 2001:db8:1::/48", "203.0.113.5", lan1, "[2001:db8:1::7]:1", lan1, 0},
		{"from outside over IPv6", "192.168.1.0/24 2001:db8:1::/48", "203.0.113.5", lan1, "[2001:db8:2::7]:1", "203.0.113.5:5001", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newTestReactor()
			r.useLAN(tt.networks, tt.outside)
			for _, p := range strings.Fields(tt.peers) {
				r.given(p, "")
			}
			before := r.counted(stats.LANHidden)
			if got := r.given(tt.asker, ""); got != tt.want {
				t.Errorf("%s is given %q, want %q", tt.asker, got, tt.want)
			}
			if n := r.counted(stats.LANHidden) - before; n != tt.hidden {
				t.Errorf("%d counted as hidden, want %d", n, tt.hidden)
			}
		})
	}
}

// TestLANAnnouncers has clients announce for others: whom they name decides who
// is given back, and one at the router's address, who may be in the LAN, is never
// given himself.
func TestLANAnnouncers(t *testing.T) {
	r := newTestReactor()
	r.useLAN("192.168.1.0/24", "203.0.113.5")
	r.given("192.168.1.5:5001", "")
	r.trust = makeTrust(&Trust{Announcers: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	r.lan.setOutside("203.0.113.6")
	if got := r.given("198.51.100.1:5001", "&ip=203.0.113.5"); got != "203.0.113.6:5001" {
		t.Errorf("after the address has changed it is given %q", got)
	}
	r.lan.setOutside("203.0.113.5")
	if got := r.given("198.51.100.1:5001", "&ip=203.0.113.5"); got != "192.168.1.5:5001" {
		t.Errorf("at the router's address it is given %q", got) // and not 203.0.113.5
	}
	if got := r.given("198.51.100.1:5002", "&ip=192.168.1.7"); got != "192.168.1.5:5001 203.0.113.5:5001" {
		t.Errorf("announced as one of the LAN it is given %q", got)
	}
	if got := r.given("192.0.2.1:1", ""); got != "203.0.113.5:5001 203.0.113.5:5002" {
		t.Errorf("outside, with the same peer twice, it is given %q", got)
	}
}

// TestLANChanges has the address outside come, change and go, over UDP.
func TestLANChanges(t *testing.T) {
	r := newTestReactor()
	r.useLAN("", "")
	r.givenUDP("192.168.1.5:5001")
	for _, tt := range []struct{ outside, want string }{
		{"", ""},
		{"203.0.113.5", "203.0.113.5:5001"},
		{"203.0.113.77 2001:db8::1", "203.0.113.77:5001"},
		{"", ""},
	} {
		r.lan.setOutside(tt.outside)
		if got := r.givenUDP("198.51.100.9:7000"); got != tt.want {
			t.Errorf("with %q outside it is given %q, want %q", tt.outside, got, tt.want)
		}
	}
	if n := r.counted(stats.LANHidden); n != 2 {
		t.Errorf("%d counted as hidden, want 2", n)
	}
}

// TestLANCounts shows that counts, scrapes and full scrapes do not depend on who
// asks.
func TestLANCounts(t *testing.T) {
	r := newTestReactor()
	r.useLAN("", "")
	r.given("192.168.1.5:5001", "")
	r.given("198.51.100.9:7000", "")
	if n := r.found.Counts.Incomplete; n != 2 {
		t.Errorf("%d leechers, want 2", n)
	}
	scrape := func(src string) []byte {
		answer, _ := r.request(nil, []byte("GET /scrape?info_hash="+strings.Repeat("a", 20)+" HTTP/1.0\r\n\r\n"), netip.MustParseAddrPort(src))
		return answer
	}
	if inside, outside := scrape("192.168.1.5:1"), scrape("198.51.100.9:1"); !bytes.Equal(inside, outside) {
		t.Errorf("inside a scrape says %q, outside %q", inside, outside)
	}
}

// TestLANNoAllocs shows that translating allocates nothing.
func TestLANNoAllocs(t *testing.T) {
	r := newTestReactor()
	r.useLAN("", "203.0.113.5 2001:db8::5")
	for i := range 60 {
		r.given(fmt.Sprintf("192.168.1.%d:%d", i+1, 5000+i), "")
		r.given(fmt.Sprintf("[fd00::%d]:%d", i+1, 5000+i), "")
		r.given(fmt.Sprintf("198.51.100.%d:%d", i+1, 5000+i), "")
	}
	dst := make([]byte, 0, 1<<16)
	for _, src := range []netip.AddrPort{client4, client6, netip.MustParseAddrPort("192.168.1.5:1")} {
		line := []byte(announceLine('a', "&port=1&left=1&numwant=200"))
		pkt := udpAnnounceRequest(r.connID(src), 'a', 1, 1)
		if n := testing.AllocsPerRun(200, func() { r.request(dst, line, src); r.datagram(dst, pkt, src) }); n != 0 {
			t.Errorf("%v: %v allocations, want 0", src, n)
		}
	}
}
