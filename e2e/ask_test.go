//go:build linux

package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// answerLimit is how long a test waits for an answer that must come.
const answerLimit = 10 * time.Second

// silenceLimit is how long a test waits for one that must not come, where no
// event can prove that it will not.
const silenceLimit = time.Second

// How an exchange ended.
const (
	endClosed   = "closed by server"
	endOpen     = "still open"
	endReset    = "connection reset"
	endDatagram = "datagram"
	endSilence  = "no answer"
)

// dialFrom opens a TCP connection to the server from the address src.
func (s *server) dialFrom(t *testing.T, src string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Timeout: answerLimit}
	if src != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(src)}
	}
	c, err := d.Dial("tcp4", s.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	// Close with a reset, so that thousands of connections leave nothing in the
	// kernel's tables.
	c.(*net.TCPConn).SetLinger(0)
	return c.(*net.TCPConn)
}

// http sends the segments over one connection from src, each after the one
// before has been read, and returns everything that comes back and how it
// ended.
func (s *server) http(t *testing.T, src string, limit time.Duration, segments ...[]byte) (got []byte, end string) {
	t.Helper()
	c := s.dialFrom(t, src)
	defer c.Close()
	for i, seg := range segments {
		if _, err := c.Write(seg); err != nil {
			break // closed on us: what it said before is still to be read
		}
		if i < len(segments)-1 {
			s.awaitRead(c)
		}
	}
	return readAll(c, limit)
}

// readAll reads until the server closes, or for limit.
func readAll(c *net.TCPConn, limit time.Duration) (got []byte, end string) {
	c.SetReadDeadline(time.Now().Add(limit))
	got, err := io.ReadAll(c)
	switch {
	case err == nil:
		return got, endClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return got, endOpen
	case errors.Is(err, syscall.ECONNRESET):
		return got, endReset
	}
	return got, err.Error()
}

// get asks for target and returns the whole answer.
func (s *server) get(t *testing.T, src, target string) string {
	t.Helper()
	got, _ := s.http(t, src, answerLimit, fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: tracker.test:6969\r\n\r\n", target))
	return string(got)
}

// udp sends one datagram from a new socket at src and returns the answer, or
// nil if none comes within limit.
func (s *server) udp(t *testing.T, src string, limit time.Duration, question []byte) []byte {
	t.Helper()
	c := s.dialUDP(t, src)
	defer c.Close()
	if _, err := c.Write(question); err != nil {
		t.Fatal(err)
	}
	return receive(c, limit)
}

// marker is the transaction id of the connect request that ends the wait for
// an answer that does not come.
const marker = 0x6d61726b

// udpOrSilence is udp for a question that may deserve no answer. To know that
// none comes it waits for an event: a connect request follows on the same
// socket, and as one flow is handled in order, nothing before it will be
// answered once it is.
func (s *server) udpOrSilence(t *testing.T, src string, question []byte) []byte {
	t.Helper()
	c := s.dialUDP(t, src)
	defer c.Close()
	for _, p := range [][]byte{question, connectRequest(marker)} {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	answer := receive(c, answerLimit)
	switch {
	case answer == nil:
		t.Fatalf("no answer to the connect request that followed %x", question)
	case len(answer) == 16 && binary.BigEndian.Uint64(answer) == marker:
		return nil
	}
	return answer
}

// dialUDP opens a UDP socket at src that talks to the server.
func (s *server) dialUDP(t *testing.T, src string) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(src)}, net.UDPAddrFromAddrPort(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// receive returns the next datagram, or nil if none comes within limit.
func receive(c *net.UDPConn, limit time.Duration) []byte {
	buf := make([]byte, 65536)
	c.SetReadDeadline(time.Now().Add(limit))
	n, err := c.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

// connectRequest is the packet that asks for a connection id (BEP 15).
func connectRequest(tid uint32) []byte {
	p := binary.BigEndian.AppendUint64(nil, 0x41727101980)
	p = binary.BigEndian.AppendUint32(p, 0)
	return binary.BigEndian.AppendUint32(p, tid)
}

// connID fetches a connection id for the address src.
func (s *server) connID(t *testing.T, src string) []byte {
	t.Helper()
	answer := s.udp(t, src, answerLimit, connectRequest(0x11223344))
	if len(answer) != 16 {
		t.Fatalf("connect from %s: %x, want 16 bytes", src, answer)
	}
	return answer[8:16]
}

// announcement is the packet of a UDP announce (BEP 15).
func announcement(cid []byte, ih [20]byte, event uint32, left uint64, port uint16) []byte {
	p := append([]byte(nil), cid...)
	p = binary.BigEndian.AppendUint32(p, 1)
	p = binary.BigEndian.AppendUint32(p, 0x01020304)
	p = append(p, ih[:]...)
	p = fmt.Appendf(p, "-XX0001-%012d", port)
	p = binary.BigEndian.AppendUint64(p, 0)
	p = binary.BigEndian.AppendUint64(p, left)
	p = binary.BigEndian.AppendUint64(p, 0)
	p = binary.BigEndian.AppendUint32(p, event)
	p = binary.BigEndian.AppendUint32(p, 0)
	p = binary.BigEndian.AppendUint32(p, 0x55667788)
	p = binary.BigEndian.AppendUint32(p, 0xffffffff)
	return binary.BigEndian.AppendUint16(p, port)
}

// percent escapes every byte of b.
func percent(b []byte) string {
	var s []byte
	for _, c := range b {
		s = fmt.Appendf(s, "%%%02x", c)
	}
	return string(s)
}

// compactPeers reads a list of compact peers, each of size bytes.
func compactPeers(b []byte, size int) []netip.AddrPort {
	var peers []netip.AddrPort
	for ; len(b) >= size; b = b[size:] {
		a, _ := netip.AddrFromSlice(b[:size-2])
		peers = append(peers, netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[size-2:])))
	}
	return peers
}
