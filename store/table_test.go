package store

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// tableModel is a table as a plain map: hash to refs.
type tableModel map[uint32][]ref

// runTable runs a program on a table and a map and compares them. A step is
// three bytes: operation and two of hash. Hashes are spread over few values
// and crowd at both ends, where runs overflow.
func runTable(t *testing.T, prog []byte) {
	var tab table
	b := freeBudget()
	tab.resize(minTableLen, b, duty)
	defer func() { tab.release(b) }()
	m := tableModel{}
	next := ref(1)
	for prog = prog[:min(len(prog), 900)]; len(prog) >= 3; prog = prog[3:] {
		hash := uint32(binary.LittleEndian.Uint16(prog[1:]))
		switch prog[0] & 3 {
		case 0:
			hash <<= 16
		case 1:
			hash = 0xffffff00 | hash&0xff
		}
		if prog[0]&0x1c == 0 && len(m[hash]) > 0 {
			pos := tab.first(hash)
			for pos = tab.next(hash, pos); slot(tab.slots[pos]).ref() != m[hash][0]; pos = tab.next(hash, pos+1) {
			}
			tab.remove(pos)
			m[hash] = m[hash][1:]
			continue
		}
		if prog[0] == 255 {
			tab.trim(b)
		}
		if !tab.add(hash, next, b) {
			t.Fatalf("no room for %08x among %d", hash, tab.n)
		}
		m[hash] = append(m[hash], next)
		next++
	}
	compareTable(t, &tab, m)
}

func compareTable(t *testing.T, tab *table, m tableModel) {
	t.Helper()
	n := 0
	for hash, want := range m {
		var got []ref
		for pos := tab.next(hash, tab.first(hash)); pos >= 0; pos = tab.next(hash, pos+1) {
			got = append(got, slot(tab.slots[pos]).ref())
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("hash %08x: %d, want %d", hash, got, want)
		}
		n += len(want)
	}
	if int(tab.n) != n {
		t.Fatalf("table counts %d, want %d", tab.n, n)
	}
	last := uint64(0)
	for pos, s := range tab.slots {
		if s == 0 {
			continue
		}
		if s>>32 < last>>32 || tab.first(slot(s).hash()) > pos {
			t.Fatalf("slot %d is out of place", pos)
		}
		last = s
	}
}

// FuzzTable runs the input as a program against the table and a plain map.
func FuzzTable(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 3))
	for _, n := range []int{3, 30, 300, 6000} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(runTable)
}

// TestTableCrowded puts as many torrents of one hash into a table as one run
// may have, and is refused one more, without harm to the others.
func TestTableCrowded(t *testing.T) {
	var tab table
	b := freeBudget()
	tab.resize(4*maxProbe, b, duty)
	m := tableModel{}
	for i := ref(1); tab.add(1<<31, i, b); i++ {
		m[1<<31] = append(m[1<<31], i)
	}
	if n := len(m[1<<31]); n < maxProbe/2 || n > maxProbe+1 {
		t.Errorf("%d torrents of one hash fit, want about %d", n, maxProbe)
	}
	compareTable(t, &tab, m)
}

// FuzzSwarm runs the input as a program on one large swarm, whose peers come
// and go by the hundred, against the model.
func FuzzSwarm(f *testing.F) {
	f.Add([]byte("\x00\x00\xff\x01\x01\xff\x04\x00\xff"))
	f.Add([]byte("\x00\x00\xff\x02\x00\x80\x08\x00\xff\x0c\x10\xff"))
	f.Fuzz(func(t *testing.T, prog []byte) {
		m := newMachine(t, 45)
		defer m.end()
		for steps := 0; len(prog) >= 3 && steps < 8; prog, steps = prog[3:], steps+1 {
			op, first, n := prog[0], uint16(prog[1])*32, uint16(prog[2])
			if op >= 240 {
				m.advance(Minute(op & 15))
				continue
			}
			for i := range n {
				m.do(op&23, 0, first+i) // family, state; stops if bit 4 is set
			}
			m.do(op|0x40, 0, first) // one that wants many peers
		}
		m.compare()
	})
}

// freeBudget returns a budget without limits.
func freeBudget() *budget {
	b := new(budget)
	b.set(unlimited, unlimited)
	return b
}
