//go:build purego

package store

// words is a table's memory seen as 64-bit slots.
type words []uint64

// mapWords returns n zeroed words from the Go heap.
func mapWords(n int) words { return make(words, n) }

// unmapWords leaves w to the collector.
func unmapWords(words) {}
