//go:build !purego

package store

import (
	"errors"
	"math"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An arena is memory that another process can go on with: a file without a
// name, of which pieces are mapped. It takes no more than private memory would,
// since a page that nobody has written to is not there, and pages given back
// are punched out of the file.
//
// To write to a page that the system then does not have is the end of the
// process, by a signal, where private memory would have been refused when it was
// mapped. So all pages are asked for before they are used; see commit.
//
// A nil arena is private memory.
type arena struct {
	fd int

	mu   sync.Mutex
	next int64             // all pieces are before it
	at   map[*byte]int64   // where each piece is
	free map[int64][]int64 // by length, pieces given back
}

// arenaLen is the length of the file. It is an address, not memory: what is
// given back is used again for pieces of its length only.
const arenaLen = 1 << 40

// hasArenas reports whether there may be arenas. It is found out once: later on a
// sandbox may not let us ask.
var hasArenas = sync.OnceValue(mayHaveArenas)

// mayHaveArenas reports whether the length of files has no limit, past which there
// is a signal.
func mayHaveArenas() bool {
	var limit unix.Rlimit
	return unix.Getrlimit(unix.RLIMIT_FSIZE, &limit) == nil && limit.Cur >= math.MaxUint64>>1
}

// newArena returns an empty arena, or nil if the system has none.
func newArena() *arena {
	if !hasArenas() {
		return nil
	}
	fd, err := unix.MemfdCreate("store", unix.MFD_CLOEXEC)
	if err != nil {
		return nil
	}
	if unix.Ftruncate(fd, arenaLen) != nil || !comesByPage(fd) || !goesByPage(fd) {
		unix.Close(fd)
		return nil
	}
	return arenaIn(fd)
}

// comesByPage reports whether a page of an empty file can be asked for, and is
// all that comes. An administrator may want huge pages for memory of this kind,
// of which a budget knows nothing.
func comesByPage(fd int) bool {
	var st unix.Stat_t
	return allocate(fd, 0, int64(pageLen)) == nil && unix.Fstat(fd, &st) == nil && st.Blocks*512 == int64(pageLen)
}

// goesByPage reports whether that page is zero again once it is given back. An
// emulator (qemu 7.2 for programs) says that it is done, and does nothing.
func goesByPage(fd int) bool {
	b, err := unix.Mmap(fd, 0, pageLen, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return false
	}
	defer unix.Munmap(b)
	b[0] = 1
	if unix.Madvise(b, unix.MADV_REMOVE) != nil || b[0] != 0 {
		return false
	}
	return unix.Madvise(b, unix.MADV_REMOVE) == nil // to look at it has brought it back
}

// allocateMost is how many bytes are asked for at once: a signal makes the system
// begin again.
const allocateMost = 1 << 20

// allocate has the system put pages into a file. After an error there may be
// some, that nobody uses.
func allocate(fd int, off, n int64) error {
	for n > 0 {
		part := min(n, allocateMost)
		switch err := unix.Fallocate(fd, 0, off, part); {
		case err == nil:
			off, n = off+part, n-part
		case err != unix.EINTR:
			return err
		}
	}
	return nil
}

// arenaIn returns an arena in a file of which no piece is mapped yet.
func arenaIn(fd int) *arena {
	return &arena{fd: fd, at: map[*byte]int64{}, free: map[int64][]int64{}}
}

// openArena returns an arena in a file that another process made. It is closed
// if it is none: what lies behind its end must not be looked at.
func openArena(fd int) (*arena, error) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != arenaLen {
		unix.Close(fd)
		return nil, ErrMemory
	}
	return arenaIn(fd), nil
}

// file returns the descriptor, or -1 if memory is private.
func (a *arena) file() int {
	if a == nil {
		return -1
	}
	return a.fd
}

// close closes the file. Its pieces have been unmapped.
func (a *arena) close() {
	if a != nil {
		unix.Close(a.fd)
	}
}

// mapMemory returns n bytes of zeroed memory, n being whole pages, or nil if the
// system has none. They are addresses until commit is called.
func (a *arena) mapMemory(n int) []byte {
	if a == nil {
		return mapMemory(n)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	off, free := a.next, a.free[int64(n)]
	if len(free) > 0 {
		off = free[len(free)-1]
	}
	b, err := a.piece(off, n)
	if err != nil {
		return nil
	}
	if len(free) > 0 {
		a.free[int64(n)] = free[:len(free)-1]
	}
	return b
}

// commit sees to it that the bytes of a piece from from to to, which are whole
// pages, can be written to. It reports whether the system has them.
func (a *arena) commit(b []byte, from, to int) bool {
	if a == nil {
		return true
	}
	if allocate(a.fd, a.offset(b)+int64(from), int64(to-from)) == nil {
		return true
	}
	a.dropPages(b[from:to])
	return false
}

var errPiece = errors.New("store: a piece of memory lies outside of it")

// piece maps n bytes at off. The caller holds the lock, or nobody else has a.
func (a *arena) piece(off int64, n int) ([]byte, error) {
	if off < 0 || n <= 0 || off%int64(pageLen) != 0 || n%pageLen != 0 || off > arenaLen-int64(n) {
		return nil, errPiece
	}
	b, err := unix.Mmap(a.fd, off, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	avoidHugePages(b)
	a.at[&b[0]] = off
	a.next = max(a.next, off+int64(n))
	return b, nil
}

// unmapMemory gives a piece back to the system.
func (a *arena) unmapMemory(b []byte) {
	if a == nil {
		unmapMemory(b)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	off := a.at[&b[0]]
	delete(a.at, &b[0])
	if unix.Madvise(b, unix.MADV_REMOVE) == nil { // or it would not be zero the next time
		a.free[int64(len(b))] = append(a.free[int64(len(b))], off)
	}
	unmapMemory(b)
}

// dropPages tells the system that the contents of b, which are whole pages, are
// no longer needed.
func (a *arena) dropPages(b []byte) {
	switch {
	case a == nil:
		dropPages(b)
	case len(b) > 0:
		_ = unix.Madvise(b, unix.MADV_REMOVE) // advice; without it the pages merely stay
	}
}

// offset returns where a piece is in the file, or 0 if it is empty.
func (a *arena) offset(b []byte) int64 {
	if len(b) == 0 {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at[&b[0]]
}

// mapWords returns n zeroed words, or nil if the system has no memory.
func (a *arena) mapWords(n int) words {
	if a == nil {
		return mapWords(n)
	}
	b := a.mapMemory(wordsLen(n))
	if b == nil {
		return nil
	}
	if !a.commit(b, 0, len(b)) {
		a.unmapMemory(b)
		return nil
	}
	return wordsIn(b, n)
}

// unmapWords gives w, which mapWords returned, back.
func (a *arena) unmapWords(w words) {
	switch {
	case a == nil:
		unmapWords(w)
	case len(w) > 0:
		a.unmapMemory(memoryOf(w))
	}
}

// wordsIn returns the first n words of a piece, and memoryOf the piece of words.
func wordsIn(b []byte, n int) words {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

func memoryOf(w words) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(w))), wordsLen(len(w)))
}
