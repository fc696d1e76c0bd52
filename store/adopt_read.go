package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"tracker/proto"
)

// A layoutReader reads what a layoutWriter wrote. What lies in the memory is
// believed, because the program that wrote it has the same [Layout]. What is
// told of it is not: whatever numbers there are, afterwards all that is used
// lies in pieces that are mapped, and nothing in two places. After an error all
// that is read is 0.
type layoutReader struct {
	from   io.Reader
	sum    *xxhash.Digest
	b      [64]byte
	err    error
	pieces []extent
}

// An extent is where a piece is in the file.
type extent struct{ off, n int64 }

// must makes what is read an error unless ok.
func (r *layoutReader) must(ok bool) {
	if !ok && r.err == nil {
		r.err = ErrLayout
	}
}

// bytes returns the next n bytes, up to 64, until it is called again.
func (r *layoutReader) bytes(n int) []byte {
	if r.err == nil {
		if _, err := io.ReadFull(r.from, r.b[:n]); err != nil {
			r.err = fmt.Errorf("%w: %w", ErrLayout, err)
		}
		r.sum.Write(r.b[:n]) // never fails
	}
	if r.err != nil {
		clear(r.b[:])
	}
	return r.b[:n]
}

// get returns the next number, which is at most most.
func (r *layoutReader) get(most uint64) uint64 {
	x := binary.LittleEndian.Uint64(r.bytes(8))
	if r.must(x <= most); r.err != nil {
		return 0
	}
	return x
}

// piece maps n bytes at off, or returns nil after an error.
func (r *layoutReader) piece(mem *arena, off int64, n int) (b []byte) {
	if r.err == nil {
		b, r.err = mem.piece(off, n)
		r.pieces = append(r.pieces, extent{off, int64(n)})
	}
	return b
}

// apart reports whether no piece is a part of another.
func (r *layoutReader) apart() bool {
	slices.SortFunc(r.pieces, func(a, b extent) int { return cmp.Compare(a.off, b.off) })
	for i := 1; i < len(r.pieces); i++ {
		if last := r.pieces[i-1]; last.off+last.n > r.pieces[i].off {
			return false
		}
	}
	return true
}

// Bounds of numbers.
const (
	most32 = 1<<32 - 1
	most31 = 1<<31 - 1
	most63 = 1<<63 - 1
	most64 = 1<<64 - 1
)

func (r *layoutReader) shard(sh *shard, mem *arena) {
	r.table(sh, mem)
	w := &sh.sweep
	w.class, w.left, w.swarm = int(r.get(uint64(len(sh.records)))), uint32(r.get(most32)), uint32(r.get(most32))
	w.set, w.key = int(r.get(3)), r.get(most64)
	sh.now, sh.leechers, sh.seeders = Minute(r.get(most32)), int(r.get(most31)), int(r.get(most31))
	torrents := uint64(0)
	for i := range sh.records[1:] {
		p := &sh.records[1+i]
		if r.pool(p, sh.budget, mem); r.err != nil {
			return
		}
		torrents += uint64(p.n)
	}
	for i := range sh.blocks {
		if r.pool(&sh.blocks[i], sh.budget, mem); r.err != nil {
			return
		}
	}
	torrents += r.swarms(sh)
	r.must(torrents == uint64(sh.tab.n))
}

func (r *layoutReader) table(sh *shard, mem *arena) {
	off := int64(r.get(most63))
	slots := int(r.get(min(1<<31, math.MaxInt/16))) // whose bytes can be counted
	sh.tab.home, sh.tab.n = uint32(r.get(uint64(slots))), uint32(r.get(uint64(slots)))
	if r.must(slots > 0 || off == 0); r.err != nil || slots == 0 {
		return
	}
	if b := r.piece(mem, off, wordsLen(slots)); b != nil {
		sh.tab.slots = wordsIn(b, slots)
		sh.budget.torrents.Add(int64(sh.tab.n))
		sh.budget.used.Add(int64(wordsLen(slots)))
	}
}

func (r *layoutReader) pool(p *pool, b *budget, mem *arena) {
	p.paid = uint32(r.get(maxItems))
	p.n = uint32(r.get(uint64(p.paid)))
	for range r.get(maxItems>>p.shift + 1) {
		c := r.piece(mem, int64(r.get(most63)), p.chunkBytes())
		if c == nil {
			return
		}
		p.chunks = append(p.chunks, c)
	}
	chunk, rest := p.place(p.paid)
	r.must(int(p.paid) <= len(p.chunks)<<p.shift && p.paid == p.fits(chunk, roundToPage(rest*p.size)))
	if r.err == nil {
		b.used.Add(int64(p.cost()))
		p.promise(b, p.cost())
	}
}

// swarms reads the swarms of sh and returns how many there are. Every block is
// one set's.
func (r *layoutReader) swarms(sh *shard) (n uint64) {
	var taken [blockClasses][]bool
	for i := range taken {
		taken[i] = make([]bool, sh.blocks[i].n)
	}
	for i := range uint32(r.get(1<<refBits - 1)) {
		if r.get(1) == 0 {
			sh.swarms, sh.freeSwarms = append(sh.swarms, nil), append(sh.freeSwarms, i)
		} else {
			sh.swarms = append(sh.swarms, r.swarm(&taken))
			sh.budget.promised.Add(swarmPromise)
			n++
		}
		if r.err != nil {
			return n
		}
	}
	for i := range taken {
		r.must(!slices.Contains(taken[i], false))
	}
	return n
}

func (r *layoutReader) swarm(taken *[blockClasses][]bool) *swarm {
	sw := &swarm{infohash: proto.Infohash(r.bytes(20))}
	sw.downloaded = uint32(r.get(most32))
	for i := range sw.sets {
		r.set(&sw.sets[i], setWidth(i), taken)
	}
	return sw
}

func (r *layoutReader) set(set *set, width int, taken *[blockClasses][]bool) {
	set.n = int(r.get(most31))
	set.private = int(r.get(uint64(set.n)))
	blocks, peers, low := r.get(maxItems), 0, uint64(0)
	if blocks > 0 {
		set.dir = make([]blockRef, 0, min(blocks, 1<<10))
	}
	for i := range blocks {
		b := blockRef{low: r.get(most64), at: uint32(r.get(maxItems)), n: uint16(r.get(1<<16 - 1))}
		b.class = uint8(r.get(blockClasses - 1))
		r.must(b.low >= low && (i > 0 || b.low == 0) && b.n > 0 && int(b.n) <= blockCap(b.class, width))
		of := taken[b.class]
		r.must(int(b.at) < len(of) && !of[b.at])
		if r.err != nil {
			return
		}
		of[b.at], low = true, b.low
		peers += int(b.n)
		set.dir = append(set.dir, b)
	}
	r.must(peers == set.n)
}
