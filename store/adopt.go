package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/cespare/xxhash/v2"

	"tracker/proto"
)

// A store whose memory is an [arena] can be gone on with by another process,
// without a copy of it: that maps the same memory, and is told where what is.
// Nothing but that, some bytes for each 256 kB and what there is of each large
// swarm on the Go heap, is written and read while nobody may use the store.
//
// Numbers are little-endian, and all have 8 bytes unless it says otherwise:
//
//	secrets          48 bytes
//	shards           their number, those swept, and for each:
//	    table        where its slots are, their number, home, n
//	    sweep        class, left, swarm, set, key
//	    now, leechers, seeders
//	    pools        of records and blocks: paid, n, chunks, and where each chunk is
//	    swarms       their number, and for each 1 or 0 if there is none:
//	        infohash 20 bytes, downloaded, and for each set n, private, blocks:
//	            low, at, n, class
//	checksum         xxHash64 of all this

// memoryLayout is the number of what lies in memory and what it means. It has to
// change whenever something there changes: records, blocks, tables, hashes,
// stamps, this description. A test reminds of it. Two programs with different
// numbers hand over a snapshot instead, which takes the memory twice.
const memoryLayout = 2

// Layout returns a number that two processes have in common only if one can go
// on with the memory of the other. Whether ports are limited decides in what
// order peers lie.
func Layout(l Limits) uint64 {
	byAddress := 0
	if l.byAddress() {
		byAddress = 1
	}
	var b []byte
	for _, n := range append([]int{
		memoryLayout, pageLen, chunkLen, minTableLen, blockUnit, blockClasses, blockOwner,
		recordPeers, recordTail, snapshotVersion, byAddress,
	}, recordClasses[:]...) {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return xxhash.Sum64(b)
}

// Memory returns the descriptor of the store's memory, which another process
// may go on with, or -1 if that cannot be. It stays the store's.
func (s *Store) Memory() int { return s.mem.file() }

// WriteLayout writes where what is in the store's memory. Nobody may use the
// store any more, unless nobody ever adopts it.
func (s *Store) WriteLayout(w io.Writer) error {
	l := layoutWriter{to: w, sum: xxhash.New()}
	l.bytes(s.secret.torrent[:])
	for _, x := range s.secret.peer {
		l.put(x)
	}
	l.put(uint64(len(s.shards)), uint64(s.swept))
	for i := range s.shards {
		l.shard(&s.shards[i], s.mem)
	}
	l.flush(0)
	l.put(l.sum.Sum64())
	l.flush(0)
	return l.err
}

// A layoutWriter collects numbers and writes many at a time.
type layoutWriter struct {
	to  io.Writer
	sum *xxhash.Digest
	b   []byte
	err error
}

func (l *layoutWriter) put(numbers ...uint64) {
	for _, x := range numbers {
		l.b = binary.LittleEndian.AppendUint64(l.b, x)
	}
	l.flush(snapshotFlush)
}

func (l *layoutWriter) bytes(b []byte) { l.b = append(l.b, b...) }

// flush writes what there is if that is as many bytes.
func (l *layoutWriter) flush(least int) {
	if len(l.b) < least || l.err != nil {
		return
	}
	l.sum.Write(l.b) // never fails
	_, l.err = l.to.Write(l.b)
	l.b = l.b[:0]
}

func (l *layoutWriter) shard(sh *shard, mem *arena) {
	l.put(uint64(mem.offset(memoryOf(sh.tab.slots))), uint64(len(sh.tab.slots)), uint64(sh.tab.home), uint64(sh.tab.n))
	w := &sh.sweep
	l.put(uint64(w.class), uint64(w.left), uint64(w.swarm), uint64(w.set), w.key)
	l.put(uint64(sh.now), uint64(sh.leechers), uint64(sh.seeders))
	for _, pools := range [...][]pool{sh.records[1:], sh.blocks[:]} {
		for i := range pools {
			p := &pools[i]
			l.put(uint64(p.paid), uint64(p.n), uint64(len(p.chunks)))
			for _, c := range p.chunks {
				l.put(uint64(mem.offset(c)))
			}
		}
	}
	l.put(uint64(len(sh.swarms)))
	for _, sw := range sh.swarms {
		if sw == nil {
			l.put(0)
			continue
		}
		l.put(1)
		l.bytes(sw.infohash[:])
		l.put(uint64(sw.downloaded))
		for i := range sw.sets {
			set := &sw.sets[i]
			l.put(uint64(set.n), uint64(set.private), uint64(len(set.dir)))
			for _, r := range set.dir {
				l.put(r.low, uint64(r.at), uint64(r.n), uint64(r.class))
			}
		}
	}
}

// ErrLayout says that what was told of a store's memory cannot be.
var ErrLayout = errors.New("store: that is not where a store's memory is")

// Adopt makes the store, which must be empty, that of another process, which
// wrote layout and has the same [Layout]. Options are those of this store: if
// there is more than they allow, nothing new is stored until there is less. The
// descriptor of its memory is the store's afterwards, whatever the error.
// Nothing is changed in that memory, and after an error nothing may be done with
// the store.
func (s *Store) Adopt(memory int, layout io.Reader) error {
	expire := s.shards[0].expire
	for i := range s.shards {
		s.shards[i].release()
	}
	s.mem.close()
	s.mem = openArena(memory)
	r := layoutReader{from: layout, sum: xxhash.New()}
	copy(s.secret.torrent[:], r.bytes(len(s.secret.torrent)))
	for i := range s.secret.peer {
		s.secret.peer[i] = r.get(1<<64 - 1)
	}
	shards := int(r.get(maxShards))
	s.swept = int(r.get(uint64(max(shards, 1)) - 1))
	if r.err == nil && (shards == 0 || shards&(shards-1) != 0) {
		r.err = ErrLayout
	}
	if r.err != nil {
		return r.err
	}
	s.divide(shards)
	for i := range s.shards {
		sh := &s.shards[i]
		sh.init(s, expire)
		if r.shard(sh, s.mem); r.err != nil {
			return r.err
		}
	}
	want := r.sum.Sum64()
	if r.get(1<<64-1) != want && r.err == nil {
		r.err = ErrLayout
	}
	if r.err != nil {
		return r.err
	}
	if checked {
		for i := range s.shards {
			s.shards[i].check()
		}
	}
	return nil
}

// A layoutReader reads what a layoutWriter wrote.
type layoutReader struct {
	from io.Reader
	sum  *xxhash.Digest
	b    [64]byte
	err  error
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
	if x > most && r.err == nil {
		r.err = ErrLayout
	}
	if r.err != nil {
		return 0
	}
	return x
}

// piece maps the next piece of memory, of n bytes.
func (r *layoutReader) piece(mem *arena, n int) (b []byte) {
	off := int64(r.get(1<<63 - 1))
	if r.err == nil {
		b, r.err = mem.piece(off, n)
	}
	return b
}

func (r *layoutReader) shard(sh *shard, mem *arena) {
	const most32 = 1<<32 - 1
	off := int64(r.get(1<<63 - 1))
	slots := int(r.get(min(1<<31, math.MaxInt/16))) // whose bytes can be counted
	sh.tab.home, sh.tab.n = uint32(r.get(uint64(slots))), uint32(r.get(uint64(slots)))
	if r.err == nil && slots > 0 {
		var b []byte
		if b, r.err = mem.piece(off, wordsLen(slots)); r.err == nil {
			sh.tab.slots = wordsIn(b, slots)
		}
	}
	b := sh.budget
	b.torrents.Add(int64(sh.tab.n))
	b.used.Add(int64(wordsLen(slots)))
	w := &sh.sweep
	w.class, w.left, w.swarm = int(r.get(uint64(len(sh.records)))), uint32(r.get(most32)), uint32(r.get(most32))
	w.set, w.key = int(r.get(3)), r.get(1<<64-1)
	sh.now, sh.leechers, sh.seeders = Minute(r.get(most32)), int(r.get(1<<31-1)), int(r.get(1<<31-1))
	for _, pools := range [...][]pool{sh.records[1:], sh.blocks[:]} {
		for i := range pools {
			p := &pools[i]
			p.paid = uint32(r.get(maxItems))
			p.n = uint32(r.get(uint64(p.paid)))
			for range r.get(maxItems>>p.shift + 1) {
				if p.chunks = append(p.chunks, r.piece(mem, p.chunkBytes())); r.err != nil {
					return
				}
			}
			chunk, rest := p.place(p.paid)
			if int(p.paid) > len(p.chunks)<<p.shift || p.paid != p.fits(chunk, roundToPage(rest*p.size)) {
				r.err = ErrLayout
				return
			}
			b.used.Add(int64(p.cost()))
			p.promise(b, p.cost())
		}
	}
	for i := range uint32(r.get(1<<refBits - 1)) {
		if r.get(1) == 0 {
			sh.swarms, sh.freeSwarms = append(sh.swarms, nil), append(sh.freeSwarms, i)
		} else {
			sh.swarms = append(sh.swarms, r.swarm(sh))
			b.promised.Add(swarmPromise)
		}
		if r.err != nil {
			return
		}
	}
}

func (r *layoutReader) swarm(sh *shard) *swarm {
	sw := &swarm{infohash: proto.Infohash(r.bytes(20))}
	sw.downloaded = uint32(r.get(1<<32 - 1))
	for i := range sw.sets {
		set := &sw.sets[i]
		set.n, set.private = int(r.get(1<<31-1)), int(r.get(1<<31-1))
		blocks := r.get(maxItems)
		if blocks > 0 {
			set.dir = make([]blockRef, 0, min(blocks, 1<<10))
		}
		for range blocks {
			b := blockRef{low: r.get(1<<64 - 1), at: uint32(r.get(maxItems)), n: uint16(r.get(1<<16 - 1))}
			b.class = uint8(r.get(blockClasses - 1))
			if r.err == nil && b.at >= sh.blocks[b.class].n {
				r.err = ErrLayout
			}
			if r.err != nil {
				return sw
			}
			set.dir = append(set.dir, b)
		}
	}
	return sw
}
