package main

import (
	"encoding/binary"

	"tracker/perf"
	"tracker/proto"
)

// Lengths and numbers of BEP 15, written down here once more so that a mistake
// in the tracker is not taken for right.
const (
	magic       = 0x41727101980
	headerLen   = 16
	announceLen = 98
	maxPacket   = 4096

	actionConnect  = 0
	actionAnnounce = 1
	actionScrape   = 2
	actionError    = 3
)

// residentSeeders and residentLeechers of each family are in the witness's
// torrent beside the witness.
const (
	residentSeeders  = 8
	residentLeechers = 12
)

// witnessHash names the witness's torrent, which no workload has.
var witnessHash = perf.Infohash(1<<32 - 1)

var be = binary.BigEndian

// appendHeader appends what each request begins with.
func appendHeader(dst []byte, id uint64, action, tid uint32) []byte {
	dst = be.AppendUint64(dst, id)
	dst = be.AppendUint32(dst, action)
	return be.AppendUint32(dst, tid)
}

// appendAnnounce appends an announce that asks for 200 peers, of a client that
// has left bytes to go.
func appendAnnounce(dst []byte, id uint64, tid uint32, ih *proto.Infohash, port uint16, left uint64) []byte {
	dst = appendHeader(dst, id, actionAnnounce, tid)
	dst = append(dst, ih[:]...)
	dst = append(dst, "-PT0001-abcdefghijkl"...)
	dst = be.AppendUint64(dst, 0) // downloaded
	dst = be.AppendUint64(dst, left)
	dst = be.AppendUint64(dst, 0) // uploaded
	dst = be.AppendUint32(dst, 0) // event
	dst = be.AppendUint32(dst, 0) // ip
	dst = be.AppendUint32(dst, uint32(port))
	dst = be.AppendUint32(dst, 200)
	return be.AppendUint16(dst, port)
}
