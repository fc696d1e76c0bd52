package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// What is wrong with an address. The row of the key says what is allowed.
var (
	errAddress = errors.New("not an IP address (names are not looked up)")
	errZone    = errors.New("an address with an interface name is not supported")
)

// parseIP reads an IPv4 or IPv6 address, the latter with or without brackets.
// A mapped one (::ffff:192.0.2.1) is the IPv4 address it holds.
func parseIP(v string) (netip.Addr, error) {
	if inner, ok := strings.CutPrefix(v, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(inner, ":") {
			return netip.Addr{}, errAddress
		}
		v = inner
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		return netip.Addr{}, errAddress
	}
	if a.Zone() != "" {
		return netip.Addr{}, errZone
	}
	return a.Unmap(), nil
}

// parsePort reads a port. opentracker takes digits as long as they fit, so
// that 99999 is 9999 there; here it is a mistake.
func parsePort(v string) (uint16, error) {
	if v == "" {
		return 0, errors.New("the port is missing")
	}
	n, err := number(v, 0, 65535)
	if err != nil {
		return 0, fmt.Errorf("the port is %w", err)
	}
	return uint16(n), nil
}

// parseExternal reads an address, or the name of what has it.
func parseExternal(v string) (External, error) {
	a, err := parseIP(v)
	switch _, notNet := netip.ParsePrefix(v); {
	case err == nil && (a.IsUnspecified() || a.IsMulticast() || a.IsLoopback()):
		return External{}, errors.New("no peer can be reached at that address")
	case err == nil:
		return External{Addr: a}, nil
	case notNet == nil:
		return External{}, errors.New("a network, not an address")
	case strings.Contains(v, "/"):
		return External{File: v}, nil
	case errors.Is(err, errZone) || strings.ContainsAny(v, ": \t#") || strings.Trim(v, "0123456789.") == "":
		return External{}, errAddress
	case len(v) > MaxInterface:
		return External{}, fmt.Errorf("no interface has a name of more than %d bytes, and a path has a slash in it, like ./%s", MaxInterface, v)
	}
	return External{Interface: v}, nil
}

// parseListen reads an address with an optional port, otherwise that given:
//
//	192.0.2.1  192.0.2.1:80  2001:db8::1  [2001:db8::1]  [2001:db8::1]:80  2001:db8::1.80
//
// The last form is one that opentracker understands.
func parseListen(v string, otherwise uint16) (netip.AddrPort, error) {
	if a, err := parseIP(v); err == nil || errors.Is(err, errZone) {
		return netip.AddrPortFrom(a, otherwise), err
	}
	sep := strings.LastIndexByte(v, ':')
	if sep < 0 || strings.Contains(v[:sep], ":") && v[sep-1] != ']' {
		sep = strings.LastIndexByte(v, '.')
		if !strings.Contains(v, ":") {
			return netip.AddrPort{}, errAddress
		}
	}
	if sep < 0 {
		return netip.AddrPort{}, errAddress
	}
	if host := v[:sep]; host == "" || host == "*" {
		return netip.AddrPort{}, errors.New("the address is missing (0.0.0.0 is every IPv4 address, [::] every address)")
	}
	a, err := parseIP(v[:sep])
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := parsePort(v[sep+1:])
	return netip.AddrPortFrom(a, port), err
}

// parseNet reads an address with an optional number of bits and returns the
// networks it stands for. That is one, except for ::/0: opentracker keeps an
// IPv4 address as a mapped IPv6 one, so that there it means everyone.
func parseNet(v string) ([]netip.Prefix, error) {
	host, tail, found := strings.Cut(v, "/")
	a, err := netip.ParseAddr(host)
	if err != nil {
		return nil, errAddress
	}
	if a.Zone() != "" {
		return nil, errZone
	}
	bits := a.BitLen()
	if found {
		if bits, err = number(tail, 0, a.BitLen()); err != nil {
			return nil, fmt.Errorf("the number of bits is %w", err)
		}
	}
	if a.Is4In6() {
		if bits -= 96; bits < 0 {
			return nil, errors.New("it is larger than the IPv4 network it is in; write it like 10.0.0.0/8")
		}
		a = a.Unmap()
	}
	all := []netip.Prefix{netip.PrefixFrom(a, bits).Masked()}
	if a.Is6() && bits == 0 {
		all = append(all, netip.PrefixFrom(netip.IPv4Unspecified(), 0))
	}
	return all, nil
}
