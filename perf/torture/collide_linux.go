package main

import (
	"encoding/binary"
	"math/bits"

	"tracker/proto"
)

// Constants of XXH64.
const (
	prime1 uint64 = 0x9e3779b185ebca87
	prime2 uint64 = 0xc2b2ae3d27d4eb4f
	prime3 uint64 = 0x165667b19e3779f9
	prime4 uint64 = 0x85ebca77c2b2ae63
	prime5 uint64 = 0x27d4eb2f165667c5
)

// preimage returns an infohash whose XXH64 with seed 0 is sum. There are 2^96;
// the caller chooses among them with the first and the last four bytes.
//
// Without a secret, XXH64 of 20 bytes is a chain of steps each of which can be
// undone: two that take 8 bytes, one that takes 4, and the final avalanche. So
// there is nothing to search for: everything but the middle 8 bytes is chosen,
// and the chain followed from both ends to them.
//
//	h ─ first 8 ─► h ─ middle 8 ─► h ─ last 4 ─► h ─ avalanche ─► sum
//	    chosen         solved          chosen                     wanted
func preimage(sum, first uint64, last uint32) (ih proto.Infohash) {
	before := prime5 + uint64(len(ih))
	before = bits.RotateLeft64(before^stir(first), 27)*prime1 + prime4

	after := unavalanche(sum)
	after = bits.RotateLeft64((after-prime3)*inverse(prime2), -23) ^ uint64(last)*prime1
	middle := unstir(bits.RotateLeft64((after-prime4)*inverse(prime1), -27) ^ before)

	binary.LittleEndian.PutUint64(ih[0:], first)
	binary.LittleEndian.PutUint64(ih[8:], middle)
	binary.LittleEndian.PutUint32(ih[16:], last)
	return ih
}

// stir mixes 8 bytes before they meet the state; unstir undoes it.
func stir(k uint64) uint64   { return bits.RotateLeft64(k*prime2, 31) * prime1 }
func unstir(k uint64) uint64 { return bits.RotateLeft64(k*inverse(prime1), -31) * inverse(prime2) }

// unavalanche undoes the last steps. A shift by 32 or 33 bits undoes itself;
// one by 29 leaves the upper 29 right, and then 58, and then all.
func unavalanche(h uint64) uint64 {
	h ^= h >> 32
	h *= inverse(prime3)
	h ^= h>>29 ^ h>>58
	h *= inverse(prime2)
	return h ^ h>>33
}

// inverse returns the inverse of an odd number modulo 2^64, by Newton's
// method: each step doubles how many of the lower bits are right, beginning
// with 3.
func inverse(x uint64) uint64 {
	y := x
	for range 5 {
		y *= 2 - x*y
	}
	return y
}

// colliding returns n infohashes whose XXH64 ends in the same 16 bits: those
// that crowd in a table that takes its slot from these.
func colliding(n int) []proto.Infohash {
	all := make([]proto.Infohash, n)
	for i := range all {
		upper := uint64(i+1) * prime3 &^ 0xffff
		all[i] = preimage(upper|0xbeef, uint64(i)*prime5, uint32(i))
	}
	return all
}
