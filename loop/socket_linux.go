package loop

import (
	"bytes"
	"math"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// balances says that the kernel spreads what arrives for a port over all the
// sockets that share it (since Linux 3.9).
const balances = true

// backlog returns how many connections may wait to be accepted: all that the
// system allows. The kernel cuts the number down by itself, but kernels before
// 4.1 kept 16 bits of it.
func backlog() int {
	b, err := os.ReadFile("/proc/sys/net/core/somaxconn")
	if err != nil {
		return unix.SOMAXCONN
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil || n <= 0 {
		return unix.SOMAXCONN
	}
	return min(n, 1<<16-1)
}

// deferAccept has listening socket fd tell of a connection only when the client
// has said something, or nothing for a second: one event instead of two, and
// whoever connects and is silent costs us nothing yet. Who cannot have it does
// without.
//
// Until then a connection waits with those whose handshake is not over. If
// they get too many, the kernel goes over to SYN cookies, and with them tells
// of each at once. Without cookies it would turn everybody away, so there is
// nothing for those who are silent to fill.
func deferAccept(fd int) {
	if cookies, err := os.ReadFile("/proc/sys/net/ipv4/tcp_syncookies"); err != nil || !bytes.ContainsAny(cookies, "12") {
		return
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
}

// maxQueued is how many bytes the kernel takes of an answer beyond what it may
// send at once, on each connection. Unbounded, that would be up to
// net.ipv4.tcp_wmem, 4 MB.
const maxQueued = 64 << 10

// boundSending bounds what connections of listening socket fd can cost the
// kernel: maxQueued, and a client that acknowledges nothing, or has no room to
// receive, is given up after stallLimit, even if the connection has been closed
// on our side.
func boundSending(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxQueued) // since 3.12
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(stallLimit.Milliseconds()))
}

// widen has the kernel take n bytes more of an answer on connection fd.
func widen(fd, n int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, math.MaxInt32)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, n) // it takes twice as many, for its own needs
}

// setReceiveBuffer asks for n bytes of queue for fd. Less is no error: root
// gets what it asks for, others what net.core.rmem_max allows.
func setReceiveBuffer(fd, n int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, n) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n)
	}
}

// receiveBuffer returns how many of the bytes that were asked for fd has got. The
// kernel tells twice as many: the other half is for what it needs itself.
func receiveBuffer(fd int) int {
	n, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF) // 0 is unknown
	return n / 2
}

// drops returns how many datagrams the kernel threw away because the queue of
// fd was full. Before Linux 4.12 it is always 0.
func drops(fd int) uint32 { return datagrams(fd).dropped }

// queueOf returns what waits at w.
func queueOf(w *watched) queue {
	if w.udp {
		return datagrams(w.fd)
	}
	return connections(w.fd)
}

// datagrams returns what waits at UDP socket fd. Before Linux 4.12 that is
// nothing.
func datagrams(fd int) queue {
	var info [16]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return queue{}
	}
	return queue{
		used:    int(info[unix.SK_MEMINFO_RMEM_ALLOC]),
		size:    int(info[unix.SK_MEMINFO_RCVBUF]),
		dropped: info[unix.SK_MEMINFO_DROPS],
	}
}

// connections returns what waits at listening socket fd: for such a socket,
// these two fields hold the number of connections to be accepted and the most
// there can be.
func connections(fd int) queue {
	var info unix.TCPInfo
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return queue{}
	}
	return queue{used: int(info.Unacked), size: int(info.Sacked)}
}

// interfaceNumber returns the number of a network interface. Package net could say
// it, too, and would be in a router's binary only for that.
func interfaceNumber(name string) (uint32, error) {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r)
	return r.Uint32(), err
}
