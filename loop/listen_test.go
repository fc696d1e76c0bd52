package loop

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func addr(s string) Addr {
	network, ap, _ := strings.Cut(s, " ")
	a := Addr{Network: network, AddrPort: netip.MustParseAddrPort(ap), Proxy: network == "proxy", Metrics: network == "metrics"}
	if a.Proxy || a.Metrics {
		a.Network = "tcp"
	}
	return a
}

func TestPlan(t *testing.T) {
	tests := []struct {
		has         support
		named, want string
	}{
		{supportMixed, "tcp [::]:6969", "tcp [::]:6969 (IPv4 and IPv6)"},
		{supportMixed, "tcp 0.0.0.0:6969", "tcp 0.0.0.0:6969 (IPv4)"},
		{supportMixed, "tcp [::]:6969,tcp 0.0.0.0:6969", "tcp [::]:6969 (IPv6),tcp 0.0.0.0:6969 (IPv4)"},
		{supportMixed, "tcp 0.0.0.0:6969,udp [::]:6969", "tcp 0.0.0.0:6969 (IPv4),udp [::]:6969 (IPv4 and IPv6)"},
		{supportMixed, "tcp 0.0.0.0:80,tcp [::]:6969", "tcp 0.0.0.0:80 (IPv4),tcp [::]:6969 (IPv4 and IPv6)"},
		{supportMixed, "udp 127.0.0.1:1,udp 127.0.0.1:1,tcp 127.0.0.1:1", "udp 127.0.0.1:1,tcp 127.0.0.1:1"},
		{supportMixed, "udp [::ffff:127.0.0.1]:1,udp 127.0.0.1:1", "udp 127.0.0.1:1"},
		{supportMixed, "udp [::1]:1,udp [0::1]:1", "udp [::1]:1"},
		{supportMixed, "udp [::1]:0,udp [::1]:0", "udp [::1]:0,udp [::1]:0"},
		{supportApart, "tcp [::]:6969", "tcp [::]:6969 (IPv6),tcp 0.0.0.0:6969 (IPv4)"},
		{supportApart, "tcp [::]:6969,tcp 0.0.0.0:6969", "tcp [::]:6969 (IPv6),tcp 0.0.0.0:6969 (IPv4)"},
		{supportNone, "tcp [::]:6969,udp [::]:6969", "tcp 0.0.0.0:6969 (IPv4),udp 0.0.0.0:6969 (IPv4)"},
		{supportNone, "tcp [::]:6969,tcp 0.0.0.0:6969", "tcp 0.0.0.0:6969 (IPv4)"},
		{supportNone, "tcp [::1]:6969", "tcp [::1]:6969"}, // will fail, and say so
		{supportMixed, "proxy 127.0.0.1:1,proxy [::]:2", "tcp 127.0.0.1:1 for proxies,tcp [::]:2 (IPv4 and IPv6) for proxies"},
		{supportMixed, "proxy [::]:1,tcp 0.0.0.0:1", "tcp [::]:1 (IPv6) for proxies,tcp 0.0.0.0:1 (IPv4)"},
		{supportApart, "proxy [::]:1,tcp 0.0.0.0:1", "tcp [::]:1 (IPv6) for proxies,tcp 0.0.0.0:1 (IPv4)"},
		{supportMixed, "tcp [::]:1,metrics [::]:2", "tcp [::]:1 (IPv4 and IPv6),tcp [::]:2 (IPv4 and IPv6) for metrics"},
		{supportApart, "proxy [::]:1", "tcp [::]:1 (IPv6) for proxies,tcp 0.0.0.0:1 (IPv4) for proxies"},
	}
	for _, tt := range tests {
		var named []Addr
		for s := range strings.SplitSeq(tt.named, ",") {
			named = append(named, addr(s))
		}
		var got []string
		for _, b := range plan(named, tt.has) {
			got = append(got, b.String())
		}
		if s := strings.Join(got, ","); s != tt.want {
			t.Errorf("%s: got %s, want %s", tt.named, s, tt.want)
		}
	}
}

// openTest opens addrs with n sockets each, until the end of the test.
func openTest(t *testing.T, addrs []Addr, n int) []*listener {
	t.Helper()
	all, err := openAll(plan(addrs, supported()), census{n, n}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeAll(all) })
	return all
}

// TestInUse checks that an address somebody has is refused, even if they share
// it as we do ourselves, and that nothing stays open then.
func TestInUse(t *testing.T) {
	taken := openTest(t, []Addr{addr("tcp 127.0.0.1:0"), addr("udp 127.0.0.1:0"), addr("tcp [::]:0"), addr("udp [::]:0")}, 2)
	for _, l := range taken {
		before := openFiles()
		free := addr(l.addr.Network + " 127.0.0.1:0")
		_, err := openAll(plan([]Addr{free, l.addr}, supported()), census{2, 2}, nil)
		var le *ListenError
		if !errors.As(err, &le) || !errors.Is(err, unix.EADDRINUSE) {
			t.Fatalf("%v: got error %v", l, err)
		}
		if want := "listen " + l.addr.String() + ": address already in use"; err.Error() != want {
			t.Errorf("got error %q, want %q", err, want)
		}
		if n := openFiles(); n != before {
			t.Errorf("%v: %d descriptors open, %d before", l, n, before)
		}
	}
	// [::] with IPv4 in it clashes with an IPv4 address.
	mixed := Addr{Network: "tcp", AddrPort: netip.AddrPortFrom(netip.IPv6Unspecified(), taken[0].addr.AddrPort.Port())}
	if _, err := openAll(plan([]Addr{mixed}, supported()), census{1, 1}, nil); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("%v: got error %v", mixed, err)
	}
}

// TestBothWildcards checks that [::] and 0.0.0.0 can be had with one port.
func TestBothWildcards(t *testing.T) {
	port := openTest(t, []Addr{addr("tcp 0.0.0.0:0")}, 1)[0]
	number := port.addr.AddrPort.Port()
	port.close()
	openTest(t, []Addr{
		{Network: "tcp", AddrPort: netip.AddrPortFrom(netip.IPv4Unspecified(), number)},
		{Network: "tcp", AddrPort: netip.AddrPortFrom(netip.IPv6Unspecified(), number)},
		{Network: "tcp", AddrPort: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), number)},
	}, 2)
}

func TestPortZero(t *testing.T) {
	for _, l := range openTest(t, []Addr{addr("tcp 127.0.0.1:0"), addr("udp [::1]:0")}, 3) {
		if l.addr.AddrPort.Port() == 0 {
			t.Errorf("%v: no port", l)
		}
		for _, fd := range l.fds {
			if at, err := localAddr(fd); err != nil || at != l.addr.AddrPort {
				t.Errorf("%v: a socket is bound to %v, %v", l, at, err)
			}
		}
	}
}

// TestNoSuchAddress checks the error for an address this machine has not.
func TestNoSuchAddress(t *testing.T) {
	_, err := openAll(plan([]Addr{addr("udp 192.0.2.1:6969")}, supported()), census{1, 1}, nil)
	if err == nil || err.Error() != "listen udp 192.0.2.1:6969: cannot assign requested address" {
		t.Errorf("got error %v", err)
	}
	if _, err := openAll(plan([]Addr{addr("udp [fe80::1%nosuchif]:6969")}, supported()), census{1, 1}, nil); err == nil {
		t.Errorf("an unknown zone is taken")
	}
}
