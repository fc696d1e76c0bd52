package proto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
)

// The PROXY protocol of haproxy: what a proxy says about its client, once,
// before the first byte of a connection. Lengths in bytes.
//
//	version 1, at most 107
//	PROXY TCP4 192.0.2.7 198.51.100.1 51413 6969\r\n
//	PROXY UNKNOWN anything\r\n
//
//	version 2
//	 0  signature             12
//	12  version 2, command     1  0x20 LOCAL: the proxy's own, 0x21 PROXY
//	13  family, transport      1  0x11 TCP over IPv4, 0x21 TCP over IPv6
//	14  length of the rest     2
//	16  source, destination    8 or 32
//	    their ports            4
//	    TLVs, passed over      …
const (
	proxyHead1  = "PROXY "
	proxyHead2  = "\r\n\r\n\x00\r\nQUIT\n"
	maxProxy1   = 107
	proxyFixed2 = 16
)

// MaxPROXY is the longest PROXY header that is taken, in bytes. Addresses need
// 52; the rest is for TLVs, of which the largest seen carry the name in a
// certificate.
const MaxPROXY = 4096

// ErrPROXY is the beginning of a connection that is no PROXY header, or one
// that is too long. There is nothing to answer.
var ErrPROXY = errors.New("proto: invalid PROXY header")

// ParsePROXY reads the PROXY header, of either version, at the start of b. Of
// its results,
//
//	n > 0             the header took n bytes
//	n == 0, err nil   it is not all here; call again with more
//	err set           this will never be one
//
// Src is where the proxy's client is. It is the zero value if the proxy speaks
// for itself or does not know.
func ParsePROXY(b []byte) (n int, src netip.AddrPort, err error) {
	switch {
	case begins(b, proxyHead1):
		return parseProxy1(b)
	case begins(b, proxyHead2):
		return parseProxy2(b)
	}
	return 0, src, ErrPROXY
}

// begins reports whether b starts with head, as far as b goes.
func begins(b []byte, head string) bool {
	n := min(len(b), len(head))
	return string(b[:n]) == head[:n]
}

// parseProxy1 is [ParsePROXY] for version 1.
func parseProxy1(b []byte) (n int, src netip.AddrPort, err error) {
	line := b[:min(len(b), maxProxy1)]
	lf := bytes.IndexByte(line, '\n')
	if lf < 0 && len(line) < maxProxy1 {
		return 0, src, nil
	}
	if lf < 0 || line[lf-1] != '\r' { // there are at least the six bytes of the head before it
		return 0, src, ErrPROXY
	}
	n, line = lf+1, line[len(proxyHead1):lf-1]
	family, rest := word(line)
	if string(family) == "UNKNOWN" {
		return n, src, nil
	}
	from, rest := word(rest)
	to, rest := word(rest)
	fromPort, toPort := word(rest)
	port, ok1 := parsePort(fromPort)
	_, ok2 := parsePort(toPort)
	a, ok3 := addrOf(family, from)
	_, ok4 := addrOf(family, to)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return 0, src, ErrPROXY
	}
	return n, netip.AddrPortFrom(a, port), nil
}

// word returns what is before the first blank of b, and what is behind it.
func word(b []byte) (first, rest []byte) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// addrOf reads an address of that family of version 1.
func addrOf(family, b []byte) (netip.Addr, bool) {
	is6 := string(family) == "TCP6"
	if !is6 && string(family) != "TCP4" || is6 != (bytes.IndexByte(b, ':') >= 0) {
		return netip.Addr{}, false
	}
	return ParseAddr(b)
}

// parseProxy2 is [ParsePROXY] for version 2.
func parseProxy2(b []byte) (n int, src netip.AddrPort, err error) {
	if len(b) < proxyFixed2 {
		return 0, src, nil
	}
	command, family := b[12], b[13]
	n = proxyFixed2 + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case command&^1 != 0x20 || n > MaxPROXY:
		return 0, src, ErrPROXY
	case len(b) < n:
		return 0, src, nil
	case command == 0x20: // LOCAL; whatever follows means nothing
		return n, src, nil
	}
	switch body := b[proxyFixed2:n]; {
	case family == 0x11 && len(body) >= 12:
		a := netip.AddrFrom4([4]byte(body))
		return n, netip.AddrPortFrom(a, binary.BigEndian.Uint16(body[8:])), nil
	case family == 0x21 && len(body) >= 36:
		a := netip.AddrFrom16([16]byte(body)).Unmap()
		return n, netip.AddrPortFrom(a, binary.BigEndian.Uint16(body[32:])), nil
	case family == 0x11 || family == 0x21 || family>>4 > 3 || family&0xf > 2:
		return 0, src, ErrPROXY
	}
	return n, src, nil // unspecified, a datagram's, or a Unix socket's
}
