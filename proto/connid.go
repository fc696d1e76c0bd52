package proto

import (
	"crypto/subtle"
	"encoding/binary"
	"net/netip"

	"github.com/dchest/siphash"
)

// ConnKey makes and checks connection ids (BEP 15): proof that whoever sends
// from an address also receives there. Nothing is remembered about an id. It
// is the SipHash-2-4 of
//
//	 0  address  16   IPv4 in its mapped form
//	16  epoch     4   number of the hour, big-endian
//
// under a secret key. The port is left out, because clients connect and
// announce from different sockets. BEP 15 lets an id live two minutes; clients
// in the wild keep it far longer, so it is good for the epoch it was made in
// and the next one.
//
// A ConnKey is never changed and may be used by many goroutines.
type ConnKey struct{ k0, k1 uint64 }

// MakeConnKey returns the key made of secret, which must come from a random
// source nobody can guess.
func MakeConnKey(secret [16]byte) ConnKey {
	return ConnKey{
		k0: binary.LittleEndian.Uint64(secret[:8]),
		k1: binary.LittleEndian.Uint64(secret[8:]),
	}
}

// ID returns the connection id of addr in that epoch. An IPv4 address and its
// IPv4-mapped form have the same.
func (k *ConnKey) ID(addr netip.Addr, epoch uint32) ConnID {
	var b [20]byte
	a := addr.As16()
	copy(b[:], a[:])
	binary.BigEndian.PutUint32(b[16:], epoch)
	return ConnID(siphash.Hash(k.k0, k.k1, b[:]))
}

// Valid reports whether id was given to addr in that epoch or the one before.
// How long it takes says which of them it was, and nothing about the bits of
// an id that is wrong.
func (k *ConnKey) Valid(id ConnID, addr netip.Addr, epoch uint32) bool {
	return equalID(id, k.ID(addr, epoch)) || equalID(id, k.ID(addr, epoch-1))
}

// equalID compares in a time that does not depend on where a and b differ.
func equalID(a, b ConnID) bool {
	high := subtle.ConstantTimeEq(int32(a>>32), int32(b>>32))
	low := subtle.ConstantTimeEq(int32(a), int32(b))
	return high&low == 1
}
