package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// leavers are the clients that ask for everything at a time. Ours answers four
// and lets sixteen wait.
const leavers = 16

// leave comes from an address that may ask for such answers: others are turned
// down, or get one in five minutes. It asks for a list of all torrents time
// and again, reads the first bytes, and goes: every other time with a reset,
// otherwise with a FIN first.
func leave(t *trial) error {
	var left, refused atomic.Int64
	var wait sync.WaitGroup
	deadline := time.Now().Add(12 * t.scale.short)
	for range leavers {
		wait.Go(func() {
			for time.Now().Before(deadline) {
				n := left.Add(1)
				if n > int64(t.scale.leave) {
					left.Add(-1)
					return
				}
				if !abandon(t.Addr, n%2 == 0) {
					left.Add(-1)
					refused.Add(1)
					time.Sleep(5 * time.Millisecond) // it says that it is busy
				}
			}
		})
	}
	wait.Wait()
	t.say("%d answers abandoned, %d turned down", left.Load(), refused.Load())
	t.must(left.Load() == int64(t.scale.leave), "only %d of %d long answers began", left.Load(), t.scale.leave)
	return nil
}

// abandon asks for a list of all torrents and leaves after the first bytes. It
// reports whether there were any.
func abandon(target netip.AddrPort, reset bool) bool {
	d := net.Dialer{
		Timeout: 10 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(auditor, 0)), Control: smallWindow,
	}
	conn, err := d.Dial("tcp", target.String())
	if err != nil {
		return false
	}
	c := conn.(*net.TCPConn)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := fmt.Fprintf(c, "GET /scrape HTTP/1.1\r\nHost: %s\r\n\r\n", target); err != nil {
		return false
	}
	b := make([]byte, 1<<10)
	n, err := c.Read(b)
	if err != nil || !bytes.Contains(b[:min(n, 20)], []byte(" 200 ")) {
		return false
	}
	if reset {
		_ = c.SetLinger(0)
	} else {
		_ = c.CloseWrite()
	}
	return true
}

// smallWindow lets a client take little at a time, so that a long answer waits
// for it.
func smallWindow(network, address string, c syscall.RawConn) error {
	if err := c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10) }); err != nil {
		return err
	}
	return manyPorts(network, address, c)
}
