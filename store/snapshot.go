package store

import (
	"encoding/binary"
	"io"

	"github.com/cespare/xxhash/v2"

	"tracker/proto"
)

// A snapshot is everything a store knows, as a stream of bytes: a header, then
// blocks of records, then an end. Numbers are little-endian; offsets in bytes:
//
//	header   0  magic                     8   first 12 bytes are alike in every version
//	         8  version                   4
//	        12  zero                      4
//	        16  wall clock                8   milliseconds since 1970
//	        24  clock of connection ids   8   milliseconds
//	        32  secret of those          16
//	        48  checksum                  8
//
//	block    0  length of the records     4   1 to maxSnapshotBlock
//	         4  number of records         4
//	         8  records
//	            checksum                  8
//
//	end      0  zero                      8
//	         8  records in all            8
//	        16  peers in all              8
//	        24  checksum                  8
//
//	record   0  infohash                 20
//	        20  number of IPv4 peers      1
//	        21  number of IPv6 peers      1   and 0x80 if there is a tail
//	        22  IPv4 peers           6 each
//	            their ages           1 each   minutes at the time of the header, and
//	            IPv6 peers          18 each   0x80 for a seeder
//	            their ages           1 each
//	            tail                      6   downloaded 4, minutes since last used 2
//
// A checksum is the xxHash64 of all that comes before it in the stream, so
// nothing can be missing, doubled or exchanged. It tells of accidents, not of
// forgers: who can write the file can write what he likes.
//
// A torrent with more peers than a record can count has several, not
// necessarily side by side; each adds its peers.
//
// A version is never changed and is read for ever. To make another: a new
// number, a reader beside the old one, and a golden file in testdata.
const (
	snapshotMagic   = "\x89tracker"
	snapshotVersion = 1

	snapshotHeaderLen = 56
	snapshotSumLen    = 8
	snapshotBlockLen  = 8  // before the records
	snapshotEndLen    = 16 // behind the zeros

	// maxSnapshotBlock is the length of the longest block's records. Reading
	// takes that much memory and writing no more.
	maxSnapshotBlock = 1 << 18
	// snapshotFlush is the length from which on a block is written: some tens
	// of microseconds' work.
	snapshotFlush = 32 << 10

	// Most peers of a record, by family: one byte and seven bits.
	maxSnapshot4 = 255
	maxSnapshot6 = 127

	// snapshotBlocks is how many blocks of a large swarm's set are copied under
	// one lock: at most some 3,600 peers.
	snapshotBlocks = 8
)

// The build fails here if what is copied between two looks at the buffer might
// not fit into a block.
const _ = uint(maxSnapshotBlock - snapshotFlush - 2*walkStep*maxRecord)

// A SnapshotHeader is what a snapshot holds for its owner, who has a clock.
type SnapshotHeader struct {
	Wall   int64 // wall clock when it was begun, in milliseconds since 1970
	Clock  int64 // clock of the connection ids then, in milliseconds
	Secret [16]byte
}

// SnapshotTotals say how much was written or read.
type SnapshotTotals struct {
	Records int64 // torrents, but a large one may count several times
	Peers   int64
	Refused int64 // peers that were not loaded because of limits or for want of memory
}

// WriteSnapshot writes everything there is to w, in pieces of some 32 kB,
// without keeping others waiting: each lock is held for some ten microseconds,
// and none while w is called. A torrent or peer that is there from beginning to
// end is written once, as it is at some moment in between; what comes or goes
// meanwhile may be in it or not. now is the present minute, that of h.
func (s *Store) WriteSnapshot(w io.Writer, h *SnapshotHeader, now Minute) (SnapshotTotals, error) {
	sw := newSnapshotWriter(w, now)
	if err := sw.header(h); err != nil {
		return sw.totals, err
	}
	for i := range s.shards {
		if err := sw.shard(&s.shards[i]); err != nil {
			return sw.totals, err
		}
	}
	return sw.totals, sw.end()
}

// A snapshotWriter makes blocks of torrents.
type snapshotWriter struct {
	to     io.Writer
	now    Minute
	sum    *xxhash.Digest
	block  []byte // the block being made, with room for its length in front
	n      uint32 // records in it
	totals SnapshotTotals

	large []proto.Infohash // of the torrents just met, those that are large
	found list             // peers of a large one
}

func newSnapshotWriter(to io.Writer, now Minute) *snapshotWriter {
	return &snapshotWriter{to: to, now: now, sum: xxhash.New(), block: make([]byte, snapshotBlockLen, 2*snapshotFlush)}
}

// write writes b and the checksum of all so far behind it, in one call, in b's
// memory if that has room.
func (w *snapshotWriter) write(b []byte) error {
	w.sum.Write(b) // never fails
	b = binary.LittleEndian.AppendUint64(b, w.sum.Sum64())
	w.sum.Write(b[len(b)-snapshotSumLen:])
	_, err := w.to.Write(b)
	return err
}

func (w *snapshotWriter) header(h *SnapshotHeader) error {
	b := append(make([]byte, 0, snapshotHeaderLen), snapshotMagic...)
	b = binary.LittleEndian.AppendUint32(b, snapshotVersion)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Wall))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Clock))
	return w.write(append(b, h.Secret[:]...))
}

// flush writes the block, if it has at least so many bytes of records.
func (w *snapshotWriter) flush(least int) error {
	n := len(w.block) - snapshotBlockLen
	if n < least {
		return nil
	}
	binary.LittleEndian.PutUint32(w.block, uint32(n))
	binary.LittleEndian.PutUint32(w.block[4:], w.n)
	w.totals.Records += int64(w.n)
	err := w.write(w.block)
	w.block, w.n = w.block[:snapshotBlockLen], 0
	return err
}

// end writes what is left, and the end.
func (w *snapshotWriter) end() error {
	if err := w.flush(1); err != nil {
		return err
	}
	b := make([]byte, snapshotBlockLen, snapshotBlockLen+snapshotEndLen+snapshotSumLen)
	b = binary.LittleEndian.AppendUint64(b, uint64(w.totals.Records))
	b = binary.LittleEndian.AppendUint64(b, uint64(w.totals.Peers))
	return w.write(b)
}
