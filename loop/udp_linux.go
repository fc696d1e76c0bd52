package loop

import (
	"encoding/binary"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tracker/stats"
)

// hasBatches says that the batched transport exists here.
const hasBatches = true

// Sizes of a batch. The arrays are laid out once; the kernel fills the lowest
// slots first, and pages behind slots never used are never given memory.
const (
	batchLen   = 64   // datagrams per system call, at most
	packetLen  = 2048 // bytes of a datagram that are looked at; a scrape of 75 has 1,516
	answerLen  = 1280 // bytes; 200 IPv4 peers are 1,220
	nameLen    = unix.SizeofSockaddrInet6
	controlLen = 48 // bytes; a header of 12 or 16 and at most 20, aligned
)

// A batch is the memory of one UDP socket: what recvmmsg fills, and what
// sendmmsg takes. A name and a control message go back as they came, so the
// two sides share them:
//
//	in[i]  ─► packets[i]        names[i], control[i]
//	out[k] ─► answers[k]   ─►   names[i], control[i] of the question
type batch struct {
	in, out [batchLen]unix.Mmsghdr
	inVec   [batchLen]unix.Iovec
	outVec  [batchLen]unix.Iovec
	control [batchLen][controlLen / 8]uint64 // aligned for the header
	names   [batchLen][nameLen]byte
	from    [batchLen]stats.Family // of out
	packets [batchLen][packetLen]byte
	answers [batchLen][answerLen]byte
}

// A udpReactor answers what comes to one UDP socket, up to [batchLen]
// datagrams with two system calls. It belongs to the goroutine in run; only
// wake may be called by another.
type udpReactor struct {
	*reactor
	fd    int
	route bool // the socket has several addresses; answer from the right one
	bell  *doorbell
	used  int // slots whose lengths the last receive changed
	n     int // datagrams of the last receive
	errno unix.Errno
	*batch
}

// newUDPReactor returns a reactor for socket fd of l. The descriptor stays the
// caller's.
func newUDPReactor(r *reactor, l *listener, fd int) (*udpReactor, error) {
	u := &udpReactor{reactor: r, fd: fd, route: l.wildcard(), used: batchLen, batch: new(batch)}
	for i := range batchLen {
		u.inVec[i].Base = &u.packets[i][0]
		u.inVec[i].SetLen(packetLen)
		u.in[i].Hdr.Iov = &u.inVec[i]
		u.in[i].Hdr.SetIovlen(1)
		u.in[i].Hdr.Name = &u.names[i][0]
		u.out[i].Hdr.Iov = &u.outVec[i]
		u.out[i].Hdr.SetIovlen(1)
		if u.route {
			u.in[i].Hdr.Control = (*byte)(unsafe.Pointer(&u.control[i]))
		}
	}
	if err := u.routeAnswers(l); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	var err error
	u.bell, err = newDoorbell(fd, u.receive)
	return u, err
}

// routeAnswers has the kernel say to which of our addresses a datagram came.
func (u *udpReactor) routeAnswers(l *listener) error {
	switch {
	case !u.route:
		return nil
	case l.addr.AddrPort.Addr().Is4():
		return unix.SetsockoptInt(u.fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	return unix.SetsockoptInt(u.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
}

// run answers until wake is called.
func (u *udpReactor) run() {
	for u.bell.wait() {
		u.watch.start()
		k := 0
		for i := range u.n {
			k = u.answer(i, k)
		}
		u.send(k)
		u.watch.stop(u.stats, u.n)
		if u.errno != 0 && u.errno != unix.EINTR {
			u.stats.Inc(stats.UDPReceiveErrors, stats.V4)
			time.Sleep(receivePause)
		}
	}
}

// wake ends run when it has answered what it has taken. The socket remains as
// it is, with what is waiting there.
func (u *udpReactor) wake() { u.bell.ring() }

// rest undoes wake, so that run may be called again.
func (u *udpReactor) rest() { _ = u.bell.epoll.rest() } // fails only when it is closed

// close releases what the reactor has beside the socket, after run.
func (u *udpReactor) close() { u.bell.close() }

// receivePause is how long a socket is left alone after receiving failed, for
// want of memory for instance, so that failing does not keep a processor busy.
const receivePause = 10 * time.Millisecond

// receive takes up to a batch of datagrams. Unless flags have MSG_DONTWAIT it
// waits for the first, as long as the socket's time limit allows.
func (u *udpReactor) receive(flags int) unix.Errno {
	for i := range u.used {
		h := &u.in[i].Hdr
		h.Namelen = nameLen
		if u.route {
			h.SetControllen(controlLen)
		}
	}
	u.used, u.n = 0, 0
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(u.fd),
		uintptr(unsafe.Pointer(&u.in)), batchLen, uintptr(flags|unix.MSG_WAITFORONE), 0, 0)
	if u.errno = errno; errno == 0 {
		u.used, u.n = int(n), int(n)
	}
	return errno
}

// answer handles datagram i. If it deserves an answer, that becomes the k-th
// to send. It returns how many there are to send now.
func (u *udpReactor) answer(i, k int) int {
	src := source(&u.names[i])
	if u.in[i].Hdr.Namelen == 0 || !src.IsValid() {
		return k // nobody to answer
	}
	out := u.datagram(u.answers[k][:0], u.packets[i][:u.in[i].Len], src)
	if len(out) == 0 {
		return k
	}
	h := &u.out[k].Hdr
	u.outVec[k].Base = &out[0]
	u.outVec[k].SetLen(len(out))
	h.Name, h.Namelen = &u.names[i][0], u.in[i].Hdr.Namelen
	if u.route {
		h.Control = u.in[i].Hdr.Control
		h.SetControllen(u.turn(i))
	}
	u.from[k] = familyOf(src.Addr())
	return k + 1
}

// send sends the first n answers. What the system does not take is lost, as
// datagrams may be, and the rest goes on.
func (u *udpReactor) send(n int) {
	for sent := 0; sent < n; {
		m, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(u.fd),
			uintptr(unsafe.Pointer(&u.out[sent])), uintptr(n-sent), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == 0 && m > 0:
			sent += int(m)
		case errno == unix.EINTR:
		default:
			u.stats.Inc(stats.UDPSendErrors, u.from[sent])
			sent++
		}
	}
}

// turn makes the control message of datagram i, which says to which of our
// addresses it came, one that has the answer leave from there, and returns
// its length; 0 if there is none.
//
// The interface is left for the routing table to choose, as it would without
// us, except where addresses mean nothing without it.
func (u *udpReactor) turn(i int) int {
	n := int(u.in[i].Hdr.Controllen)
	if n < unix.SizeofCmsghdr {
		return 0
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&u.control[i]))
	data := unsafe.Add(unsafe.Pointer(c), unix.CmsgLen(0))
	switch {
	case c.Level == unix.IPPROTO_IP && c.Type == unix.IP_PKTINFO && n >= unix.CmsgLen(unix.SizeofInet4Pktinfo):
		// The kernel has put the address to answer from into Spec_dst: what
		// the question was sent to, or ours if that was a broadcast.
		(*unix.Inet4Pktinfo)(data).Ifindex = 0
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	case c.Level == unix.IPPROTO_IPV6 && c.Type == unix.IPV6_PKTINFO && n >= unix.CmsgLen(unix.SizeofInet6Pktinfo):
		info := (*unix.Inet6Pktinfo)(data)
		if !netip.AddrFrom16(info.Addr).IsLinkLocalUnicast() {
			info.Ifindex = 0
		}
		return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	}
	return 0
}

// source reads a socket address as the kernel writes it. The zone is dropped;
// IPv4 is IPv4, whichever socket it came through.
func source(name *[nameLen]byte) netip.AddrPort {
	port := binary.BigEndian.Uint16(name[2:])
	switch binary.NativeEndian.Uint16(name[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(name[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(name[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}
