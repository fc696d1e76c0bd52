//go:build !linux || purego

package store

// An arena would be memory that another process can go on with. Here all memory
// is private.
type arena struct{}

func hasArenas() bool               { return false }
func newArena() *arena              { return nil }
func openArena(int) (*arena, error) { return nil, ErrMemory }

func (*arena) file() int                        { return -1 }
func (*arena) close()                           {}
func (*arena) mapMemory(n int) []byte           { return mapMemory(n) }
func (*arena) piece(int64, int) ([]byte, error) { return nil, ErrMemory }
func (*arena) unmapMemory(b []byte)             { unmapMemory(b) }
func (*arena) dropPages(b []byte)               { dropPages(b) }
func (*arena) commit([]byte, int, int) bool     { return true }
func (*arena) offset([]byte) int64              { return 0 }
func (*arena) mapWords(n int) words             { return mapWords(n) }
func (*arena) unmapWords(w words)               { unmapWords(w) }

func wordsIn([]byte, int) words { return nil }
func memoryOf(words) []byte     { return nil }
