//go:build !386 && !s390x

package loop

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// An epollLink is a descriptor, and the connection that has it. It is used
// again with the next connection of that number.
type epollLink struct {
	r      *epollReactor
	conn   *conn // nil while there is none
	fd     int
	tag    int32  // what its events carry: another with each connection, never above 0
	events uint32 // watched for; 0 while it is not watched
	unsent []byte // what the kernel did not take yet
}

// read reads once and serves what came. It reports whether the connection is
// to be kept. It is not called while something is unsent: who does not read is
// not heard, and so a client that has nothing more to say gets all of it.
func (k *epollLink) read() bool {
	in := k.r.in
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(k.fd),
		uintptr(unsafe.Pointer(&in[0])), uintptr(len(in)), 0, 0, 0)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return true
	case errno != 0 || n == 0:
		return false
	}
	return k.r.traffic(k.conn, in[:n])
}

// Write implements [link].
func (k *epollLink) Write(p []byte) (int, error) {
	sent := 0
	if len(k.unsent) == 0 {
		n, errno := k.send(p)
		if errno != 0 {
			return 0, errno
		}
		sent = n
	}
	if sent < len(p) {
		k.unsent = append(k.unsent, p[sent:]...)
	}
	return len(p), nil
}

// send sends as much of p, which is not empty, as the kernel takes. If that is
// the last before the connection closes, the kernel is told that more follows:
// the end, which then leaves in the same packet.
func (k *epollLink) send(p []byte) (int, unix.Errno) {
	flags := unix.MSG_NOSIGNAL
	if k.conn.parting {
		flags |= unix.MSG_MORE
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(k.fd),
		uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(flags), 0, 0)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return 0, 0
	case errno != 0:
		return 0, errno
	}
	return int(n), 0
}

// flush sends what was kept. It reports whether the connection is to be kept.
func (k *epollLink) flush() bool {
	n, errno := k.send(k.unsent)
	if errno != 0 {
		return false
	}
	k.conn.moved = n > 0
	if k.unsent = k.unsent[:copy(k.unsent, k.unsent[n:])]; len(k.unsent) > 0 {
		return true
	}
	k.unsent = nil
	if rest := k.conn.rest; rest != nil {
		k.conn.rest = nil
		return k.r.traffic(k.conn, rest)
	}
	return !k.conn.parting // that was what it waited for
}

// watch has the epoll tell what the connection waits for. It reports whether
// there was memory for that.
func (k *epollLink) watch() bool {
	events, op := uint32(unix.EPOLLIN), unix.EPOLL_CTL_MOD
	if len(k.unsent) > 0 {
		events = unix.EPOLLOUT
	}
	if events == k.events {
		return true
	}
	if k.events == 0 {
		op = unix.EPOLL_CTL_ADD
	}
	k.events = events
	return k.r.epoll.control(op, k.fd, events, int(k.tag)) == 0
}

// OutboundBuffered implements [link].
func (k *epollLink) OutboundBuffered() int { return len(k.unsent) }

// Fd implements [link].
func (k *epollLink) Fd() int { return k.fd }

// Dup implements [link].
func (k *epollLink) Dup() (int, error) { return dup(k.fd) }
