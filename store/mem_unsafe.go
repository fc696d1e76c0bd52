//go:build !purego

package store

import "unsafe"

// words is a table's memory seen as 64-bit slots.
type words []uint64

// mapWords returns n zeroed words outside the Go heap, or nil if the system has
// no memory. What is mapped is page-aligned, so the words are aligned on every
// CPU.
func mapWords(n int) words {
	b := mapMemory(roundToPage(8 * n))
	if b == nil {
		return nil
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// unmapWords gives w, which mapWords returned, back to the system.
func unmapWords(w words) {
	unmapMemory(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), roundToPage(8*len(w))))
}
