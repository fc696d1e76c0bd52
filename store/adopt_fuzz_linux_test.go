//go:build !purego && !trackercheck

// A checked store looks at what lies in the memory, too, and panics if that is
// not what it was told.

package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

// editLen is the bytes of one edit of a layout: where, and a number to put there.
const editLen = 2 + 8

// edited returns what is told of a store's memory, in one of the layouts with
// edits, or nothing but those.
func edited(layouts [][]byte, which byte, edits []byte) []byte {
	n := int(which) % (len(layouts) + 1)
	if n == len(layouts) {
		return edits
	}
	b := bytes.Clone(layouts[n])
	for ; len(edits) >= editLen; edits = edits[editLen:] {
		at := int(binary.LittleEndian.Uint16(edits))
		copy(b[at%len(b):], edits[2:editLen])
	}
	return b[:len(b)-len(edits)] // what is left over cuts some bytes off
}

// FuzzAdopt has a store told anything of another's memory. What it refuses, it
// refuses with an error. What it takes lies in what is mapped, nothing of it
// twice, and it says the same to the next.
func FuzzAdopt(f *testing.F) {
	m := newSharing(f)
	m.end()
	m.store = New(Options{Shards: 1, Expire: 45, Shared: true})
	f.Cleanup(m.end)
	var layouts [][]byte
	add := func() {
		var b bytes.Buffer
		if err := m.store.WriteLayout(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(byte(len(layouts)), []byte(nil))
		f.Add(byte(len(layouts)), []byte("\x30\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00"))
		layouts = append(layouts, b.Bytes()[:b.Len()-8])
	}
	add()
	for i := range uint32(2000) {
		q := Query{Infohash: testInfohash(i % 3), Peer: testPeer4(i), Seeder: i%4 == 0}
		if i%2 == 0 {
			q.Peer = testPeer6(i)
		}
		if m.store.Announce(&q, 1, m.rnd, &m.a); i == 20 || i == 400 {
			add()
		}
	}
	m.store.SweepStep(2)
	add()
	f.Fuzz(func(t *testing.T, which byte, edits []byte) {
		b := edited(layouts, which, edits)
		fd, err := unix.FcntlInt(uintptr(m.store.Memory()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := New(Options{Shards: 1, Shared: true})
		defer s.leave()
		// With the right sum at the end, or no number but the first that is wrong
		// would be looked at.
		err = s.Adopt(fd, bytes.NewReader(binary.LittleEndian.AppendUint64(b[:len(b):len(b)], xxhash.Sum64(b))))
		if err != nil {
			if !errors.Is(err, ErrLayout) && !errors.Is(err, errPiece) && !errors.Is(err, unix.ENOMEM) {
				t.Errorf("%v", err)
			}
			return
		}
		for i := range s.shards {
			s.shards[i].touch(t)
		}
		var again bytes.Buffer
		if err := s.WriteLayout(&again); err != nil || !bytes.HasPrefix(again.Bytes(), b) {
			t.Errorf("it says something else to the next: %v", err)
		}
	})
}

// touch looks where everything is, and at nothing: a page that nobody has written
// to would come into being.
func (sh *shard) touch(t *testing.T) {
	for _, pools := range [...][]pool{sh.records[1:], sh.blocks[:]} {
		for i := range pools {
			if p := &pools[i]; p.paid > 0 && (len(p.at(0)) != p.size || len(p.at(p.paid-1)) != p.size) {
				t.Errorf("items of %d bytes are shorter", p.size)
			}
		}
	}
	if int(sh.tab.home) > len(sh.tab.slots) || sh.tab.first(1<<32-1) > len(sh.tab.slots) {
		t.Errorf("hashes are spread over %d of %d slots", sh.tab.home, len(sh.tab.slots))
	}
	for id, sw := range sh.swarms {
		if sw == nil {
			continue
		}
		for set := range sw.sets {
			v, n := sh.view(uint32(id), set), 0
			for b := range v.dir {
				l := v.block(b)
				n += l.len()
			}
			if n != v.n || v.private > n {
				t.Errorf("swarm %d has %d peers of kind %d, says %d", id, n, set, v.n)
			}
		}
	}
}
