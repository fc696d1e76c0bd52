package loop

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A doorbell is how a reactor waits for one socket, in one of three ways, by
// how long the last wait took:
//
//	no time     recvmmsg finds datagrams whenever it is called
//	< nearby    recvmmsg itself waits, in a raw system call with a time limit:
//	            one thread woken for one datagram, the least there is
//	longer      the goroutine is parked, as told at [epoll]. In the other two
//	            the epoll is told to look away, so that what arrives does not
//	            pay for ringing.
//
// A raw system call that blocks keeps the collector waiting if it wants to stop
// the world. It sends a signal then, which ends a recvmmsg with a time limit.
//
// A doorbell belongs to the goroutine that waits, except for [doorbell.ring].
type doorbell struct {
	receive func(flags int) unix.Errno
	fd      int // the caller's
	epoll   *epoll
	try     func(uintptr) bool // attempt, made once

	deaf     bool          // epoll looks away
	nearby   bool          // the last wait was short
	since    time.Duration // when the last wait began, or -1 if it has been measured
	restless int           // receives since the last time the goroutine was parked
}

const (
	// nearby is how long a wait may be to be done in recvmmsg.
	nearby = 250 * time.Microsecond
	// longestNear is the time limit of that. The kernel rounds it up to one or
	// two of its ticks, 1 to 20 ms.
	longestNear = time.Millisecond
	// restlessRounds is after how many receives the epoll looks away.
	restlessRounds = 8
)

// newDoorbell returns a doorbell for socket fd, which stays the caller's.
// receive is to take what has arrived there, without waiting if flags have
// MSG_DONTWAIT.
func newDoorbell(fd int, receive func(flags int) unix.Errno) (*doorbell, error) {
	limit := unix.NsecToTimeval(int64(longestNear))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	e, err := newEpoll()
	if err != nil {
		return nil, err
	}
	d := &doorbell{receive: receive, fd: fd, epoll: e, since: -1}
	d.try = d.attempt
	if errno := e.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, 0); errno != 0 {
		d.close()
		return nil, os.NewSyscallError("epoll_ctl", errno)
	}
	return d, nil
}

// close releases what is the doorbell's own. Nobody may be waiting.
func (d *doorbell) close() { d.epoll.close() }

// wait returns when receive has said anything but EAGAIN. It reports false,
// now and ever after, when ring was called.
func (d *doorbell) wait() bool {
	if d.restless++; d.restless >= restlessRounds {
		d.listen(false)
	}
	return d.epoll.wait(d.try)
}

// ring ends the wait, at the latest when its time limit is over.
func (d *doorbell) ring() { d.epoll.wake() }

// attempt receives once and reports whether that ends the wait. Otherwise the
// goroutine is parked until there is input, and then it is called again.
func (d *doorbell) attempt(uintptr) bool {
	d.measure()
	flags := unix.MSG_DONTWAIT
	if d.nearby {
		flags = 0
		d.listen(false) // or what arrives would wake another thread, to find nobody waiting
		d.since = sinceStart()
	}
	errno := d.receive(flags)
	if errno == unix.EAGAIN && d.deaf {
		// What came meanwhile may never ring: to an epoll that nobody asks what
		// is ready, the socket has been ready all the time.
		d.listen(true)
		errno = d.receive(unix.MSG_DONTWAIT)
	}
	if errno == unix.EAGAIN {
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

// listen has epoll look at the socket or not.
func (d *doorbell) listen(on bool) {
	if d.deaf != on {
		return
	}
	d.deaf = !on
	var look uint32
	if on {
		look = unix.EPOLLIN
	}
	d.epoll.control(unix.EPOLL_CTL_MOD, d.fd, look, 0) // fails only if the socket is closed
}

// start is some moment for sinceStart.
var start = time.Now()

// sinceStart reads the fastest clock there is.
func sinceStart() time.Duration { return time.Since(start) }
