//go:build linux

package e2e

import (
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
)

const (
	// payloadLen is how many bytes a transfer moves: not a multiple of
	// pieceLen, so that the last piece is short as it mostly is.
	payloadLen = 300*1024 + 123
	pieceLen   = 32 * 1024

	payloadName = "payload.bin"
)

// payload returns random content, the same for the same seed.
func payload(seed uint64) []byte {
	b := make([]byte, payloadLen)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	return b
}

// metainfo returns the .torrent file for content (BEP 3) and its infohash. It is
// private (BEP 27): clients may learn of peers from its tracker alone.
func metainfo(announce string, content []byte) (torrent []byte, ih [20]byte) {
	var pieces []byte
	for rest := content; len(rest) > 0; {
		n := min(pieceLen, len(rest))
		sum := sha1.Sum(rest[:n])
		pieces, rest = append(pieces, sum[:]...), rest[n:]
	}
	info := fmt.Appendf(nil, "d6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%s7:privatei1ee",
		len(content), len(payloadName), payloadName, pieceLen, len(pieces), pieces)
	torrent = fmt.Appendf(nil, "d8:announce%d:%s4:info%se", len(announce), announce, info)
	return torrent, sha1.Sum(info)
}
