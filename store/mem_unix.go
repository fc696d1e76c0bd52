//go:build unix

package store

import "golang.org/x/sys/unix"

// pageLen is what memory is handed out and taken back in, in bytes: 4 kB nearly
// everywhere, 16 or 64 kB on some ARM machines.
var pageLen = unix.Getpagesize()

// mapMemory returns n bytes of zeroed memory outside the Go heap, so that the
// collector neither walks it nor keeps as much again in reserve. A page costs
// nothing until it is written to. It returns nil if the system has none: a
// limit of the process, or of the system, was reached before the budget.
func mapMemory(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	avoidHugePages(b)
	return b
}

// unmapMemory gives b, which mapMemory returned, back to the system. Where it
// lies between other memory and the system has too many pieces already, it
// cannot be cut out; then the addresses stay, and only the pages go.
func unmapMemory(b []byte) {
	if err := unix.Munmap(b); err == unix.ENOMEM {
		dropPages(b)
	} else if err != nil {
		panic("store: munmap: " + err.Error())
	}
}

// dropPages tells the system that the contents of b, which are whole pages, are
// no longer needed. They read as zero afterwards, or as they were: do not care.
func dropPages(b []byte) {
	if len(b) > 0 {
		_ = unix.Madvise(b, unix.MADV_DONTNEED) // advice; without it the pages merely stay
	}
}
