package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// A probe is a socket of a hostile client that wants to know what is answered
// to each of its datagrams, and what is not.
type probe struct {
	*net.UDPConn
	fence uint32
	b     [maxPacket]byte
}

// fenceBit marks the transaction ids of fences.
const fenceBit = 1 << 31

func openProbe(target netip.AddrPort, from netip.Addr) (*probe, error) {
	c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(target))
	if err != nil {
		return nil, err
	}
	return &probe{UDPConn: c, fence: fenceBit}, nil
}

// send sends datagrams and returns the answers, by transaction id. Behind them
// it sends a connect: datagrams of one socket are answered in order, so when
// that is answered, nothing will come any more. The transaction ids have to be
// below [fenceBit].
func (p *probe) send(pkts [][]byte) (map[uint32][]byte, error) {
	for _, pkt := range pkts {
		if _, err := p.Write(pkt); err != nil {
			return nil, err
		}
	}
	p.fence++
	answers := map[uint32][]byte{}
	for range 5 {
		if _, err := p.Write(appendHeader(nil, magic, actionConnect, p.fence)); err != nil {
			return nil, err
		}
		_ = p.SetReadDeadline(time.Now().Add(time.Second))
		for {
			n, err := p.Read(p.b[:])
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return nil, err
			}
			if n < 8 {
				return nil, fmt.Errorf("%w: %d bytes", errWrong, n)
			}
			tid := be.Uint32(p.b[4:])
			if tid == p.fence {
				return answers, nil
			}
			answers[tid] = append([]byte(nil), p.b[:n]...)
		}
	}
	return nil, errSilent
}
