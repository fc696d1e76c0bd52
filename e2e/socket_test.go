//go:build linux

package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// This file looks at sockets from outside: in /proc/PID/net, which shows those
// of the network namespace the process is in, and with sock_diag. proc(5) has:
//
//	  sl  local_address rem_address   st tx_queue rx_queue ...
//	   0: 0100007F:1B39 00000000:0000 0A 00000000:00000000 ...

// stateListen is the state of a listening TCP socket, TCP_LISTEN of the kernel.
const stateListen = "0A"

// freePort returns a port of 127.0.0.1 that is free for TCP and UDP.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().(*net.TCPAddr).AddrPort()
		c, err := net.ListenPacket("udp4", addr.String())
		l.Close()
		if err == nil {
			c.Close()
			return addr
		}
	}
	t.Fatal("no port of 127.0.0.1 is free for both TCP and UDP")
	return netip.AddrPort{}
}

// tcpListens reports whether a TCP socket listens on port where pid runs.
func tcpListens(pid int, port uint16) bool {
	return anySocket(pid, "tcp", func(f []string) bool {
		return f[3] == stateListen && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port))
	})
}

// udpBound reports whether a UDP socket has port where pid runs.
func udpBound(pid int, port uint16) bool {
	return anySocket(pid, "udp", func(f []string) bool {
		return strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port))
	})
}

// anySocket reports whether match holds for the fields of any socket of the
// protocol, in either family.
func anySocket(pid int, protocol string, match func(fields []string) bool) bool {
	for _, family := range []string{"", "6"} {
		table, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s%s", pid, protocol, family))
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 4 && match(f) {
				return true
			}
		}
	}
	return false
}

// awaitRead waits until the tracker has taken everything sent over c so far, so
// that what is sent next is a segment of its own. It returns without a word if
// the connection is gone, or the kernel does not tell.
func (s *server) awaitRead(c *net.TCPConn) {
	ours := c.LocalAddr().(*net.TCPAddr).AddrPort()
	for deadline := time.Now().Add(answerLimit); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if n, err := unread(s.addr, ours); n == 0 || err != nil {
			return
		}
	}
}

// Offsets and lengths of inet_diag_req_v2 and inet_diag_msg, sock_diag(7), after
// the netlink header.
const (
	diagRequestLen = 56
	diagUnread     = unix.SizeofNlMsghdr + 56 // idiag_rqueue
)

// unread returns how many bytes wait to be read at the local end of an IPv4 TCP
// connection. It asks the kernel for this one socket: to read all of
// /proc/net/tcp takes longer than a tracker waits for a slow client, on a
// machine with many sockets.
func unread(local, remote netip.AddrPort) (uint32, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	order := binary.NativeEndian
	q := order.AppendUint32(nil, unix.SizeofNlMsghdr+diagRequestLen)
	q = order.AppendUint16(q, unix.SOCK_DIAG_BY_FAMILY)
	q = order.AppendUint16(q, unix.NLM_F_REQUEST)
	q = append(q, make([]byte, 8)...)                   // sequence number, port id
	q = append(q, unix.AF_INET, unix.IPPROTO_TCP, 0, 0) // no extensions, padding
	q = append(q, 0xff, 0xff, 0xff, 0xff)               // in any state
	q = binary.BigEndian.AppendUint16(q, local.Port())
	q = binary.BigEndian.AppendUint16(q, remote.Port())
	q = append(append(q, local.Addr().AsSlice()...), make([]byte, 12)...)
	q = append(append(q, remote.Addr().AsSlice()...), make([]byte, 12)...)
	q = append(q, 0, 0, 0, 0)                                     // on any interface
	q = append(q, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff) // no cookie
	if err := unix.Sendto(fd, q, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return 0, err
	}
	if n < diagUnread+4 || order.Uint16(answer[4:]) != unix.SOCK_DIAG_BY_FAMILY {
		return 0, errors.New("no such socket")
	}
	return order.Uint32(answer[diagUnread:]), nil
}
