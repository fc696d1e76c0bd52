package stats

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// A Window sorts torrents by infohash without ever holding more than so many.
// Listings are in that order, but a store that mixes a secret into where it
// keeps a torrent is in none. Each pass over the store finds the lowest that
// were not found before:
//
//	w := NewWindow(n)
//	for more := true; more; {
//		... w.Add each torrent of the store ...
//		var sorted []Torrent
//		sorted, more = w.Next()
//		... list sorted ...
//	}
//
// With T torrents it takes T/n passes and one; [WindowLen] proposes n. Torrents that come between passes
// are listed if their turn is not over, and none is listed twice.
type Window struct {
	held  []Torrent // the lowest so far; a heap, the highest first, once it is full
	n     int
	floor [20]byte // what is not above it was listed
	begun bool     // floor has a meaning
}

// Bounds of WindowLen: 150 KB and 9.4 MB.
const (
	minWindow = 1 << 12
	maxWindow = 1 << 18
)

// WindowLen returns how many torrents a window should hold that sorts so many:
// a sixteenth of them, at 2.3 bytes for each of all, but no more than 262,144,
// with which five million take 20 passes.
func WindowLen(torrents uint64) int {
	return int(max(minWindow, min(torrents/16, maxWindow)))
}

// NewWindow returns a window of n torrents, 36 bytes each. Memory is taken as it
// is needed.
func NewWindow(n int) *Window { return &Window{n: max(1, n)} }

// Add enters t, unless it was listed or is beyond this pass.
func (w *Window) Add(t *Torrent) {
	if w.begun && !less(&w.floor, &t.Infohash) {
		return
	}
	if len(w.held) < w.n {
		if w.held = append(w.held, *t); len(w.held) == w.n {
			for i := w.n/2 - 1; i >= 0; i-- {
				w.down(i)
			}
		}
		return
	}
	if less(&t.Infohash, &w.held[0].Infohash) {
		w.held[0] = *t
		w.down(0)
	}
}

// Next ends a pass. It returns the torrents found, in order, and whether there
// may be more. They hold until the next call of Add.
func (w *Window) Next() (sorted []Torrent, more bool) {
	sorted = w.held
	slices.SortFunc(sorted, func(a, b Torrent) int { return bytes.Compare(a.Infohash[:], b.Infohash[:]) })
	if len(sorted) > 0 {
		w.floor, w.begun = sorted[len(sorted)-1].Infohash, true
	}
	w.held = w.held[:0]
	return sorted, len(sorted) == w.n
}

// down restores the heap below i.
func (w *Window) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(w.held) {
			return
		}
		if right := child + 1; right < len(w.held) && less(&w.held[child].Infohash, &w.held[right].Infohash) {
			child = right
		}
		if !less(&w.held[i].Infohash, &w.held[child].Infohash) {
			return
		}
		w.held[i], w.held[child] = w.held[child], w.held[i]
		i = child
	}
}

// less reports whether a comes before b. Nearly always the first bytes tell.
func less(a, b *[20]byte) bool {
	high, low := binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(b[:])
	if high != low {
		return high < low
	}
	return bytes.Compare(a[8:], b[8:]) < 0
}
