package loop

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An epoll is what a reactor waits with, without the Go runtime taking notice.
//
// A thread that blocks in a system call of Go's is looked after: the runtime's
// monitor thread is woken, looks every 20 µs at first, and takes the blocked
// thread's processor away. A server that is asked now and then is woken a
// hundred times for each request by that, which is several times the work of
// answering. So no reactor makes a system call that blocks where the runtime
// sees it. The epoll is a file in the runtime's own poller, and the goroutine
// that waits for it is parked as one that reads from a connection would be:
//
//	sockets ─► epoll of ours ─► the runtime's epoll ─► goroutine
//
// The sockets themselves are not the runtime's, which would ask for room to
// send with each of them, and be woken by every answer that leaves.
//
// All system calls of a reactor are raw ones, and but for one told at [doorbell]
// they return at once. A reactor that never has to wait never lets go of its
// processor, and the runtime looks into its poller only where one is free. So
// every reactor needs one, and there must be one more: see [needProcessors].
type epoll struct {
	fd   int // of file
	file *os.File
	raw  syscall.RawConn
}

// newEpoll opens an epoll that watches nothing yet.
func newEpoll() (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	nonblock := unix.SetNonblock(fd, true) // or the runtime would not poll it
	e := &epoll{fd: fd, file: os.NewFile(uintptr(fd), "epoll")}
	e.raw, err = e.file.SyscallConn()
	err = errors.Join(nonblock, err, e.rest()) // rest fails if the runtime does not poll it
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// control changes what socket fd is watched for. Events carry tag.
func (e *epoll) control(op, fd int, events uint32, tag int) unix.Errno {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: int32(tag)}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(e.fd), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	return errno
}

// wait calls try until it reports true, with the goroutine parked in between
// until a socket is ready. It reports false if wake ended that first.
func (e *epoll) wait(try func(uintptr) bool) bool { return e.raw.Read(try) == nil }

// wake ends waiting, and keeps it from beginning again until rest. Any
// goroutine may call it.
func (e *epoll) wake() { _ = e.file.SetReadDeadline(time.Unix(1, 0)) } // fails only when it is closed

// wakeIn does the same after d. It is for who waits, and undoes a wake: there
// must be another way to see that there was one.
func (e *epoll) wakeIn(d time.Duration) { _ = e.file.SetReadDeadline(time.Now().Add(d)) }

// rest undoes wake.
func (e *epoll) rest() error { return e.file.SetReadDeadline(time.Time{}) }

// close closes it. Nobody may be waiting.
func (e *epoll) close() { _ = e.file.Close() }
