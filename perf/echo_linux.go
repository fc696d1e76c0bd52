package perf

import (
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Echo is the floor no tracker can go below under full load: a UDP server that
// receives and sends the batches a tracker does, and answers every announce
// with the same peers. It looks at nothing but the action and copies the transaction id.
type Echo struct {
	fd      int
	peers   int
	in, out *batch
	stop    atomic.Bool
	stopped chan struct{} // closed when Serve has returned
}

// OpenEcho binds a socket to addr, a loopback address, and answers with as
// many IPv4 peers. It returns [ErrNotLoopback], or what the system said.
func OpenEcho(addr netip.AddrPort, peers int) (*Echo, error) {
	if !addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("%w: %s", ErrNotLoopback, addr)
	}
	fd, err := openUDP(family(addr.Addr()), addr, 200*time.Millisecond)
	if err != nil {
		return nil, err
	}
	e := &Echo{
		fd: fd, peers: peers, stopped: make(chan struct{}),
		in: newBatch(maxRequest, 0), out: newBatch(maxDatagram, 0),
	}
	for i := range e.in.msgs {
		e.in.takeName(i)
	}
	return e, nil
}

// Addr returns where the server listens.
func (e *Echo) Addr() (netip.AddrPort, error) {
	sa, err := unix.Getsockname(e.fd)
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, os.NewSyscallError("getsockname", err)
}

// Serve answers until [Echo.Close], and then returns nil, or until the system
// reports an error. It is called once.
func (e *Echo) Serve() error {
	defer close(e.stopped)
	defer unix.Close(e.fd)
	for !e.stop.Load() {
		n, err := e.in.recv(e.fd, 0)
		if err != nil {
			return os.NewSyscallError("recvmmsg", err)
		}
		out := 0
		for i := range n {
			out += e.answer(i, out)
		}
		if err := e.out.send(e.fd, out); err != nil {
			return os.NewSyscallError("sendmmsg", err)
		}
		for i := range n {
			e.in.takeName(i) // the kernel has shortened it to what was there
		}
	}
	return nil
}

// answer puts the answer to datagram i at position out, and returns 1, or 0
// for a datagram that is no request.
func (e *Echo) answer(i, out int) int {
	pkt := e.in.bufs[i][:e.in.msgs[i].n]
	if len(pkt) < udpHeaderLen {
		return 0
	}
	b := e.out.bufs[out]
	n := udpConnectLen
	switch pkt[11] {
	case actionAnnounce:
		n = 20 + 6*e.peers
	case actionScrape:
		n = 8 + 12*((len(pkt)-udpHeaderLen)/20)
	}
	copy(b[:4], pkt[8:12])
	copy(b[4:8], pkt[12:16])
	e.out.iovs[out].SetLen(n)
	to := &e.out.msgs[out].hdr
	to.Name, to.Namelen = e.in.msgs[i].hdr.Name, e.in.msgs[i].hdr.Namelen
	return 1
}

// Close ends Serve and waits for that, at most as long as its receive takes.
func (e *Echo) Close() {
	e.stop.Store(true)
	<-e.stopped
}
