package store

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/cespare/xxhash/v2"
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
// on with the memory of the other: not if it has no arenas, as programs built
// with tag purego do. Whether ports are limited decides in what order peers lie.
func Layout(l Limits) uint64 { return layoutOf(l, hasArenas()) }

func layoutOf(l Limits, arenas bool) uint64 {
	var b []byte
	for _, n := range append([]int{
		memoryLayout, pageLen, chunkLen, minTableLen, blockUnit, blockClasses, blockOwner,
		recordPeers, recordTail, snapshotVersion, oneIf(l.byAddress()), oneIf(arenas),
	}, recordClasses[:]...) {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return xxhash.Sum64(b)
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
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

// Why a store cannot go on with another's memory.
var (
	// ErrLayout says that what was told of it cannot be.
	ErrLayout = errors.New("store: that is not where a store's memory is")
	// ErrMemory says that it is no store's memory, or cannot be mapped here.
	ErrMemory = errors.New("store: there is no memory of a store")
)

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
	var err error
	if s.mem, err = openArena(memory); err != nil {
		return err
	}
	r := layoutReader{from: layout, sum: xxhash.New()}
	copy(s.secret.torrent[:], r.bytes(len(s.secret.torrent)))
	for i := range s.secret.peer {
		s.secret.peer[i] = r.get(1<<64 - 1)
	}
	shards := int(r.get(maxShards))
	s.swept = int(r.get(uint64(max(shards, 1)) - 1))
	if r.must(shards > 0 && shards&(shards-1) == 0); r.err != nil {
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
	r.must(r.get(1<<64-1) == want)
	r.must(r.apart())
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
