package loop

import (
	"net/netip"
	"slices"

	"tracker/proto"
)

// Trust says who may speak about addresses other than its own. Nobody else is
// believed: whoever names another's address points every client of a torrent
// at that one.
type Trust struct {
	// Proxies are reverse proxies. Their X-Forwarded-For header and, where it
	// is expected, their PROXY header tell where the client is.
	Proxies []netip.Prefix
	// RealIP has their X-Real-IP header believed before X-Forwarded-For. It
	// has to be one that the proxy sets on every request.
	RealIP bool
	// Announcers are clients that may announce another address than their own,
	// with the parameter ip over HTTP and the field over UDP.
	Announcers []netip.Prefix
}

// trust is [Trust] in a form that is quick to ask.
type trust struct {
	proxies, announcers networks
	realIP              bool
}

func makeTrust(t *Trust) trust {
	return trust{makeNetworks(t.Proxies), makeNetworks(t.Announcers), t.RealIP}
}

// client returns the address of the client that req comes from, over a
// connection from src, and whether that is a trusted proxy.
//
// The proxy says from where it was connected to; if that is a trusted proxy
// too, so does that one, and so on. Whoever is not trusted is the client:
//
//	src 10.0.0.1    X-Forwarded-For: 8.8.8.8, 192.0.2.7, 10.0.0.2
//	 trusted                          |        |          |
//	                                  a lie?   client     trusted
//
// Where something else than an address stands, the proxy before it is the
// client, because a peer at the proxy's address harms nobody.
func (t *trust) client(req []byte, src netip.Addr) (client netip.Addr, proxied bool) {
	if !t.proxies.contains(src) {
		return src, false
	}
	client = src
	if t.realIP {
		switch a, present, ok := proto.RealIP(req); {
		case ok:
			client = a
		case present:
			return src, true
		}
	}
	for hops := proto.ForwardedFor(req); t.proxies.contains(client); {
		a, ok := hops.Next()
		if !ok {
			break
		}
		client = a
	}
	return client, true
}

// networks are networks in ascending order, none within another, so that the
// only one that can hold an address is the last that does not begin after it.
type networks []netip.Prefix

// makeNetworks returns those of list.
func makeNetworks(list []netip.Prefix) networks {
	sorted := slices.Clone(list)
	for i, p := range sorted {
		sorted[i] = p.Masked()
	}
	slices.SortFunc(sorted, netip.Prefix.Compare)
	var n networks
	for _, p := range sorted {
		if len(n) == 0 || !n[len(n)-1].Contains(p.Addr()) {
			n = append(n, p)
		}
	}
	return n
}

// contains reports whether a, which must not be IPv4-mapped, is in one of n.
func (n networks) contains(a netip.Addr) bool {
	low, high := 0, len(n) // the first that begins after a is at low or after it, and not after high
	for low < high {
		if middle := (low + high) / 2; n[middle].Addr().Compare(a) > 0 {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low > 0 && n[low-1].Contains(a)
}
