package perf

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// httpBuffer holds the answers to a whole pipeline: 16 of 1.5 kB, and slack.
const httpBuffer = 32 << 10

// maxDepth is the longest pipeline: what [httpBuffer] holds answers for.
const maxDepth = 16

// HTTP sends requests over up to Window connections to one tracker and takes
// the answers, from one thread with epoll. Its exported fields may be changed
// between runs. It belongs to one goroutine.
//
// Without KeepAlive, each request has a connection of its own, from the source
// it names. With it, each connection carries one request after the other, or
// up to Depth at a time, and all of them come from the source of the first.
// A connection that the tracker closes is opened again, and the unanswered
// requests on it are lost.
type HTTP struct {
	Limits
	KeepAlive bool
	Depth     int // requests outstanding on a connection, 1 to 16; 0 means 1

	target  netip.AddrPort
	host    string
	sources []netip.Addr
	ep      int
	conns   []conn
	ready   []int32 // connections that can take a request
	out     int     // requests outstanding
	events  [batchLen]unix.EpollEvent
	res     *Result
	last    int64 // ns, of the last answer
}

// conn is one connection. Its slices are reused by those that follow it.
type conn struct {
	fd      int     // -1 while there is none
	in      []byte  // answers, as far as received
	out     []byte  // requests not yet taken by the kernel
	due     []int64 // ns, of the requests outstanding, oldest first
	sent    int64   // ns, when the last request was made
	isReady bool    // stands in ready
}

// OpenHTTP returns a generator that sends to target, a loopback address, from
// sources. It connects nothing yet. It returns [ErrNotLoopback] or what the
// system said.
func OpenHTTP(target netip.AddrPort, sources []netip.Addr) (*HTTP, error) {
	if !target.Addr().IsLoopback() {
		return nil, fmt.Errorf("%w: %s", ErrNotLoopback, target)
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &HTTP{target: target, host: target.String(), sources: sources, ep: ep}, nil
}

// Close closes all connections.
func (h *HTTP) Close() {
	for i := range h.conns {
		h.hangUp(&h.conns[i])
	}
	_ = unix.Close(h.ep)
}

// Run implements [Generator]. It returns [ErrSilent], [ErrSource], or what the
// system said, and with each what was counted until then.
func (h *HTTP) Run(next func(*Request) bool) (*Result, error) {
	h.reset()
	p := newPacer(&h.Limits, next)
	h.last = p.begin
	scanned := p.begin
	for {
		now := nanotime()
		if err := h.issue(&p, now); err != nil {
			return h.res, err
		}
		if !p.more && h.out == 0 {
			break
		}
		n, err := unix.EpollWait(h.ep, h.events[:], h.wait(&p, now))
		if err != nil && err != unix.EINTR {
			return h.res, os.NewSyscallError("epoll_wait", err)
		}
		for j := range h.events[:max(n, 0)] {
			h.event(&h.events[j])
		}
		if now = nanotime(); now-scanned > int64(h.Timeout)/8 {
			scanned = now
			h.scan(now)
			if now-h.last > int64(max(silence, 2*h.Timeout)) && h.out > 0 {
				return h.res, ErrSilent
			}
		}
	}
	h.res.Elapsed = time.Duration(nanotime() - p.begin)
	return h.res, nil
}

// reset prepares a run. Connections of the last run stay open.
func (h *HTTP) reset() {
	h.Limits.init()
	def(&h.Depth, 1)
	h.Depth = min(max(h.Depth, 1), maxDepth)
	for i := h.Window; i < len(h.conns); i++ {
		h.hangUp(&h.conns[i])
	}
	h.conns = h.conns[:min(len(h.conns), h.Window)]
	for len(h.conns) < h.Window {
		h.conns = append(h.conns, conn{fd: -1})
	}
	h.ready, h.out, h.res = h.ready[:0], 0, new(Result)
	for i := range h.conns {
		h.conns[i].isReady = true
		h.ready = append(h.ready, int32(i))
	}
}

// issue writes requests that are due to connections that are ready.
func (h *HTTP) issue(p *pacer, now int64) error {
	for len(h.ready) > 0 && p.more {
		i := h.ready[len(h.ready)-1]
		c := &h.conns[i]
		var r Request
		var from uint32 // the source of the first
		for len(c.due) < h.Depth {
			due, ok := p.take(now, &r)
			if !ok {
				break
			}
			if int(r.Source) >= len(h.sources) {
				return ErrSource
			}
			if len(c.due) == 0 {
				from = r.Source
			}
			c.out = appendHTTP(c.out, &r, h.host, h.KeepAlive)
			c.due, c.sent = append(c.due, due), now
			h.out++
			h.res.Sent++
		}
		if len(c.out) == 0 {
			return nil // nothing is due
		}
		c.isReady = false
		h.ready = h.ready[:len(h.ready)-1]
		if c.fd >= 0 {
			h.write(c)
		} else if err := h.dial(i, h.sources[from]); err != nil {
			return err
		}
	}
	return nil
}

// wait returns for how many ms to wait for events.
func (h *HTTP) wait(p *pacer, now int64) int {
	const most = 20
	if !p.more || len(h.ready) == 0 {
		return most
	}
	return int(min(max(p.untilDue(now)-time.Millisecond, 0)/time.Millisecond, most))
}

// dial opens connection i from an address and writes to it.
func (h *HTTP) dial(i int32, source netip.Addr) error {
	fd, err := unix.Socket(family(h.target.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	// Without this option, bind picks the port and the number of connections
	// is that of free ports, not of pairs of ports and addresses.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if h.Depth > 1 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	err = os.NewSyscallError("bind", unix.Bind(fd, sockaddr(netip.AddrPortFrom(source, 0))))
	if err == nil {
		if err = unix.Connect(fd, sockaddr(h.target)); err == unix.EINPROGRESS {
			err = nil
		}
		err = os.NewSyscallError("connect", err)
	}
	if err != nil {
		_ = unix.Close(fd)
		return err
	}
	// On this machine the connection is there by now, as a rule, and takes the
	// request at once. Then there is nothing to wait for but the answer.
	c := &h.conns[i]
	c.fd = fd
	h.write(c)
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: i}
	if len(c.out) > 0 || h.KeepAlive {
		e.Events |= unix.EPOLLOUT
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(h.ep, unix.EPOLL_CTL_ADD, fd, &e))
}

// write hands the kernel what it takes. The rest waits for the next event;
// errors show when reading.
func (h *HTTP) write(c *conn) {
	for len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		if err != nil || n <= 0 {
			return
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
}

// event reads what a connection has for us and writes what it waits for.
func (h *HTTP) event(e *unix.EpollEvent) {
	i := e.Fd
	c := &h.conns[i]
	if c.fd < 0 {
		return // closed by an earlier event of this batch
	}
	h.write(c)
	eof := h.read(c, e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	now := nanotime()
	for len(c.due) > 0 {
		n, good := answerLen(c.in, eof)
		if n == 0 {
			break
		}
		h.answer(c, n, good, now)
	}
	switch {
	case eof, !h.KeepAlive && len(c.due) == 0:
		h.drop(c)
	case len(c.in) == httpBuffer:
		h.drop(c) // an answer longer than any tracker gives
	}
	if !c.isReady && len(c.due) < h.Depth && len(c.out) == 0 {
		c.isReady = true
		h.ready = append(h.ready, i)
	}
}

// read reads what there is and reports whether the connection ended. Less than
// there was room for is all there is; what comes after makes a new event.
func (h *HTTP) read(c *conn, ended bool) (eof bool) {
	if c.in == nil {
		c.in = make([]byte, 0, httpBuffer)
	}
	for len(c.in) < httpBuffer {
		room := httpBuffer - len(c.in)
		n, err := unix.Read(c.fd, c.in[len(c.in):httpBuffer])
		if err == unix.EAGAIN || err == unix.EINTR {
			return false
		}
		if err != nil || n <= 0 {
			return true
		}
		c.in = c.in[:len(c.in)+n]
		if n < room && !ended {
			return false
		}
	}
	return false
}

// answer takes the first n bytes as the answer to the oldest request.
func (h *HTTP) answer(c *conn, n int, good bool, now int64) {
	h.res.Bytes += uint64(n)
	h.last = now
	if good {
		h.res.Answered++
		h.res.Latency.Add(time.Duration(now - c.due[0]))
	} else {
		h.res.Refused++
	}
	h.out--
	c.due = c.due[:copy(c.due, c.due[1:])]
	c.in = c.in[:copy(c.in, c.in[n:])]
}

// drop gives up a connection and what is outstanding on it.
func (h *HTTP) drop(c *conn) {
	h.res.Lost += uint64(len(c.due))
	h.out -= len(c.due)
	h.hangUp(c)
}

// hangUp closes a connection, if it is open, and empties its buffers.
func (h *HTTP) hangUp(c *conn) {
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
	}
	c.fd, c.in, c.out, c.due = -1, c.in[:0], c.out[:0], c.due[:0]
}

// scan gives up connections whose time is over.
func (h *HTTP) scan(now int64) {
	for i := range h.conns {
		c := &h.conns[i]
		if len(c.due) == 0 || now-c.due[0] < int64(h.Timeout) || now-c.sent < int64(h.Timeout) {
			continue
		}
		h.drop(c)
		if !c.isReady {
			c.isReady = true
			h.ready = append(h.ready, int32(i))
		}
	}
}
