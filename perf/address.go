package perf

import "net/netip"

// Sources4 returns n addresses from 127.1.0.1 on.
func Sources4(n int) []netip.Addr { return count(netip.MustParseAddr("127.1.0.1"), n) }

// Sources6 returns n addresses from fd00::1 on, or ::1 if n is 1. The former
// are there only where a command made itself a network namespace with them.
func Sources6(n int) []netip.Addr {
	if n == 1 {
		return []netip.Addr{netip.IPv6Loopback()}
	}
	return count(netip.MustParseAddr("fd00::1"), n)
}

// count returns n addresses from a on.
func count(a netip.Addr, n int) []netip.Addr {
	s := make([]netip.Addr, n)
	for i := range s {
		s[i], a = a, a.Next()
	}
	return s
}
