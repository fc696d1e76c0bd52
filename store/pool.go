package store

import "math/bits"

// chunkLen is how many bytes a pool grows by, up to twice as many. Of a chunk
// only the pages that were written to cost memory; what rounding it up to pages
// wastes is below a hundredth.
const chunkLen = 256 << 10

// A pool is a dense array of items of one size. Removing an item moves the
// last one into its place, so that the free memory is always the end of the
// array and can be given back: swarms of all sizes come and go for years, and
// free lists would leave every page half empty. Whoever removes an item has
// to tell the owner of the moved one.
type pool struct {
	size   int    // bytes an item, at most the smallest page there is
	shift  uint8  // a chunk holds 1<<shift items
	n      uint32 // items in use, at most maxItems
	paid   uint32 // items that fit into the pages taken from the budget
	blocks bool   // the items are blocks of sets, to which more is promised
	chunks [][]byte
	mem    *arena
}

// maxItems is how many items a pool may have: a ref has 27 bits for them.
const maxItems = 1<<refBits - 1

// init makes p an empty pool of items of size bytes in mem.
func (p *pool) init(size int, mem *arena) {
	p.size, p.mem = size, mem
	p.shift = uint8(bits.Len(uint(chunkLen / size)))
}

// chunkBytes returns the length of a chunk.
func (p *pool) chunkBytes() int { return roundToPage(p.size << p.shift) }

// at returns item i. It is valid until the next add or remove.
func (p *pool) at(i uint32) []byte {
	off := int(i&(1<<p.shift-1)) * p.size
	return p.chunks[i>>p.shift][off : off+p.size : off+p.size]
}

// add appends an item with arbitrary contents and returns its number, or
// reports that there is no memory for it.
func (p *pool) add(b *budget, u urgency) (i uint32, ok bool) {
	if p.n == p.paid && !p.pay(b, u) {
		return 0, false
	}
	p.n++
	return p.n - 1, true
}

// reserve sees to it that the next k calls of add succeed, if no remove comes
// in between, or reports that there is no memory for that.
func (p *pool) reserve(k int, b *budget, u urgency) bool {
	for int(p.paid-p.n) < k {
		if !p.pay(b, u) {
			return false
		}
	}
	return true
}

// pay takes the pages that one more item needs.
func (p *pool) pay(b *budget, u urgency) bool {
	chunk, rest := p.place(p.paid)
	had := roundToPage(rest * p.size)
	have := roundToPage((rest + 1) * p.size)
	if !b.take(have-had, u) {
		return false
	}
	if chunk == len(p.chunks) {
		mem := p.mem.mapMemory(p.chunkBytes())
		if mem == nil {
			b.give(have - had)
			return false
		}
		p.chunks = append(p.chunks, mem)
	}
	if !p.mem.commit(p.chunks[chunk], had, have) {
		b.give(have - had)
		return false
	}
	p.paid = p.fits(chunk, have)
	p.promise(b, have-had)
	return true
}

// promise sets aside for moves between blocks what n bytes more of them may
// need.
func (p *pool) promise(b *budget, n int) {
	if p.blocks {
		b.promised.Add(int64(n) >> promiseShift) // pages divide evenly
	}
}

// place returns where item i is: its chunk and its number there.
func (p *pool) place(i uint32) (chunk, rest int) {
	return int(i >> p.shift), int(i & (1<<p.shift - 1))
}

// fits returns how many items there may be if chunk has so many bytes of pages,
// and those before it all of theirs.
func (p *pool) fits(chunk, bytes int) uint32 {
	return uint32(chunk<<p.shift + min(bytes/p.size, 1<<p.shift))
}

// cost returns how many bytes of pages were taken for the items that are paid
// for. It can be told from their number, because no page is without the
// beginning or end of one.
func (p *pool) cost() int {
	chunk, rest := p.place(p.paid)
	return chunk*p.chunkBytes() + roundToPage(rest*p.size)
}

// remove deletes item i. If it was not the last one, the last one is item i
// now, and its former number is returned with true.
func (p *pool) remove(i uint32, b *budget) (moved uint32, ok bool) {
	p.n--
	if moved, ok = p.n, i != p.n; ok {
		copy(p.at(i), p.at(moved))
	}
	// A swarm that grows passes through all sizes, and what each size kept
	// would add up. One call for a page or for an item that is larger than
	// one is little beside moving the items; what is less waits for Trim.
	if int(p.paid-p.n)*p.size >= 2*pageLen {
		p.trim(b)
	}
	return moved, ok
}

// trim gives memory behind the last item back to the system. The first chunk
// keeps its addresses, which cost nothing.
func (p *pool) trim(b *budget) {
	chunk, rest := p.place(p.n)
	keep := roundToPage(rest * p.size)
	paid := p.fits(chunk, keep)
	if paid == p.paid {
		return
	}
	was, had := p.cost(), p.chunkBytes()
	if last, more := p.place(p.paid); last == chunk {
		had = roundToPage(more * p.size)
	}
	p.paid = paid
	kept := chunk
	if rest > 0 || chunk == 0 {
		kept++
		p.mem.dropPages(p.chunks[chunk][keep:had])
	}
	for i := kept; i < len(p.chunks); i++ {
		p.mem.unmapMemory(p.chunks[i])
		p.chunks[i] = nil
	}
	p.chunks = p.chunks[:kept]
	b.give(was - p.cost())
	p.promise(b, p.cost()-was)
}

// roundToPage returns n rounded up to whole pages.
func roundToPage(n int) int { return (n + pageLen - 1) &^ (pageLen - 1) }
