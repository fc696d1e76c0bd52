package proto

import (
	"bytes"
	"net/netip"
)

// Hops are the addresses that reverse proxies wrote into the X-Forwarded-For
// headers of a request. Each proxy adds at the right end where it was
// connected from, so the rightmost address is the word of the proxy we talk
// to, and everything further left the word of whoever came before:
//
//	X-Forwarded-For: anything at all, 192.0.2.7
//	X-Forwarded-For: 10.0.0.1
//	                 |            |       |
//	                 second       third   what the client made up
//	                 ^ here it starts
//
// Several headers are one list, in their order (RFC 9110, 5.3). How far to
// read is for the caller to decide; [Hops.Next] reads to the left.
type Hops struct {
	head []byte // headers not looked at yet; the request line is not among them
	list []byte // of the header found last, what was not read yet
}

// ForwardedFor returns the hops of req, a whole request, which they borrow.
func ForwardedFor(req []byte) Hops { return Hops{head: headers(req)} }

// Next returns the next address to the left. It is not ok when there are no
// more, or when something else stands there, and then reading must end: what
// is left of it cannot be told from a lie.
func (h *Hops) Next() (a netip.Addr, ok bool) {
	for {
		entry := h.list
		if comma := bytes.LastIndexByte(h.list, ','); comma >= 0 {
			entry, h.list = h.list[comma+1:], h.list[:comma]
		} else {
			h.list = nil
		}
		if entry = bytes.TrimSpace(entry); len(entry) > 0 { // empty ones mean nothing (RFC 9110, 5.6.1)
			return parseHop(entry)
		}
		if len(h.list) > 0 {
			continue
		}
		if h.list, h.head, ok = lastHeader(h.head, "X-Forwarded-For"); !ok {
			return netip.Addr{}, false
		}
	}
}

// RealIP returns the address in the last X-Real-IP header of req. Without the
// header, there is none; one that holds anything else is not ok either.
func RealIP(req []byte) (a netip.Addr, present, ok bool) {
	value, _, present := lastHeader(headers(req), "X-Real-IP")
	if !present {
		return netip.Addr{}, false, false
	}
	a, ok = parseHop(value)
	return a, true, ok
}

// parseHop reads an address as proxies write it: alone, with a port, or in
// brackets with or without one.
func parseHop(b []byte) (netip.Addr, bool) {
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || bytes.IndexByte(b[:end], ':') < 0 || !emptyOrPort(b[end+1:]) {
			return netip.Addr{}, false
		}
		return ParseAddr(b[1:end])
	}
	if colon := bytes.IndexByte(b, ':'); colon >= 0 && bytes.LastIndexByte(b, ':') == colon {
		if !emptyOrPort(b[colon:]) {
			return netip.Addr{}, false
		}
		b = b[:colon]
	}
	return ParseAddr(b)
}

// emptyOrPort reports whether b is nothing, or a colon and a port.
func emptyOrPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	_, ok := parsePort(b[1:])
	return ok && b[0] == ':'
}
