//go:build !386 && !s390x

package loop

import (
	"os"
	"slices"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hasEpoll says that the transport of ours exists here.
const hasEpoll = true

// An epollReactor is a [tcpReactor] on an epoll of its own. For a connection
// with one request, which is how nearly all clients ask, it makes these calls
// and no other, once the epoll has said that there are some:
//
//	accept4 ─► recvfrom ─► tcpReactor.traffic ─► sendto ─► shutdown ─► close
//
// because [deferAccept] tells of a connection when there is something to read.
// Only what is to go on after that, a request that is not all here, a
// connection that is kept, an answer that does not fit the send buffer, is
// watched by the epoll. The last answer and the end of the connection leave in
// one packet.
//
// It belongs to the goroutine in run; others may call stop and closeIdle.
type epollReactor struct {
	*tcpReactor
	barrier *barrier
	logf    func(format string, args ...any)

	epoll  *epoll
	shared atomic.Pointer[epoll] // the same for those who wake us; nil until run has it
	chores atomic.Bool           // somebody woke us
	paused atomic.Bool           // a door is
	brake  brake

	doors  []door
	links  []*epollLink // by descriptor; nil where there never was one
	events [batchLen]unix.EpollEvent
	name   [nameLen]byte // of who is being accepted
	in     []byte        // what was read
}

// A door is a socket that listens.
type door struct {
	fd     int // not closed here
	number int // its place in doors, counted from 1
	proxy  bool
	paused bool // accepting failed; it is not watched until the next chores
}

func newEpollReactor(t *tcpReactor, b *barrier, logf func(format string, args ...any)) tcpTransport {
	return &epollReactor{tcpReactor: t, barrier: b, logf: logf, brake: newBrake(), in: make([]byte, readBuffer)}
}

// add implements [tcpTransport].
func (r *epollReactor) add(l *listener, fd int) error {
	r.doors = append(r.doors, door{fd: fd, number: len(r.doors) + 1, proxy: l.addr.Proxy})
	return unix.SetNonblock(fd, true)
}

// run implements [tcpTransport].
func (r *epollReactor) run() {
	err := r.openEpoll()
	r.barrier.booted <- err
	if err != nil {
		return
	}
	defer r.epoll.close()
	defer r.closeAll()
	select {
	case <-r.barrier.closed:
	case <-r.barrier.serve:
	}
	serve := r.serve
	for !r.barrier.isClosed() {
		r.epoll.wait(serve)
		// In this order, or a call of wake might be lost.
		_ = r.epoll.rest()
		if r.chores.Swap(false) {
			r.doChores()
		}
		r.brake.hold(r.barrier.closed)
	}
}

// openEpoll opens the epoll and has it watch the doors.
func (r *epollReactor) openEpoll() error {
	e, err := newEpoll()
	if err != nil {
		return err
	}
	for _, d := range r.doors {
		if errno := e.control(unix.EPOLL_CTL_ADD, d.fd, unix.EPOLLIN, d.number); errno != 0 {
			e.close()
			return os.NewSyscallError("epoll_ctl", errno)
		}
	}
	r.epoll = e
	r.shared.Store(e)
	return nil
}

// stop implements [tcpTransport].
func (r *epollReactor) stop() { r.wake() }

// closeIdle implements [tcpTransport]. A reactor that has nothing to do is not
// woken up.
func (r *epollReactor) closeIdle() {
	if r.open.Load() > 0 || r.paused.Load() {
		r.wake()
	}
}

// halt implements [tcpTransport].
func (r *epollReactor) halt() {
	r.brake.put()
	r.wake()
	r.brake.wait()
}

// resume implements [tcpTransport].
func (r *epollReactor) resume() { r.brake.release() }

// connections implements [tcpTransport].
func (r *epollReactor) connections() (all []Conn) {
	for c := r.conns.first; c != nil; c = c.next {
		k := c.link.(*epollLink)
		all = append(all, Conn{
			FD: k.fd, Src: c.src, Proxied: c.proxied, Draining: c.draining, Waiting: c.unsent, Parting: c.parting,
			Deaf: k.deaf, Partial: c.partial, Unsent: k.unsent,
		})
	}
	return all
}

// adopt implements [tcpTransport].
func (r *epollReactor) adopt(c *Conn) bool {
	k := r.link(c.FD)
	if k.conn = r.adopted(k, c); k.conn == nil {
		return false
	}
	k.deaf, k.unsent = c.Deaf, c.Unsent
	k.watch()
	return true
}

// wake has run look at what there is to do besides serving.
func (r *epollReactor) wake() {
	r.chores.Store(true)
	if e := r.shared.Load(); e != nil {
		e.wake()
	}
}

// doChores closes connections whose time is over, and opens doors again.
func (r *epollReactor) doChores() {
	for c := r.overdue(); c != nil; c = r.overdue() {
		r.close(c.link.(*epollLink))
	}
	if !r.paused.Swap(false) {
		return
	}
	for i := range r.doors {
		if d := &r.doors[i]; d.paused {
			d.paused = r.epoll.control(unix.EPOLL_CTL_MOD, d.fd, unix.EPOLLIN, d.number) != 0
		}
	}
}

// closeAll closes every connection.
func (r *epollReactor) closeAll() {
	for c := r.conns.first; c != nil; c = r.conns.first {
		r.close(c.link.(*epollLink))
	}
}

// serve serves until there is nothing left to do and reports whether there are
// chores.
func (r *epollReactor) serve(uintptr) bool {
	for !r.chores.Load() {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.epoll.fd),
			uintptr(unsafe.Pointer(&r.events)), batchLen, 0, 0, 0)
		if errno != 0 || n == 0 {
			return false
		}
		for i := range r.events[:n] {
			r.event(&r.events[i])
		}
	}
	return true
}

// event serves one event.
func (r *epollReactor) event(ev *unix.EpollEvent) {
	if ev.Pad > 0 {
		r.acceptAll(&r.doors[ev.Pad-1])
		return
	}
	k := r.links[ev.Fd]
	if k.conn == nil {
		return
	}
	if ev.Events&unix.EPOLLOUT != 0 && !k.flush() || ev.Events&^unix.EPOLLOUT != 0 && !k.read() {
		r.close(k)
		return
	}
	k.watch()
}

// acceptAll accepts what waits at d, as many as a batch. The epoll tells of
// the rest once more.
func (r *epollReactor) acceptAll(d *door) {
	for range batchLen {
		size := uint32(nameLen)
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(d.fd),
			uintptr(unsafe.Pointer(&r.name)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch {
		case errno == 0:
			r.accepted(int(fd), d.proxy)
		case errno == unix.EAGAIN:
			return
		case !passes(errno):
			r.pause(d, errno)
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

// pause leaves d alone until the next chores, so that failing does not keep a
// processor busy. Who waits there goes on waiting.
func (r *epollReactor) pause(d *door, errno unix.Errno) {
	r.logf("accept: %v; trying again in a second", errno)
	if r.epoll.control(unix.EPOLL_CTL_MOD, d.fd, 0, d.number) == 0 {
		d.paused = true
		r.paused.Store(true)
	}
}

// accepted serves a new connection, whose name is in r, and keeps it if that
// was not all.
func (r *epollReactor) accepted(fd int, proxied bool) {
	k := r.link(fd)
	if k.conn = r.opened(k, source(&r.name), proxied); k.conn == nil {
		unix.Close(fd)
		return
	}
	if !k.read() {
		r.close(k)
		return
	}
	k.watch()
}

// link returns the link of fd.
func (r *epollReactor) link(fd int) *epollLink {
	for fd >= len(r.links) {
		r.links = append(r.links, nil)
	}
	if r.links[fd] == nil {
		r.links[fd] = &epollLink{r: r, fd: fd}
	}
	return r.links[fd]
}

// close closes a connection.
func (r *epollReactor) close(k *epollLink) {
	if k.conn.left && k.events != 0 { // the desk has the socket, and no epoll watches it
		r.epoll.control(unix.EPOLL_CTL_DEL, k.fd, 0, 0)
	}
	if k.conn.parting {
		// Closing alone would send what send held back, unless there is input
		// that nobody has read: then it is forgotten.
		unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(k.fd), unix.SHUT_WR, 0)
	}
	r.closed(k.conn)
	k.conn, k.events, k.deaf, k.unsent = nil, 0, false, nil
	if k.fd >= maxFreeConns {
		r.links[k.fd] = nil // of a flood, not to be seen again soon
		if r.open.Load() == 0 {
			r.links = slices.Clone(r.links[:maxFreeConns])
		}
	}
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(k.fd), 0, 0)
}
