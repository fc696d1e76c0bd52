package main

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// slowRequest is what slow clients send, a byte at a time. They never get to
// its end.
var slowRequest = []byte(fmt.Sprintf("GET /announce?info_hash=%s HTTP/1.1\r\n", escape(witnessHash[:])))

// slowRound is in what time each slow connection gets one byte.
const slowRound = 2 * time.Second

// A slowConn is a connection that dawdles.
type slowConn struct {
	fd   int // -1 if there is none
	sent int
}

// slow holds thousands of connections open that send a byte every two seconds
// each, and opens those again that the tracker closes.
func slow(t *trial) error {
	conns := make([]slowConn, t.scale.slow)
	for i := range conns {
		conns[i].fd = -1
	}
	defer func() {
		for i := range conns {
			conns[i].close()
		}
	}()
	opened, most := 0, 0
	begin := time.Now()
	rounds := max(int(2*t.scale.short/slowRound), 1)
	for round := range rounds {
		for i := range conns {
			if conns[i].fd < 0 {
				if err := conns[i].open(t.Addr, hostile[i%len(hostile)]); err != nil {
					return err
				}
				opened++
			}
			conns[i].trickle()
			if i%100 == 0 { // all that are open in one round, no faster
				due := begin.Add(time.Duration(round)*slowRound + slowRound*time.Duration(i)/time.Duration(len(conns)))
				time.Sleep(time.Until(due))
			}
		}
		if st, err := t.Status(); err == nil {
			most = max(most, st.Files-t.before.Files)
		}
	}
	now, err := t.Status()
	if err != nil {
		return err
	}
	t.say("%d connections at most, opened %d times, %.2f kB of RSS each", most, opened,
		float64(now.RSS-t.before.RSS)/1024/float64(max(most, 1)))
	return nil
}

// open opens the connection without waiting for it.
func (c *slowConn) open(target netip.AddrPort, from netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("slow connections: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	err = unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()})
	if err == nil {
		if err = unix.Connect(fd, &unix.SockaddrInet4{Addr: target.Addr().As4(), Port: int(target.Port())}); err == unix.EINPROGRESS {
			err = nil
		}
	}
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("slow connections: %w", err)
	}
	*c = slowConn{fd: fd}
	return nil
}

// trickle sends the next byte, and closes the connection if the tracker has.
func (c *slowConn) trickle() {
	var b [1 << 10]byte
	n, _, err := unix.Recvfrom(c.fd, b[:], unix.MSG_DONTWAIT)
	if n == 0 && err == nil || err != nil && err != unix.EAGAIN && err != unix.EINTR && err != unix.ENOTCONN {
		c.close()
		return
	}
	if err := unix.Sendto(c.fd, slowRequest[c.sent:c.sent+1], unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil); err == nil {
		c.sent = (c.sent + 1) % len(slowRequest)
	}
}

func (c *slowConn) close() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}
