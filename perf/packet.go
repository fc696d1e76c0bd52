package perf

import (
	"encoding/binary"

	"tracker/proto"
)

// Lengths and numbers of BEP 15. They are repeated here instead of taken from
// proto, so that a mistake there is not measured as correct.
const (
	udpMagic       = 0x41727101980
	udpConnectLen  = 16
	udpAnnounceLen = 98
	udpHeaderLen   = 16 // connection id, action, transaction id

	// MaxScrape is how many torrents one UDP scrape names here. Every tracker
	// measured takes 74 or more.
	MaxScrape = 70

	// maxRequest and maxDatagram hold the longest request and answer. 200 IPv6
	// peers, of a tracker that does not mind fragments, take 3,620 bytes.
	maxDatagram = 4096
	maxRequest  = udpHeaderLen + MaxScrape*len(proto.Infohash{})

	actionConnect  = 0
	actionAnnounce = 1
	actionScrape   = 2
	actionError    = 3
)

var be = binary.BigEndian

// appendUDP appends r as a BEP 15 packet to dst. Connects ignore conn.
func appendUDP(dst []byte, r *Request, conn uint64, tid uint32) []byte {
	switch r.Kind {
	case Connect:
		dst = be.AppendUint64(dst, udpMagic)
		dst = be.AppendUint32(dst, actionConnect)
		return be.AppendUint32(dst, tid)
	case Scrape:
		dst = be.AppendUint64(dst, conn)
		dst = be.AppendUint32(dst, actionScrape)
		dst = be.AppendUint32(dst, tid)
		for i := range uint32(r.Count) {
			ih := Infohash(r.Torrent + i)
			dst = append(dst, ih[:]...)
		}
		return dst
	}
	ih := Infohash(r.Torrent)
	dst = be.AppendUint64(dst, conn)
	dst = be.AppendUint32(dst, actionAnnounce)
	dst = be.AppendUint32(dst, tid)
	dst = append(dst, ih[:]...)
	dst = append(dst, "-PF0001-"...) // peer id: 8 bytes of program, 12 of its own
	dst = be.AppendUint64(dst, mix(uint64(r.Source)<<16|uint64(r.Port)))
	dst = be.AppendUint32(dst, r.Torrent)
	dst = be.AppendUint64(dst, 1<<30) // downloaded
	dst = be.AppendUint64(dst, r.left())
	dst = be.AppendUint64(dst, 1<<20) // uploaded
	dst = be.AppendUint32(dst, uint32(r.Event))
	dst = be.AppendUint32(dst, 0) // ip: the sender's
	dst = be.AppendUint32(dst, uint32(r.Port)*0x9e3779b1)
	dst = be.AppendUint32(dst, uint32(r.NumWant))
	return be.AppendUint16(dst, r.Port)
}

// left returns the bytes a client still needs; any number but 0 will do.
func (r *Request) left() uint64 {
	if r.Seeder {
		return 0
	}
	return 1 << 29
}
