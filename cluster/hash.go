package cluster

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"tracker/proto"
	"tracker/store"
)

// peerHash is what members know a peer of a torrent by.
func peerHash(ih *proto.Infohash, compact []byte) uint64 {
	var b [20 + proto.Peer6Len]byte
	copy(b[:], ih[:])
	n := copy(b[20:], compact)
	return xxhash.Sum64(b[:20+n])
}

// period returns how many minutes a renewal is not told again: a third of what
// peers are remembered for.
func period(expire store.Minute) uint32 { return uint32(expire) / 3 }

// boundary returns the last minute not after m at which a peer's renewal is to
// be told. All members know it, whatever they heard, and peers have different
// ones, so that they are told evenly.
func boundary(hash uint64, m, period uint32) uint32 {
	phase := uint32(hash>>32) % period
	return m - (m-phase)%period
}

// bucketOf returns the bucket of a torrent, one of maxBuckets.
func bucketOf(ih *proto.Infohash) int { return int(binary.BigEndian.Uint16(ih[:])) }
