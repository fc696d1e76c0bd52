package store

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// A SnapshotError says what is wrong with a snapshot.
type SnapshotError struct {
	Offset  int64  // of the part that cannot be right, in bytes
	Version uint32 // if it is newer than this program, and otherwise 0
	what    string
}

func (e *SnapshotError) Error() string {
	if e.Version != 0 {
		return fmt.Sprintf("it is of version %d, written by a newer program; this one reads up to version %d", e.Version, snapshotVersion)
	}
	return fmt.Sprintf("damaged at byte %d: %s", e.Offset, e.what)
}

// What can be wrong with a snapshot.
const (
	noSnapshot  = "no snapshot begins like this"
	endsEarly   = "it ends early"
	wrongSum    = "the checksum is wrong"
	wrongLength = "no block has that length"
	wrongRecord = "a record goes beyond its block"
	wrongCount  = "there are more or fewer records than it says"
	goesOn      = "it goes on behind its end"
)

// A Snapshot is one being read.
type Snapshot struct {
	SnapshotHeader
	from   io.Reader
	offset int64 // of what is read next
	sum    *xxhash.Digest
	block  []byte // memory for blocks
}

// ReadSnapshot reads the beginning of a snapshot from r, which need not be
// buffered. An error is that of r or a [*SnapshotError].
func ReadSnapshot(r io.Reader) (*Snapshot, error) {
	s := &Snapshot{from: bufio.NewReader(r), sum: xxhash.New()}
	var b [snapshotHeaderLen]byte
	if err := s.read(b[:len(snapshotMagic)+4]); err != nil {
		return nil, err
	}
	if string(b[:len(snapshotMagic)]) != snapshotMagic {
		return nil, &SnapshotError{what: noSnapshot}
	}
	// What comes behind the version of a newer one, nobody here knows.
	switch v := binary.LittleEndian.Uint32(b[8:]); {
	case v > snapshotVersion:
		return nil, &SnapshotError{Version: v}
	case v == 0:
		return nil, &SnapshotError{what: noSnapshot}
	}
	if err := s.read(b[12:48]); err != nil {
		return nil, err
	}
	if err := s.check(0); err != nil {
		return nil, err
	}
	s.Wall = int64(binary.LittleEndian.Uint64(b[16:]))
	s.Clock = int64(binary.LittleEndian.Uint64(b[24:]))
	copy(s.Secret[:], b[32:])
	return s, nil
}

// read fills b with what comes next.
func (s *Snapshot) read(b []byte) error {
	n, err := io.ReadFull(s.from, b)
	s.offset += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &SnapshotError{Offset: s.offset, what: endsEarly}
	}
	s.sum.Write(b) // never fails
	return err
}

// check reads the checksum and compares it. What it is about began at begin.
func (s *Snapshot) check(begin int64) error {
	want := s.sum.Sum64()
	var b [snapshotSumLen]byte
	if err := s.read(b[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(b[:]) != want {
		return &SnapshotError{Offset: begin, what: wrongSum}
	}
	return nil
}

// next returns the records of the next block and how many there are, or none
// at the end, which must be that of so many. They are valid until the next call.
func (s *Snapshot) next(so SnapshotTotals) (records []byte, n uint32, err error) {
	begin := s.offset
	var b [snapshotBlockLen + snapshotEndLen]byte
	if err := s.read(b[:snapshotBlockLen]); err != nil {
		return nil, 0, err
	}
	length, n := binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:])
	if length == 0 && n == 0 {
		return nil, 0, s.end(begin, b[snapshotBlockLen:], so)
	}
	if length == 0 || length > maxSnapshotBlock {
		return nil, 0, &SnapshotError{Offset: begin, what: wrongLength}
	}
	if int(length) > cap(s.block) {
		s.block = make([]byte, length+length/4)
	}
	if err := s.read(s.block[:length]); err != nil {
		return nil, 0, err
	}
	return s.block[:length], n, s.check(begin)
}

// end reads the end, which begins at begin, in the memory of b.
func (s *Snapshot) end(begin int64, b []byte, so SnapshotTotals) error {
	if err := s.read(b); err != nil {
		return err
	}
	if err := s.check(begin); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(b) != uint64(so.Records) || binary.LittleEndian.Uint64(b[8:]) != uint64(so.Peers) {
		return &SnapshotError{Offset: begin, what: wrongCount}
	}
	switch n, err := s.from.Read(b[:1]); {
	case n > 0:
		return &SnapshotError{Offset: s.offset, what: goesOn}
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}
