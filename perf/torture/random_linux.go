package main

import (
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes of what random clients send, in bytes.
const (
	maxRandomPacket  = 1500
	maxRandomRequest = 16 << 10
)

// random sends random bytes: datagrams from eight addresses, and over one
// connection for each hundred of these.
func random(t *trial) error {
	if err := t.flood(func() error { return randomDatagrams(t) }); err != nil {
		return err
	}
	var wait sync.WaitGroup
	var answered, good atomic.Int64
	next := make(chan int)
	for range 32 {
		wait.Go(func() {
			for i := range next {
				answer := randomRequest(t, uint64(i))
				if len(answer) > 0 {
					answered.Add(1)
				}
				if len(answer) > 12 && answer[9] < '3' {
					good.Add(1)
				}
			}
		})
	}
	conns := t.scale.random / 100
	for i := range conns {
		next <- i
	}
	close(next)
	wait.Wait()
	t.say("%d connections, %d of them told that this is no request", conns, answered.Load())
	t.must(good.Load() == 0, "%d random requests were answered as if they were good", good.Load())
	return nil
}

// randomDatagrams sends datagrams, and counts what comes back.
func randomDatagrams(t *trial) error {
	r := rand.NewChaCha8([32]byte{1})
	length := rand.New(r)
	var socks []*net.UDPConn
	defer func() {
		for _, c := range socks {
			c.Close()
		}
	}()
	for _, from := range hostile[16:24] {
		c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(t.Addr))
		if err != nil {
			return err
		}
		socks = append(socks, c)
	}
	b := make([]byte, maxRandomPacket)
	answers := 0
	for i := range t.scale.random {
		c := socks[i%len(socks)]
		n := length.IntN(len(b) + 1)
		_, _ = r.Read(b[:n])
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
		if i%256 == 255 { // no faster than any tracker reads
			time.Sleep(2 * time.Millisecond)
		}
	}
	for _, c := range socks {
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		for {
			if _, err := c.Read(b); err != nil {
				break
			}
			answers++
		}
	}
	t.say("%d datagrams, %d answered", t.scale.random, answers)
	t.must(answers == 0, "%d random datagrams were answered", answers)
	return nil
}

// randomRequest sends random bytes over a connection, of which every other one
// ends like a request, and returns what comes back.
func randomRequest(t *trial, seed uint64) []byte {
	c, err := dial(t.Addr, hostile[32+seed%64], time.Now().Add(t.scale.patience))
	if err != nil {
		return nil
	}
	defer c.Close()
	var key [32]byte
	be.PutUint64(key[:], seed)
	r := rand.NewChaCha8(key)
	b := make([]byte, rand.New(r).IntN(maxRandomRequest))
	_, _ = r.Read(b)
	if seed%2 == 0 {
		b = append(b, "\r\n\r\n"...)
	}
	_ = c.SetDeadline(time.Now().Add(t.scale.patience))
	_, _ = c.Write(b) // it may hang up before the end
	_ = c.CloseWrite()
	answer, _ := io.ReadAll(io.LimitReader(c, 1<<10))
	return answer
}
