package loop

import (
	"net/netip"
	"sync/atomic"

	"tracker/proto"
	"tracker/stats"
)

// A LAN is the network that the tracker is in, if that is behind a router which
// translates addresses (NAT). Peers in it are stored with the address that they
// have there. They are handed out
//
//	to whom         as
//	in the LAN      192.168.1.7:6881     what it is
//	anybody else    203.0.113.5:6881     the router's address outside, same port
//
// The translation is done when an answer is ready: the store knows nothing of
// it, so that a new address outside counts from the next answer on, and whoever
// takes over the store may have another idea of the LAN. That the router
// forwards the port is the client's business, who asks it to, by UPnP or PCP.
//
// Of IPv6 only private addresses (unique local ones) are translated, and only if
// there is an address to put in their place: all others reach from one end of
// the net to the other as they are. They may be named as part of the LAN all the
// same, so that who asks from there is shown what is in it.
//
// # Who is in the LAN
//
// Whoever asks from one of its networks, or from this machine, or from the
// router's address outside: a client of the LAN that asks there is turned back
// by the router, which puts its own address in the client's place (hairpin NAT).
// As that is how it is stored then, it is handed out with that address to
// everybody, which is all that can be known of it.
//
// # Two that look the same
//
// Several peers of the LAN can have one port, and seen from outside they are
// one, as they are to the router: it is handed out once.
//
// While there is no address outside, or one that the asker may not see because
// it is private itself, peers of the LAN are left out, and counted.
type LAN struct {
	networks networks
	first    [2][256]bool // of the first byte of a compact peer, by family: it may be in the LAN
	outside  atomic.Pointer[outside]
}

// An outside is what stands for peers of the LAN elsewhere.
type outside struct {
	addrs   [2]netip.Addr // by family; not valid: none
	wire    [2][]byte     // the same as in a compact peer, or nil
	private [2]bool       // it is a private address
}

// seen returns what stands for peers of the LAN where asker is, if there is
// something: a private address is only for those who have one as well.
func (o *outside) seen(f stats.Family, asker *proto.Peer) []byte {
	if o.private[f] && !asker.Private() {
		return nil
	}
	return o.wire[f]
}

// privateNetworks are the LAN if nobody says what is.
var privateNetworks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("fc00::/7"),
}

// ownNetworks are in every LAN.
var ownNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// NewLAN returns a LAN of these networks, or of all private ones if there are
// none, without an address outside.
func NewLAN(list []netip.Prefix) *LAN {
	if len(list) == 0 {
		list = privateNetworks
	}
	n := &LAN{networks: makeNetworks(append(ownNetworks[:len(ownNetworks):len(ownNetworks)], list...))}
	for _, p := range n.networks {
		a := p.Addr().AsSlice()
		low, high := int(a[0]), int(a[0])|0xff>>min(p.Bits(), 8)
		for b := low; b <= high; b++ {
			n.first[familyOf(p.Addr())][b] = true
		}
	}
	n.outside.Store(new(outside))
	return n
}

// SetOutside has peers of the LAN handed out to others with these addresses from
// now on, of which none may be IPv4-mapped; one that is not valid is none. It may
// be called while answers are given.
func (n *LAN) SetOutside(v4, v6 netip.Addr) {
	o := &outside{addrs: [2]netip.Addr{stats.V4: v4, stats.V6: v6}}
	for family, a := range o.addrs {
		if a.IsValid() {
			p := proto.MakePeer(a, 0)
			o.wire[family], o.private[family] = a.AsSlice(), p.Private()
		}
	}
	n.outside.Store(o)
}

// Holds reports whether the peer with compact form c is one that others are
// given another address for. It is what the store wants to know.
func (n *LAN) Holds(c []byte) bool {
	if len(c) == proto.Peer4Len {
		return n.first[stats.V4][c[0]] && n.networks.contains(netip.AddrFrom4([4]byte(c)))
	}
	return n.first[stats.V6][c[0]] && proto.PrivateCompact(c) && n.networks.contains(netip.AddrFrom16([16]byte(c)))
}

// inside reports whether asker is in the LAN.
func (n *LAN) inside(o *outside, asker netip.Addr) bool {
	return asker == o.addrs[familyOf(asker)] || n.networks.contains(asker)
}

// present replaces the addresses of peers of the LAN in what was found for the
// asker, unless he is in it himself.
func (r *reactor) present() {
	o, asker := r.lan.outside.Load(), r.query.Peer.Addr()
	if r.lan.inside(o, asker) {
		return
	}
	var left4, left6 int
	p := &r.query.Peer
	r.found.V4, left4 = r.lan.translate(r.found.V4, proto.Peer4Len, o.seen(stats.V4, p))
	r.found.V6, left6 = r.lan.translate(r.found.V6, proto.Peer6Len, o.seen(stats.V6, p))
	if left4+left6 > 0 {
		r.stats.Add(stats.LANHidden, familyOf(asker), uint64(left4+left6))
	}
}

// translate puts outside in the place of the addresses of the LAN among peers of
// one length. It returns those that the asker is given, in the same memory, and
// how many had to be left out for want of an address.
func (n *LAN) translate(peers []byte, width int, outside []byte) (given []byte, left int) {
	given = peers[:0]
	var ports [8]uint64 // their lowest 9 bits that occur at the address outside
	for ; len(peers) > 0; peers = peers[width:] {
		c := peers[:width]
		switch {
		case n.Holds(c):
			if outside == nil {
				left++
				continue
			}
			copy(c, outside)
		case outside == nil || string(c[:width-2]) != string(outside):
			given = append(given, c...)
			continue
		}
		port := uint(c[width-2])<<8 | uint(c[width-1])
		word, bit := &ports[port/64%8], uint64(1)<<(port%64)
		if *word&bit != 0 && among(given, c) {
			continue
		}
		*word |= bit
		given = append(given, c...)
	}
	return given, left
}

// among reports whether c is one of peers of its length.
func among(peers, c []byte) bool {
	for ; len(peers) > 0; peers = peers[len(c):] {
		if string(peers[:len(c)]) == string(c) {
			return true
		}
	}
	return false
}
