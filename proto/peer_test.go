package proto

import (
	"bytes"
	"net/netip"
	"testing"
)

func TestPeer(t *testing.T) {
	tests := []struct {
		addr    string
		compact string // without the port
		want    string // address of the peer
		private bool
	}{
		{"192.0.2.1", "\xc0\x00\x02\x01", "192.0.2.1", false},
		{"::ffff:192.0.2.1", "\xc0\x00\x02\x01", "192.0.2.1", false},
		{"10.0.0.1", "\x0a\x00\x00\x01", "10.0.0.1", true},
		{"127.9.9.9", "\x7f\x09\x09\x09", "127.9.9.9", true},
		{"172.15.0.1", "\xac\x0f\x00\x01", "172.15.0.1", false},
		{"172.16.0.1", "\xac\x10\x00\x01", "172.16.0.1", true},
		{"172.31.0.1", "\xac\x1f\x00\x01", "172.31.0.1", true},
		{"172.32.0.1", "\xac\x20\x00\x01", "172.32.0.1", false},
		{"192.168.0.1", "\xc0\xa8\x00\x01", "192.168.0.1", true},
		{"192.169.0.1", "\xc0\xa9\x00\x01", "192.169.0.1", false},
		{"169.254.0.1", "\xa9\xfe\x00\x01", "169.254.0.1", true},
		{"169.253.0.1", "\xa9\xfd\x00\x01", "169.253.0.1", false},
		{"::1", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "::1", true},
		{"::2", "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02", "::2", false},
		{"fe80::1%eth0", "\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "fe80::1", true},
		{"fec0::1", "\xfe\xc0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "fec0::1", false},
		{"fd00::1", "\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "fd00::1", true},
		{"2001:db8::1", "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "2001:db8::1", false},
	}
	for _, test := range tests {
		t.Run(test.addr, func(t *testing.T) {
			p := MakePeer(netip.MustParseAddr(test.addr), 0x1ae1)
			if want := test.compact + "\x1a\xe1"; string(p.Compact()) != want {
				t.Errorf("Compact() = %x, want %x", p.Compact(), want)
			}
			if p.Addr() != netip.MustParseAddr(test.want) || p.Port() != 0x1ae1 {
				t.Errorf("peer is %v, port %d, want %v, port 6881", p.Addr(), p.Port(), test.want)
			}
			if p.Is4() == p.Is6() || p.Is4() != (len(test.compact) == 4) {
				t.Errorf("Is4() = %v, Is6() = %v", p.Is4(), p.Is6())
			}
			if p.Private() != test.private {
				t.Errorf("Private() = %v, want %v", p.Private(), test.private)
			}
		})
	}
}

func TestNoPeer(t *testing.T) {
	p := MakePeer(netip.Addr{}, 6881)
	if p != (Peer{}) || p.Is4() || p.Is6() || p.Private() || len(p.Compact()) != 0 || p.Port() != 0 || p.Addr().IsValid() {
		t.Errorf("the peer at no address is %v, want none", p)
	}
}

func TestScrapeSort(t *testing.T) {
	ih := func(first, last byte) Infohash { return Infohash{0: first, 19: last} }
	s := Scrape{N: 6}
	copy(s.Infohashes[:], []Infohash{ih(9, 1), ih(0, 2), ih(9, 0), ih(0xff, 0), ih(0, 2), ih(9, 1), ih(0, 0)})
	s.Sort()
	want := []Infohash{ih(0, 2), ih(9, 0), ih(9, 1), ih(0xff, 0)}
	if s.N != len(want) {
		t.Fatalf("N = %d, want %d", s.N, len(want))
	}
	for i, ih := range want {
		if !bytes.Equal(s.Infohashes[i][:], ih[:]) {
			t.Errorf("infohash %d is %x, want %x", i, s.Infohashes[i], ih)
		}
	}
	s = Scrape{}
	if s.Sort(); s.N != 0 {
		t.Errorf("nothing sorted has N = %d", s.N)
	}
}
