package loop

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A doorbell makes a reactor wait for its socket without the Go runtime taking
// notice.
//
// A thread that blocks in a system call of Go's is looked after: the runtime's
// monitor thread is woken, looks every 20 µs at first, and takes the blocked
// thread's processor away. For a server that is asked now and then, that is a
// hundred wakeups for each datagram, and several times the work of answering
// it. So nothing here blocks where the runtime sees it, in one of three ways,
// by how long the last wait took:
//
//	no time     recvmmsg finds datagrams whenever it is called. After a while
//	            the epoll below is told to look away, so that what arrives
//	            does not pay for ringing.
//	< nearby    recvmmsg itself waits, in a raw system call with a time limit:
//	            one thread woken for one datagram, the least there is. It
//	            keeps one of Go's processors meanwhile, which a TCP reactor
//	            could be short of, so only while there are no connections.
//	longer      the goroutine is parked in the runtime's own epoll, as one
//	            that reads from a connection.
//
// The socket itself is not registered with the runtime, which would ask for
// room to send as well, and be woken by every answer that leaves. An epoll of
// ours in between asks for input only:
//
//	socket ─► epoll, input only ─► the runtime's epoll ─► goroutine
//
// Raw system calls keep the collector waiting if it wants to stop the world.
// It sends a signal then, which ends a recvmmsg that has a time limit.
//
// A doorbell belongs to the goroutine that waits, except for [doorbell.ring].
type doorbell struct {
	receive func(flags int) unix.Errno
	fd      int // the caller's
	ep      int // epoll of ours, owned by epoll
	epoll   *os.File
	parker  syscall.RawConn
	try     func(uintptr) bool // attempt, made once
	conns   *quota             // shared; counts connections

	deaf     bool          // epoll looks away
	waits    bool          // the receive under way may wait
	nearby   bool          // the last wait was short
	since    time.Duration // when the last wait began, or -1 if it has been measured
	restless int           // receives since the last wait
}

const (
	// nearby is how long a wait may be to be done in recvmmsg.
	nearby = 250 * time.Microsecond
	// longestNear is the time limit of that. The kernel rounds it up to one or
	// two of its ticks, 1 to 20 ms.
	longestNear = time.Millisecond
	// restlessRounds is after how many receives without a wait others get a
	// turn, and epoll looks away.
	restlessRounds = 8
)

// newDoorbell returns a doorbell for socket fd, which stays the caller's.
// receive is to take what has arrived there, without waiting if flags have
// MSG_DONTWAIT.
func newDoorbell(fd int, conns *quota, receive func(flags int) unix.Errno) (*doorbell, error) {
	limit := unix.NsecToTimeval(int64(longestNear))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	err = os.NewSyscallError("epoll_ctl", unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN}))
	err = errors.Join(err, unix.SetNonblock(ep, true)) // or the runtime would not poll it
	d := &doorbell{receive: receive, fd: fd, ep: ep, epoll: os.NewFile(uintptr(ep), "epoll"), conns: conns, since: -1}
	d.try = d.attempt
	if err == nil {
		d.parker, err = d.epoll.SyscallConn()
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// close releases what is the doorbell's own. Nobody may be waiting.
func (d *doorbell) close() { _ = d.epoll.Close() }

// wait returns when receive has said anything but EAGAIN. It reports false,
// now and ever after, when ring was called.
func (d *doorbell) wait() bool {
	if d.restless++; d.restless%restlessRounds == 0 {
		d.listen(false)
		runtime.Gosched()
	}
	return d.parker.Read(d.try) == nil
}

// ring ends the wait, at the latest when its time limit is over.
func (d *doorbell) ring() { _ = d.epoll.SetReadDeadline(time.Unix(1, 0)) }

// attempt receives once and reports whether that ends the wait. Otherwise the
// goroutine is parked until there is input, and then it is called again.
func (d *doorbell) attempt(uintptr) bool {
	d.measure()
	flags := unix.MSG_DONTWAIT
	if d.nearby && d.conns.used.Load() == 0 {
		flags = 0
		d.since = sinceStart()
	}
	errno := d.receive(flags)
	if errno == unix.EAGAIN {
		d.listen(true)
		d.restless = 0
		d.since = sinceStart()
		return false
	}
	d.measure()
	return true
}

// measure ends a wait, if there was one.
func (d *doorbell) measure() {
	if d.since >= 0 {
		d.nearby = sinceStart()-d.since < nearby
		d.since = -1
	}
}

// listen has epoll look at the socket or not. If something is there already,
// it says so at once.
func (d *doorbell) listen(on bool) {
	if d.deaf != on {
		return
	}
	d.deaf = !on
	var look unix.EpollEvent
	if on {
		look.Events = unix.EPOLLIN
	}
	_ = unix.EpollCtl(d.ep, unix.EPOLL_CTL_MOD, d.fd, &look) // fails only if the socket is closed
}

// start is some moment for sinceStart.
var start = time.Now()

// sinceStart reads the fastest clock there is.
func sinceStart() time.Duration { return time.Since(start) }
