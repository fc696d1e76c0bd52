package cluster

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Every message has the same frame. Numbers are little-endian, offsets in bytes:
//
//	 0  magic             4   "trkr"
//	 4  version           1
//	 5  kind              1
//	 6  flags             1   of the kind
//	 7  zero              1
//	 8  id of the sender  8   a random one for each start
//	16  number            8   of a batch; of the question that is answered; of the salt
//	24  clock             8   of the sender, milliseconds since 1970
//	32  body
//	    checksum          8   xxHash64 of all that comes before it
//
// A checksum tells of accidents, not of forgers: who may speak at the brokers is
// believed to be a tracker, within the limits that everybody is under.
const (
	magic     = "trkr"
	version   = 1
	headerLen = 32
	sumLen    = 8
	frameLen  = headerLen + sumLen
)

// Kinds of messages.
const (
	kindBatch   = 1 + iota // what is new
	kindHello              // who is there
	kindDigest             // sums of what there is
	kindWant               // which buckets of them differ
	kindContent            // what is in those
	kindAsk                // for a part of everything
	kindChunk              // a part of everything
	kindBye                // who is not there any more
	numKinds
)

// A header is what every message begins with.
type header struct {
	kind, flags byte
	sender      uint64
	number      uint64
	clock       int64
}

// appendHeader begins a message in b, which must be empty.
func appendHeader(b []byte, h *header) []byte {
	b = append(b, magic...)
	b = append(b, version, h.kind, h.flags, 0)
	b = binary.LittleEndian.AppendUint64(b, h.sender)
	b = binary.LittleEndian.AppendUint64(b, h.number)
	return binary.LittleEndian.AppendUint64(b, uint64(h.clock))
}

// seal ends the message that b is.
func seal(b []byte) []byte { return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b)) }

// parseHeader reads the frame of a message. The body is borrowed.
func parseHeader(msg []byte, h *header) (body []byte, ok bool) {
	if len(msg) < frameLen || string(msg[:4]) != magic || msg[4] != version || msg[7] != 0 {
		return nil, false
	}
	end := len(msg) - sumLen
	if binary.LittleEndian.Uint64(msg[end:]) != xxhash.Sum64(msg[:end]) {
		return nil, false
	}
	*h = header{
		kind:   msg[5],
		flags:  msg[6],
		sender: binary.LittleEndian.Uint64(msg[8:]),
		number: binary.LittleEndian.Uint64(msg[16:]),
		clock:  int64(binary.LittleEndian.Uint64(msg[24:])),
	}
	return msg[headerLen:end], h.sender != 0 && h.kind > 0 && h.kind < numKinds
}
