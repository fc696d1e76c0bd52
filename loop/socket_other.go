//go:build !linux

package loop

import (
	"net"

	"golang.org/x/sys/unix"
)

// balances says that of several sockets that share a port only one gets what
// arrives: reactors have to share one socket.
const balances = false

// backlog returns how many connections may wait to be accepted. Systems cut
// the number down to what they allow.
func backlog() int { return 1 << 12 }

// deferAccept would have fd tell of connections when there is something to
// read. These systems cannot, or only with a filter that has to be loaded.
func deferAccept(int) {}

// boundSending would bound what connections of fd can cost the kernel. These
// systems have bounds of their own.
func boundSending(int) {}

// widen has the kernel take n bytes more of an answer on connection fd.
func widen(fd, n int) { _ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 2*n) }

// setReceiveBuffer asks for n bytes of queue for fd. Less is no error.
func setReceiveBuffer(fd, n int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n)
}

// receiveBuffer returns how many bytes of queue fd has got.
func receiveBuffer(fd int) int {
	n, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF) // 0 is unknown
	return n
}

// drops returns 0: there is no way to ask.
func drops(int) uint32 { return 0 }

// queueOf returns an empty queue, for the same reason.
func queueOf(*watched) queue { return queue{} }

// interfaceNumber returns the number of a network interface.
func interfaceNumber(name string) (uint32, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	return uint32(i.Index), nil
}
