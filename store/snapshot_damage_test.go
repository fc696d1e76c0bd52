package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cespare/xxhash/v2"

	"tracker/proto"
)

// TestSnapshotDamage cuts a small snapshot at every length and flips every bit:
// nothing of it is loaded, and the error says where.
func TestSnapshotDamage(t *testing.T) {
	b, to := smallSnapshot(t), newMachine(t, 45)
	defer to.end()
	refused := func(b []byte, what string, args ...any) {
		t.Helper()
		_, err := load(to.store, b, to.now, 0)
		damage, ok := errors.AsType[*SnapshotError](err)
		if n, s, l := to.store.Totals(); !ok || n+s+l > 0 {
			t.Fatalf(what+": error %v, %d torrents, %d seeders, %d leechers", append(args, err, n, s, l)...)
		}
		if damage.Offset < 0 || damage.Offset > int64(len(b)) {
			t.Fatalf(what+": %v", append(args, err)...)
		}
	}
	for n := range b {
		refused(b[:n], "cut at %d", n)
	}
	for i := range b {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			refused(bad, "bit %d of byte %d", bit, i)
		}
	}
	refused(append(bytes.Clone(b), 0), "a byte more")
	refused(append(bytes.Clone(b), b...), "twice")
	refused(nil, "empty")
	refused([]byte(strings.Repeat("x", 1000)), "text")
	if _, err := load(to.store, b, to.now, 0); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// smallSnapshot returns a snapshot of two blocks with some of everything.
func smallSnapshot(t testing.TB) []byte {
	t.Helper()
	m := newMachine(t, 45)
	defer m.end()
	for i := range uint32(6) {
		q := Query{Infohash: testInfohash(i % 3), Peer: testPeer4(i), Seeder: i%2 == 0, Event: proto.EventCompleted}
		m.store.Announce(&q, m.now, m.rnd, &m.a)
		q.Peer = testPeer6(i)
		m.store.Announce(&q, m.now, m.rnd, &m.a)
	}
	var b bytes.Buffer
	w := newSnapshotWriter(&b, m.now)
	err := w.header(&testHeader)
	for i := range m.store.shards {
		err = errors.Join(err, w.shard(&m.store.shards[i]), w.flush(1))
	}
	if err = errors.Join(err, w.end()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestSnapshotNewer refuses what a later version wrote, whatever it is.
func TestSnapshotNewer(t *testing.T) {
	for _, rest := range [][]byte{nil, make([]byte, 100), smallSnapshot(t)[12:]} {
		b := append([]byte(snapshotMagic), 2, 0, 0, 0)
		_, err := load(New(Options{}), append(b, rest...), 0, 0)
		if e, ok := errors.AsType[*SnapshotError](err); !ok || e.Version != 2 ||
			e.Error() != "it is of version 2, written by a newer program; this one reads up to version 1" {
			t.Errorf("got %v", err)
		}
	}
}

// TestSnapshotReadFails passes errors of the reader on, and nothing is loaded.
func TestSnapshotReadFails(t *testing.T) {
	b, s, want := smallSnapshot(t), New(Options{Shards: 1}), errors.New("disk broken")
	for n := range b {
		from, err := ReadSnapshot(iotest.OneByteReader(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(want))))
		if err == nil {
			_, err = s.LoadSnapshot(from, 1, 0, allowAll)
		}
		if torrents, _, _ := s.Totals(); !errors.Is(err, want) || torrents > 0 {
			t.Fatalf("after %d bytes: %v, %d torrents", n, err, torrents)
		}
	}
}

// seal puts records into a snapshot with good checksums, cut into blocks.
func seal(records []byte, count uint32, totals SnapshotTotals) []byte {
	var b bytes.Buffer
	w := &snapshotWriter{to: &b, sum: xxhash.New(), totals: totals}
	_ = w.header(&testHeader) // a Buffer never fails
	if len(records) > 0 {
		block := binary.LittleEndian.AppendUint32(nil, uint32(len(records)))
		_ = w.write(append(binary.LittleEndian.AppendUint32(block, count), records...))
	}
	w.block = make([]byte, snapshotBlockLen)
	_ = w.end()
	return b.Bytes()
}

// TestSnapshotLies refuses what no writer of ours makes, although every
// checksum is right.
func TestSnapshotLies(t *testing.T) {
	one := append(make([]byte, 20), 1, 0, 1, 2, 3, 4, 5, 6, 0)
	ok := SnapshotTotals{Records: 1, Peers: 1}
	for _, tt := range []struct {
		name    string
		records []byte
		n       uint32
		totals  SnapshotTotals
		want    string
	}{
		{"good", one, 1, ok, ""},
		{"empty", nil, 0, SnapshotTotals{}, ""},
		{"record too short", one[:len(one)-1], 1, ok, "damaged at byte 64: " + wrongRecord},
		{"half a record more", append(one, one[:21]...), 1, ok, "damaged at byte 93: " + wrongRecord},
		{"more records", one, 2, ok, "damaged at byte 93: " + wrongCount},
		{"fewer records", append(one, one...), 1, SnapshotTotals{Records: 2, Peers: 2}, "damaged at byte 122: " + wrongCount},
		{"more in all", one, 1, SnapshotTotals{Records: 2, Peers: 1}, "damaged at byte 101: " + wrongCount},
		{"other peers", one, 1, SnapshotTotals{Records: 1, Peers: 2}, "damaged at byte 101: " + wrongCount},
		{"too long", make([]byte, maxSnapshotBlock+1), 1, ok, "damaged at byte 56: " + wrongLength},
	} {
		s := New(Options{Shards: 1})
		_, err := load(s, seal(tt.records, tt.n, tt.totals), 1, 0)
		if n, _, _ := s.Totals(); fmt.Sprint(err) != tt.want && (err != nil || tt.want != "") || err != nil && n > 0 {
			t.Errorf("%s: error %v, want %q; %d torrents", tt.name, err, tt.want, n)
		}
	}
}

// FuzzSnapshot reads the input as a snapshot, and as the records of one whose
// checksums are right. What is refused leaves nothing behind, what is loaded is
// sound and can be written and loaded again.
func FuzzSnapshot(f *testing.F) {
	b := smallSnapshot(f)
	f.Add(b, uint16(0))
	f.Add(b[snapshotHeaderLen+snapshotBlockLen:], uint16(9))
	one := append(make([]byte, 20), 1, 1, 1, 2, 3, 4, 5, 6, 0x85)
	f.Add(append(one, make([]byte, 19)...), uint16(1))
	many := append(make([]byte, 20), 200, 0x80|100)
	f.Add(append(many, bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 301)...)[:recordBytes(200, 100, true)], uint16(44))
	f.Fuzz(func(t *testing.T, b []byte, elapsed uint16) {
		for _, b := range [][]byte{b, sealAll(b)} {
			s, to := newMachine(t, 45), newMachine(t, 45)
			if _, err := load(s.store, b, s.now, Minute(elapsed)); err != nil {
				if torrents, seeders, leechers := s.store.Totals(); torrents+seeders+leechers > 0 {
					t.Errorf("%d torrents, %d seeders, %d leechers after %v", torrents, seeders, leechers, err)
				}
			}
			if _, err := load(to.store, snapshot(t, s.store, s.now), to.now, 0); err != nil {
				t.Errorf("the second snapshot: %v", err)
			}
			sameContents(t, to.store, to.now, s.store, s.now)
			s.advance(1)
			s.end()
			to.end()
		}
	})
}

// sealAll puts as many records as b begins with into a snapshot.
func sealAll(b []byte) []byte {
	var r snapshotRecord
	var n uint32
	var totals SnapshotTotals
	left := b
	for rest, ok := r.parse(left); ok && len(b)-len(rest) <= maxSnapshotBlock; rest, ok = r.parse(left) {
		left, n = rest, n+1
		totals.Records++
		totals.Peers += int64(r.lists[0].len() + r.lists[1].len())
	}
	return seal(bytes.Clone(b[:len(b)-len(left)]), n, totals)
}
