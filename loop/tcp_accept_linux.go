//go:build !386 && !s390x

package loop

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tracker/stats"
)

// A door is a socket that listens.
type door struct {
	fd     int // not closed here
	number int // its place in doors, counted from 1
	addr   *Addr
	paused bool // accepting failed; it is not watched for a while
}

// acceptAll accepts what waits at d, as many as a batch. The epoll tells of
// the rest once more.
func (r *epollReactor) acceptAll(d *door) {
	got, made := false, false // somebody, room
	for range batchLen {
		size := uint32(nameLen)
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(d.fd),
			uintptr(unsafe.Pointer(&r.name)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch {
		case errno == 0:
			r.accepted(int(fd), d.addr)
			got = true
		case errno == unix.EAGAIN || got && !passes(errno):
			return // for want of a descriptor it fails even if nobody waits
		case passes(errno):
		case !made && r.makeRoom(rankAsking):
			r.lacks(errno)
			made = true
		default:
			r.lacks(errno)
			r.pause(d)
			return
		}
	}
}

// passes reports whether a failure to accept is the trouble of one connection,
// which is gone. Any other stays, such as a lack of descriptors.
func passes(errno unix.Errno) bool {
	switch errno {
	case unix.ECONNABORTED, unix.EINTR, unix.EPROTO, unix.ENOPROTOOPT, unix.EOPNOTSUPP,
		unix.ENETDOWN, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.ENONET, unix.ETIMEDOUT:
		return true
	}
	return false
}

// lacks counts and tells of a failure to accept.
func (r *epollReactor) lacks(errno unix.Errno) {
	r.stats.Inc(stats.TCPAcceptErrors, stats.V4)
	r.quota.lack.feel(r.clock.millis.Load(), errno, r.logf)
}

// acceptPause is how long a door is left alone after accepting failed, so that
// failing does not keep a processor busy. If a connection of ours closes, it is
// less.
const acceptPause = 50 * time.Millisecond

// pause leaves d alone for [acceptPause]. Who waits there goes on waiting.
func (r *epollReactor) pause(d *door) {
	if r.epoll.control(unix.EPOLL_CTL_MOD, d.fd, 0, d.number) == 0 {
		d.paused, r.paused = true, true
	}
	r.epoll.wakeIn(acceptPause) // if ring was called, chores remind us
}

// accepted serves a new connection to an address of ours, whose name is in r,
// and keeps it if that was not all.
func (r *epollReactor) accepted(fd int, to *Addr) {
	k := r.newLink(fd)
	if k.conn = r.opened(k, source(&r.name), to); k.conn == nil {
		unix.Close(fd)
		return
	}
	r.settle(k, k.read())
}

// openDoors has doors watched again that were paused.
func (r *epollReactor) openDoors() {
	if !r.paused {
		return
	}
	r.paused = false
	for i := range r.doors {
		if d := &r.doors[i]; d.paused {
			d.paused = r.epoll.control(unix.EPOLL_CTL_MOD, d.fd, unix.EPOLLIN, d.number) != 0
			r.paused = r.paused || d.paused
		}
	}
}
