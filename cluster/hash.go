package cluster

import (
	"encoding/binary"
	"math/bits"

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

// A salt makes it impossible to choose torrents that meet in one bucket. It comes
// of the secret that the members share.
type salt uint64

func makeSalt(secret *[16]byte) salt { return salt(xxhash.Sum64(secret[:])) }

// id is what members compare to know whether they have the same.
func (s salt) id() uint64 { return mixDigest(uint64(s), saltID) }

// bucketOf returns the bucket of a torrent, one of maxBuckets. The salt is mixed in
// before xxHash sees the bytes, because differences that cancel out in xxHash are
// known for every seed.
func (s salt) bucketOf(ih *proto.Infohash) int {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], binary.LittleEndian.Uint64(ih[:])^uint64(s))
	binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(ih[8:])^bits.RotateLeft64(uint64(s), 23))
	binary.LittleEndian.PutUint32(b[16:], binary.LittleEndian.Uint32(ih[16:])^uint32(s>>17))
	binary.LittleEndian.PutUint32(b[20:], uint32(s))
	return int(xxhash.Sum64(b[:]) >> (64 - maxBits))
}

// bucketSalt returns the salt of the present.
func (n *Node) bucketSalt() salt { return salt(n.salt.Load()) }
