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
// It belongs to the goroutine in run; others may call stop, wake and closeOverdue.
type epollReactor struct {
	*tcpReactor
	barrier *barrier
	logf    Logf

	epoll  *epoll
	shared atomic.Pointer[epoll] // the same for those who wake us; nil until run has it
	chores atomic.Bool           // somebody woke us
	paused bool                  // a door is
	brake  brake

	doors  []door
	links  []*epollLink // by descriptor; nil where there is none to be used again
	linked int          // links of descriptors from maxFreeConns on
	tag    int32        // of the last connection
	events [batchLen]unix.EpollEvent
	name   [nameLen]byte // of who is being accepted
	in     []byte        // what was read
}

func newEpollReactor(t *tcpReactor, b *barrier, logf Logf) tcpTransport {
	r := &epollReactor{tcpReactor: t, barrier: b, logf: logf, brake: newBrake(), in: make([]byte, readBuffer)}
	t.hangUp = func(c *conn) { r.close(c.link.(*epollLink)) }
	t.wake = r.ring
	t.resumes = true
	return r
}

// add implements [tcpTransport].
func (r *epollReactor) add(l *listener, fd int) {
	r.doors = append(r.doors, door{fd: fd, number: len(r.doors) + 1, addr: &l.addr})
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
		if r.chores.Swap(false) || r.paused {
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
func (r *epollReactor) stop() { r.ring() }

// closeOverdue implements [tcpTransport]. A reactor that has nothing to do is
// not woken up.
func (r *epollReactor) closeOverdue() {
	if r.due(r.clock.millis.Load()) {
		r.ring()
	}
}

// halt implements [tcpTransport].
func (r *epollReactor) halt() {
	r.brake.put() // first: if somebody has rung already, that will do
	r.ring()
	r.brake.wait()
}

// resume implements [tcpTransport].
func (r *epollReactor) resume() { r.brake.release() }

// connections implements [tcpTransport].
func (r *epollReactor) connections() (all []Conn) {
	now := r.clock.millis.Load()
	for i := range r.waiting {
		for c := r.waiting[i].first; c != nil; c = c.next {
			k := c.link.(*epollLink)
			handed := c.handedOn(k.fd, now)
			handed.Unsent = k.unsent
			all = append(all, handed)
		}
	}
	return all
}

// adopt implements [tcpTransport].
func (r *epollReactor) adopt(c *Conn) bool {
	k := r.newLink(c.FD)
	k.unsent = c.Unsent
	k.conn = r.adopted(k, c)
	if !r.placeAdopted(k.conn, c) || !k.watch() {
		r.close(k)
	}
	return true
}

// ring has run look at what there is to do besides serving.
func (r *epollReactor) ring() {
	if r.chores.Swap(true) {
		return // it has not looked yet
	}
	if e := r.shared.Load(); e != nil {
		e.wake()
	}
}

// doChores closes connections whose time is over or whose place another
// reactor needs, and opens doors again.
func (r *epollReactor) doChores() {
	r.oblige()
	r.openDoors()
	if r.closeSome() {
		r.chores.Store(true) // after others were served, and newcomers first of all
		for i := range r.doors {
			r.acceptAll(&r.doors[i])
		}
	}
}

// closeAll closes every connection. In a pause they may have become another
// process's: then nothing is said to anybody.
func (r *epollReactor) closeAll() {
	silently := r.brake.isOn()
	for i := range r.waiting {
		for c := r.waiting[i].first; c != nil; c = r.waiting[i].first {
			if silently {
				c.parting, c.link.(*epollLink).unsent = false, nil
			}
			r.hangUp(c)
		}
	}
}

// serve serves until there is nothing left to do, or chores, which it reports.
// However often there are chores, in between some are served.
func (r *epollReactor) serve(uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(r.epoll.fd),
			uintptr(unsafe.Pointer(&r.events)), batchLen, 0, 0, 0)
		if errno != 0 {
			n = 0
		}
		for i := range r.events[:n] {
			r.event(&r.events[i])
		}
		if r.chores.Load() {
			return true
		}
		if n == 0 {
			return false
		}
	}
}

// event serves one event. It may be about a connection that was closed for
// another a moment ago, and whose descriptor has a new one since.
func (r *epollReactor) event(ev *unix.EpollEvent) {
	if ev.Pad > 0 {
		r.acceptAll(&r.doors[ev.Pad-1])
		return
	}
	if int(ev.Fd) >= len(r.links) {
		return
	}
	k := r.links[ev.Fd]
	if k == nil || k.conn == nil || k.tag != ev.Pad {
		return
	}
	ok := false
	switch {
	case len(k.unsent) == 0:
		ok = k.read()
	case ev.Events&(unix.EPOLLERR|unix.EPOLLHUP) == 0:
		ok = k.flush()
	}
	r.settle(k, ok)
}

// settle has k wait for more, or closes it unless it is to be kept.
func (r *epollReactor) settle(k *epollLink, keep bool) {
	if keep && r.place(k.conn) && k.watch() {
		return
	}
	r.close(k)
}

// newLink returns the link of fd for a connection that is new there.
func (r *epollReactor) newLink(fd int) *epollLink {
	k := r.link(fd)
	if r.tag--; r.tag > 0 { // there were 2³¹
		r.tag = 0
	}
	k.tag = r.tag
	return k
}

// link returns the link of fd.
func (r *epollReactor) link(fd int) *epollLink {
	for fd >= len(r.links) {
		r.links = append(r.links, nil)
	}
	if r.links[fd] == nil {
		r.links[fd] = &epollLink{r: r, fd: fd}
		if fd >= maxFreeConns {
			r.linked++
		}
	}
	return r.links[fd]
}

// close closes a connection. If the client has not taken all of its answer, the
// kernel is to forget it, too: nobody knows how long it would keep it.
func (r *epollReactor) close(k *epollLink) {
	switch {
	case len(k.unsent) > 0:
		abort(k.fd)
	case k.conn.left && k.events != 0: // the desk has the socket, and no epoll watches it
		r.epoll.control(unix.EPOLL_CTL_DEL, k.fd, 0, 0)
	case k.conn.parting:
		// Closing alone would send what send held back, unless there is input
		// that nobody has read: then it is forgotten.
		unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(k.fd), unix.SHUT_WR, 0)
	}
	r.closed(k.conn)
	k.conn, k.events, k.unsent = nil, 0, nil
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(k.fd), 0, 0)
	if r.linked > maxFreeConns && r.open < r.linked/4 {
		r.trim()
	}
	r.openDoors()
}

// trim forgets the links of a flood that is over, which may not be seen again
// soon. A link that is kept has been used since the last time.
func (r *epollReactor) trim() {
	end := maxFreeConns
	r.linked = 0
	for fd := end; fd < len(r.links); fd++ {
		switch k := r.links[fd]; {
		case k == nil:
		case k.conn == nil:
			r.links[fd] = nil
		default:
			r.linked++
			end = fd + 1
		}
	}
	r.links = slices.Clone(r.links[:end])
}
