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
	size   int    // bytes an item
	shift  uint8  // a chunk holds 1<<shift items
	n      uint32 // items in use, at most maxItems
	high   uint32 // most items in use since the last trim
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

// add appends an item with arbitrary contents and returns its number.
func (p *pool) add() uint32 {
	if int(p.n>>p.shift) == len(p.chunks) {
		p.chunks = append(p.chunks, p.mem.mapMemory(p.chunkBytes()))
	}
	p.n++
	p.high = max(p.high, p.n)
	return p.n - 1
}

// remove deletes item i. If it was not the last one, the last one is item i
// now, and its former number is returned with true.
func (p *pool) remove(i uint32) (moved uint32, ok bool) {
	p.n--
	if moved, ok = p.n, i != p.n; ok {
		copy(p.at(i), p.at(moved))
	}
	// A swarm that grows passes through all sizes, and what each size kept
	// would add up. One call for a page or for an item that is larger than
	// one is little beside moving the items; what is less waits for Trim.
	if int(p.high-p.n)*p.size >= pageLen {
		p.trim()
	}
	return moved, ok
}

// trim gives memory behind the last item back to the system. The first chunk
// keeps its addresses, which cost nothing.
func (p *pool) trim() {
	if p.high == p.n {
		return
	}
	high := p.high
	p.high = p.n
	used := int((p.n + 1<<p.shift - 1) >> p.shift)
	for i := max(used, 1); i < len(p.chunks); i++ {
		p.mem.unmapMemory(p.chunks[i])
		p.chunks[i] = nil
	}
	p.chunks = p.chunks[:max(used, 1)]
	chunk := p.chunks[max(used, 1)-1]
	begin := max(used, 1) - 1 // number of that chunk
	left := roundToPage((int(p.n) - begin<<p.shift) * p.size)
	was := roundToPage(min((int(high)-begin<<p.shift)*p.size, len(chunk)))
	if left < was {
		p.mem.dropPages(chunk[left:was])
	}
}

// roundToPage returns n rounded up to whole pages.
func roundToPage(n int) int { return (n + pageLen - 1) &^ (pageLen - 1) }
