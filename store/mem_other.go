//go:build !unix

package store

// pageLen is what memory is handed out in, in bytes.
const pageLen = 4096

// mapMemory returns n bytes of zeroed memory from the Go heap.
func mapMemory(n int) []byte { return make([]byte, n) }

// unmapMemory leaves b to the collector.
func unmapMemory([]byte) {}

// dropPages has nothing to say to the collector.
func dropPages([]byte) {}
