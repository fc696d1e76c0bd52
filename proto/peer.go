package proto

import (
	"encoding/binary"
	"net/netip"
)

// Lengths of a compact peer, in bytes.
const (
	Peer4Len = 6  // BEP 23: address 4, port 2
	Peer6Len = 18 // BEP 7: address 16, port 2
)

// Peer is the address and port of one client in one swarm, in compact form:
// 6 bytes (BEP 23) for IPv4, 18 bytes (BEP 7) for IPv6.
type Peer struct {
	b  [Peer6Len]byte
	is uint8 // length of the compact form: 6, 18, or 0 for no peer
}

// MakePeer returns the peer at addr and port. An IPv4-mapped IPv6 address is
// an IPv4 one. A zone is dropped. The zero Addr gives the zero Peer.
func MakePeer(addr netip.Addr, port uint16) Peer {
	var p Peer
	switch addr = addr.Unmap(); {
	case addr.Is4():
		a := addr.As4()
		copy(p.b[:], a[:])
		binary.BigEndian.PutUint16(p.b[4:], port)
		p.is = Peer4Len
	case addr.Is6():
		a := addr.As16()
		copy(p.b[:], a[:])
		binary.BigEndian.PutUint16(p.b[16:], port)
		p.is = Peer6Len
	}
	return p
}

// CompactPeer returns the peer whose compact form is c, of 6 or 18 bytes. Of
// anything else it is the zero Peer.
func CompactPeer(c []byte) (p Peer) {
	if len(c) == Peer4Len || len(c) == Peer6Len {
		p.is = uint8(copy(p.b[:], c))
	}
	return p
}

// Is4 reports whether p is an IPv4 peer.
func (p *Peer) Is4() bool { return p.is == Peer4Len }

// Is6 reports whether p is an IPv6 peer.
func (p *Peer) Is6() bool { return p.is == Peer6Len }

// Compact returns the 6 or 18 bytes of p, borrowed from p.
func (p *Peer) Compact() []byte { return p.b[:p.is] }

// Addr returns the address of p.
func (p *Peer) Addr() netip.Addr {
	switch p.is {
	case Peer4Len:
		return netip.AddrFrom4([4]byte(p.b[:4]))
	case Peer6Len:
		return netip.AddrFrom16([16]byte(p.b[:16]))
	}
	return netip.Addr{}
}

// Port returns the port of p.
func (p *Peer) Port() uint16 {
	if p.is == 0 {
		return 0
	}
	return binary.BigEndian.Uint16(p.b[p.is-2:])
}

// Private reports whether p's address is private (RFC 1918, RFC 4193),
// loopback, or link-local, and so of no use to the public.
func (p *Peer) Private() bool { return PrivateCompact(p.Compact()) }

// PrivateCompact is [Peer.Private] for the compact form of a peer, of 6 or 18
// bytes.
func PrivateCompact(c []byte) bool {
	switch len(c) {
	case Peer4Len:
		switch c[0] {
		case 10, 127:
			return true
		case 172:
			return c[1]&0xf0 == 16
		case 192:
			return c[1] == 168
		case 169:
			return c[1] == 254
		}
		return false
	case Peer6Len:
		switch c[0] {
		case 0xfc, 0xfd: // fc00::/7, unique local
			return true
		case 0xfe: // fe80::/10, link-local
			return c[1]&0xc0 == 0x80
		case 0: // ::1, loopback
			return binary.BigEndian.Uint64(c) == 0 && binary.BigEndian.Uint64(c[8:]) == 1
		}
	}
	return false
}
