package stats

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"sync"
)

// The widths of networks, in bits. 28 and 24 are opentracker's. Its builds for
// IPv6 had 68 and 48, but 64 is what one customer has.
const (
	narrow4, wide4 = 28, 24
	narrow6, wide6 = 64, 48
)

// maxNetworks is the most networks on a list.
const maxNetworks = 128

// Networks counts addresses by network. The zero value is ready.
//
// Its counts are exact up to some 16,000 networks of a width. Beyond that, the
// largest are still found, and what is shown is what a network has for certain:
// never more than it has. It takes at most 800 KB for each width that occurs,
// so 3.2 MB.
type Networks struct {
	narrow4, wide4, narrow6, wide6 tally
}

// Add counts one address. One that is IPv4 mapped into IPv6 counts as IPv4.
func (n *Networks) Add(a netip.Addr) {
	if a = a.Unmap(); !a.Is4() {
		bytes := a.As16()
		prefix := binary.BigEndian.Uint64(bytes[:])
		n.narrow6.add(prefix, 1)
		n.wide6.add(prefix&^(1<<(64-wide6)-1), 1)
		return
	}
	prefix := prefix4(a)
	n.narrow4.add(masked4(prefix, narrow4), 1)
	n.wide4.add(masked4(prefix, wide4), 1)
}

// Merge adds what w has counted.
func (n *Networks) Merge(w *Woodpeckers) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n.narrow4.merge(&w.narrow4)
	n.narrow6.merge(&w.narrow6)
}

// prefix4 returns an IPv4 address as a number.
func prefix4(a netip.Addr) uint64 {
	bytes := a.As4()
	return uint64(binary.BigEndian.Uint32(bytes[:]))
}

func masked4(a uint64, bits int) uint64 { return a >> (32 - bits) << (32 - bits) }

// AppendNetworks appends the page of where peers are: the 128 largest networks
// of each width, the largest first, of one size the lowest first. Those of IPv6
// are left out if there are none.
func AppendNetworks(dst []byte, n *Networks) []byte {
	dst = n.narrow4.append(dst, narrow4, addr4)
	dst = n.wide4.append(dst, wide4, addr4)
	if len(n.narrow6.cells) > 0 {
		dst = n.narrow6.append(dst, narrow6, addr6)
		dst = n.wide6.append(dst, wide6, addr6)
	}
	return dst
}

// AppendWoodpeckers appends the page of networks whose peers come back much
// too soon.
func AppendWoodpeckers(dst []byte, n *Networks) []byte {
	dst = n.narrow4.append(dst, narrow4, addr4)
	if len(n.narrow6.cells) > 0 {
		dst = n.narrow6.append(dst, narrow6, addr6)
	}
	return dst
}

func addr4(key uint64) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(key >> 24), byte(key >> 16), byte(key >> 8), byte(key)})
}

func addr6(key uint64) netip.Addr {
	var bytes [16]byte
	binary.BigEndian.PutUint64(bytes[:], key)
	return netip.AddrFrom16(bytes)
}

// Minutes since the last announce that make a peer a woodpecker, those of
// opentracker. Within the same minute, a client may have been restarted.
const (
	minWoodpecker = 1
	maxWoodpecker = 19
)

// IsWoodpecker reports whether a peer is a woodpecker that was last heard of
// so many minutes ago.
func IsWoodpecker(minutes uint32) bool { return minutes >= minWoodpecker && minutes <= maxWoodpecker }

// Woodpeckers counts, since the start, addresses whose peers come back much too
// soon. Each reactor has one, so its lock is free but when the page is made. The
// zero value is ready; it grows to at most 100 KB, and is exact up to some 1,000
// networks of a family. After that it shows what is certain, as [Networks] does.
type Woodpeckers struct {
	mu               sync.Mutex
	narrow4, narrow6 tally
}

// Add counts an announce of a.
func (w *Woodpeckers) Add(a netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.narrow4.max, w.narrow6.max = maxWoodpeckerCells, maxWoodpeckerCells
	if a = a.Unmap(); a.Is4() {
		w.narrow4.add(masked4(prefix4(a), narrow4), 1)
		return
	}
	bytes := a.As16()
	w.narrow6.add(binary.BigEndian.Uint64(bytes[:]), 1)
}

// A tally counts by key in bounded memory.
//
// It is a hash table in which a key has its place among window cells. While
// there is one free, counts are exact. If there is none, the table doubles, up
// to max. From then on, among the cells where a key may be, the one with the
// smallest count makes place, and the newcomer takes over its count, which is in
// doubt: so who is seen often is not driven out by many who are seen once. What
// is counted without doubt is never too high, and lacks no more than what came
// before the key was driven out for the last time. The scheme is that of
// Space-Saving (Metwally and others, 2005) in windows; theirs, over all cells,
// would be too slow. Because windows overlap, the count with what is in doubt is
// no bound.
type tally struct {
	cells []cell // a power of two, or none yet
	max   int    // most cells, 0 for maxCells
	seed  uint64 // clients choose addresses
}

// Sizes of a tally, in cells of 24 bytes.
const (
	minCells           = 1 << 8
	maxCells           = 1 << 15
	maxWoodpeckerCells = 1 << 11
	window             = 16
)

// A cell whose count is 0 is free.
type cell struct{ key, count, doubt uint64 }

// certain returns how often the key occurred, at least.
func (c *cell) certain() uint64 { return c.count - c.doubt }

// add counts key n times.
func (t *tally) add(key, n uint64) {
	for {
		if len(t.cells) == 0 {
			t.seed = rand.Uint64()
			t.cells = make([]cell, minCells)
		}
		c := t.find(key)
		switch {
		case c.count == 0:
			*c = cell{key: key, count: n}
			return
		case c.key == key:
			c.count += n
			return
		case !t.grow():
			*c = cell{key: key, count: c.count + n, doubt: c.count}
			return
		}
	}
}

// find returns the cell of key, or else a free one, or else the one with the
// smallest count.
func (t *tally) find(key uint64) *cell {
	smallest := &t.cells[t.home(key)]
	for i := range uint64(window) {
		c := &t.cells[(t.home(key)+i)&uint64(len(t.cells)-1)]
		if c.count == 0 || c.key == key {
			return c
		}
		if c.count < smallest.count {
			smallest = c
		}
	}
	return smallest
}

// home returns the first of the cells that key may be in.
func (t *tally) home(key uint64) uint64 {
	h := key ^ t.seed
	h = (h ^ h>>33) * 0xff51afd7ed558ccd // the finalizer of MurmurHash3
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return (h ^ h>>33) & uint64(len(t.cells)-1)
}

// grow doubles the table, if it may.
func (t *tally) grow() bool {
	limit := t.max
	if limit == 0 {
		limit = maxCells
	}
	if len(t.cells) >= limit {
		return false
	}
	old := t.cells
	t.cells = make([]cell, 2*len(old))
	for _, c := range old {
		if c.count > 0 {
			t.add(c.key, c.count) // may grow again
		}
	}
	return true
}

// merge adds what of u is certain.
func (t *tally) merge(u *tally) {
	for i := range u.cells {
		if c := &u.cells[i]; c.count > 0 {
			t.add(c.key, c.certain())
		}
	}
}

// append appends the list of the largest.
func (t *tally) append(dst []byte, bits int, addr func(key uint64) netip.Addr) []byte {
	largest := make([]cell, 0, 2*maxNetworks)
	for _, c := range t.cells {
		if c.count == 0 {
			continue
		}
		if len(largest) == cap(largest) {
			sortCells(largest)
			largest = largest[:maxNetworks]
		}
		largest = append(largest, c)
	}
	sortCells(largest)
	dst = append(dst, "Networks, limit /"...)
	dst = strconv.AppendInt(dst, int64(bits), 10)
	dst = append(dst, ":\n"...)
	for _, c := range largest[:min(len(largest), maxNetworks)] {
		dst = appendPadded(dst, c.certain(), 8)
		dst = append(dst, ": "...)
		dst = addr(c.key).AppendTo(dst)
		dst = append(dst, '\n')
	}
	return append(dst, '\n')
}

// sortCells puts the largest first, of one size the lowest key.
func sortCells(cells []cell) {
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(b.certain(), a.certain()), cmp.Compare(a.key, b.key))
	})
}
