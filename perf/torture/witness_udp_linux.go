package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// errSilent is why a lane gives an announce up.
var errSilent = errors.New("no answer")

// A call is an announce that waits for its answer.
type call struct {
	asked time.Time
	due   time.Time // when it is sent again, or given up
	try   int       // how often it was sent again
}

// retransmissions is how often an announce is sent again. BEP 15 allows for
// eight; nobody should need more than two.
const retransmissions = 2

// dial opens the lane's socket and fetches a connection id.
func (l *lane) dial() (err error) {
	l.conn, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(l.self.Addr(), 0)), net.UDPAddrFromAddrPort(l.target))
	if err != nil {
		return err
	}
	l.id, err = connectID(l.conn)
	return err
}

// connectID fetches a connection id over a connected socket.
func connectID(c *net.UDPConn) (id uint64, err error) {
	b, err := ask(c, appendHeader(nil, magic, actionConnect, 1))
	if err == nil && (len(b) < 16 || be.Uint32(b) != actionConnect) {
		err = fmt.Errorf("%w: connect answered with %x", errWrong, b)
	}
	if err != nil {
		return 0, err
	}
	return be.Uint64(b[8:]), nil
}

// ask sends a datagram until one comes back, five times.
func ask(c *net.UDPConn, pkt []byte) ([]byte, error) {
	b := make([]byte, maxPacket)
	for range 5 {
		if _, err := c.Write(pkt); err != nil {
			return nil, err
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		n, err := c.Read(b)
		if err == nil {
			return b[:n], nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
	return nil, errSilent
}

// exchange announces once as the client at port and returns the answer.
func (l *lane) exchange(port uint16, left uint64) ([]byte, error) {
	b, err := ask(l.conn, appendAnnounce(nil, l.id, 1, &witnessHash, port, left))
	if err == nil && be.Uint32(b) != actionAnnounce {
		err = fmt.Errorf("%w: %x", errWrong, b)
	}
	return b, err
}

// runUDP announces when it is time, until stop, and then waits for the rest.
func (l *lane) runUDP(stop <-chan struct{}) {
	pending := map[uint32]*call{}
	b := make([]byte, maxPacket)
	next := time.Now()
	for tid := uint32(1 << 16); ; {
		now := time.Now()
		select {
		case <-stop:
			if len(pending) == 0 {
				return
			}
		default:
			if !now.Before(next) {
				tid++
				next = next.Add(announceEvery)
				pending[tid] = &call{asked: now}
				l.send(tid, pending[tid], now)
			}
		}
		l.again(pending, now)
		_ = l.conn.SetReadDeadline(now.Add(min(max(time.Until(next), 0), 20*time.Millisecond) + time.Millisecond))
		n, err := l.conn.Read(b)
		if err != nil || n < 8 {
			continue // nothing yet, or a socket that is not there any more: it counts as lost
		}
		if c := pending[be.Uint32(b[4:])]; c != nil {
			delete(pending, be.Uint32(b[4:]))
			l.done(time.Since(c.asked), c.try, l.truth.checkUDP(b[:n], l.self))
		}
	}
}

// send sends an announce, and notes when it has to be sent again.
func (l *lane) send(tid uint32, c *call, now time.Time) {
	l.count(c.try)
	c.due = now.Add(l.scale.retransmit << c.try)
	if c.try == retransmissions {
		c.due = now.Add(max(l.scale.retransmit/3, time.Second))
	}
	_, _ = l.conn.Write(appendAnnounce(nil, l.id, tid, &witnessHash, l.self.Port(), 1<<20))
}

// again sends what is due once more, and gives up what was sent often enough.
func (l *lane) again(pending map[uint32]*call, now time.Time) {
	for tid, c := range pending {
		switch {
		case now.Before(c.due):
		case c.try == retransmissions:
			delete(pending, tid)
			l.done(0, c.try, errSilent)
		default:
			c.try++
			l.send(tid, c, now)
		}
	}
}
