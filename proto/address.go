package proto

import (
	"bytes"
	"net/netip"
)

// ParseAddr reads an IPv4 or IPv6 address as [netip.ParseAddr] does, but from
// bytes, which saves an allocation, and without a zone, which means nothing to
// anybody else. An IPv4-mapped address is an IPv4 one.
func ParseAddr(b []byte) (netip.Addr, bool) {
	if bytes.IndexByte(b, ':') >= 0 {
		a, ok := parse6(b)
		if !ok {
			return netip.Addr{}, false
		}
		return netip.AddrFrom16(a).Unmap(), true
	}
	a, ok := parse4(b)
	if !ok {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4(a), true
}

// parse4 reads four numbers with a dot between them. None may have a leading
// zero, because some programs take that for octal.
func parse4(b []byte) (a [4]byte, ok bool) {
	field, digits, v := 0, 0, 0
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			v = v*10 + int(c-'0')
			if digits++; v > 255 || digits > 1 && v < 10 {
				return a, false
			}
		case c == '.' && digits > 0 && field < 3:
			a[field] = byte(v)
			field, digits, v = field+1, 0, 0
		default:
			return a, false
		}
	}
	a[3] = byte(v)
	return a, field == 3 && digits > 0
}

// parse6 reads eight groups of hexadecimal digits with a colon between them.
// Once, a run of zero groups may be left out, and the last two may be an IPv4
// address (RFC 4291, 2.2).
func parse6(b []byte) (a [16]byte, ok bool) {
	n, gap := 0, -1 // bytes of a that are set, and how many of them are before the "::"
	if bytes.HasPrefix(b, twoColons) {
		gap, b = 0, b[2:]
	}
	for len(b) > 0 {
		if n == len(a) {
			return a, false
		}
		v, digits := 0, 0
		for digits < len(b) && unhex[b[digits]] != notHex {
			v = v<<4 | int(unhex[b[digits]])
			if digits++; digits > 4 {
				return a, false
			}
		}
		if digits < len(b) && b[digits] == '.' {
			last, ok := parse4(b)
			if !ok || n > 12 {
				return a, false
			}
			n += copy(a[n:], last[:])
			break
		}
		if digits == 0 {
			return a, false
		}
		a[n], a[n+1] = byte(v>>8), byte(v)
		n, b = n+2, b[digits:]
		switch {
		case len(b) == 0:
		case bytes.HasPrefix(b, twoColons) && gap < 0:
			gap, b = n, b[2:]
		case b[0] == ':' && len(b) > 1:
			b = b[1:]
		default:
			return a, false
		}
	}
	if gap < 0 || n == len(a) {
		return a, gap < 0 && n == len(a)
	}
	end := len(a) - (n - gap)
	copy(a[end:], a[gap:n])
	clear(a[gap:end])
	return a, true
}

var twoColons = []byte("::")

// parsePort reads the decimal number of a port, without leading zeros.
func parsePort(b []byte) (port uint16, ok bool) {
	v := 0
	for i, c := range b {
		if c < '0' || c > '9' || i > 0 && v == 0 {
			return 0, false
		}
		if v = v*10 + int(c-'0'); v > 65535 {
			return 0, false
		}
	}
	return uint16(v), len(b) > 0
}
