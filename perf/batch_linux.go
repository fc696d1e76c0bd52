package perf

import (
	"fmt"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batchLen is how many datagrams one system call moves. Beyond 64 the cost
	// per datagram no longer falls measurably.
	batchLen = 64
	// socketBuffer is asked for in bytes, for each direction. The generator
	// must not be the one that loses datagrams.
	socketBuffer = 8 << 20
)

// mmsghdr is struct mmsghdr of recvmmsg(2), which x/sys does not have.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32 // bytes received
}

// batch moves up to [batchLen] datagrams with one system call. For sending,
// each datagram carries its own source address in a control message, so that
// one socket stands for any number of clients.
//
// The headers point into the other arrays, so a batch must not be copied.
type batch struct {
	msgs  [batchLen]mmsghdr
	iovs  [batchLen]unix.Iovec
	names [batchLen]unix.RawSockaddrInet6
	bufs  [batchLen][]byte
	ctrls [batchLen][]byte
}

// newBatch returns a batch whose buffers hold size bytes each and, if ctrl is
// not 0, as many bytes of control message.
func newBatch(size, ctrl int) *batch {
	b := new(batch)
	for i := range b.msgs {
		b.bufs[i] = make([]byte, size)
		b.iovs[i].Base = &b.bufs[i][0]
		h := &b.msgs[i].hdr
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		if ctrl > 0 {
			b.ctrls[i] = make([]byte, ctrl)
			h.Control = &b.ctrls[i][0]
			h.SetControllen(ctrl)
		}
	}
	return b
}

// recv receives at least one datagram and at most a batch, and returns how
// many. With flags MSG_DONTWAIT it may be none, otherwise after the socket's
// timeout.
func (b *batch) recv(fd, flags int) (int, error) {
	for i := range b.iovs {
		b.iovs[i].SetLen(len(b.bufs[i]))
	}
	n, err := mmsg(unix.SYS_RECVMMSG, fd, b.msgs[:], flags|unix.MSG_WAITFORONE)
	if err == unix.EAGAIN || err == unix.EINTR {
		return 0, nil
	}
	return n, err
}

// send sends the first n datagrams, all of them.
func (b *batch) send(fd, n int) error {
	for from := 0; from < n; {
		sent, err := mmsg(unix.SYS_SENDMMSG, fd, b.msgs[from:n], 0)
		if err != nil && err != unix.EINTR {
			return err
		}
		from += sent
	}
	return nil
}

// mmsg calls recvmmsg or sendmmsg.
func mmsg(call uintptr, fd int, msgs []mmsghdr, flags int) (int, error) {
	n, _, e := unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), uintptr(flags), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// setName addresses datagram i to a.
func (b *batch) setName(i int, a netip.AddrPort) {
	h := &b.msgs[i].hdr
	h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
	port := [2]byte{byte(a.Port() >> 8), byte(a.Port())}
	if a.Addr().Is4() {
		n := (*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i]))
		n.Family, n.Addr = unix.AF_INET, a.Addr().As4()
		n.Port = *(*uint16)(unsafe.Pointer(&port))
		h.Namelen = unix.SizeofSockaddrInet4
		return
	}
	n := &b.names[i]
	n.Family, n.Addr = unix.AF_INET6, a.Addr().As16()
	n.Port = *(*uint16)(unsafe.Pointer(&port))
	h.Namelen = unix.SizeofSockaddrInet6
}

// takeName makes datagram i carry the sender's address once received.
func (b *batch) takeName(i int) {
	h := &b.msgs[i].hdr
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(&b.names[i])), uint32(unsafe.Sizeof(b.names[i]))
}

// setSource writes the control message that makes datagram i leave from addr.
func (b *batch) setSource(i int, addr netip.Addr) {
	c := b.ctrls[i]
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
	data := unsafe.Pointer(&c[unix.CmsgLen(0)])
	if addr.Is4() {
		h.Level, h.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		*(*unix.Inet4Pktinfo)(data) = unix.Inet4Pktinfo{Spec_dst: addr.As4()}
		return
	}
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	*(*unix.Inet6Pktinfo)(data) = unix.Inet6Pktinfo{Addr: addr.As16()}
}

// sourceSpace is the room a control message of target's family takes.
func sourceSpace(target netip.Addr) int {
	if target.Is4() {
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
}

// openUDP returns an unconnected socket of addr's family, bound to addr if
// that is valid, with large buffers and the receive timeout given.
func openUDP(family int, addr netip.AddrPort, timeout time.Duration) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	// FORCE needs root and goes beyond net.core.rmem_max; the other one is
	// what everybody gets.
	for _, opt := range []int{unix.SO_RCVBUF, unix.SO_RCVBUFFORCE, unix.SO_SNDBUF, unix.SO_SNDBUFFORCE} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, socketBuffer)
	}
	tv := unix.NsecToTimeval(timeout.Nanoseconds())
	err = os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	if err == nil && addr.IsValid() {
		if err = unix.Bind(fd, sockaddr(addr)); err != nil {
			err = fmt.Errorf("bind %s: %w", addr, err)
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// family returns the socket family of a.
func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// sockaddr returns a in the form x/sys wants.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
