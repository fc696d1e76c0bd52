package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// runHTTP announces when it is time, over a connection each, until stop, and
// then waits for the rest.
func (l *lane) runHTTP(stop <-chan struct{}) {
	var wait sync.WaitGroup
	defer wait.Wait()
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	for {
		wait.Go(func() {
			begin := time.Now()
			l.count(0)
			body, err := l.get(begin.Add(l.scale.patience))
			if err == nil {
				err = l.truth.checkHTTP(body, l.self)
			}
			l.done(time.Since(begin), 0, err)
		})
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// get announces and returns the answer's body.
func (l *lane) get(deadline time.Time) ([]byte, error) {
	path := fmt.Sprintf("/announce?info_hash=%s&peer_id=-PT0001-abcdefghijkl&port=%d&uploaded=0&downloaded=0&left=1048576&numwant=200&compact=1",
		escape(witnessHash[:]), l.self.Port())
	return get(l.target, l.self.Addr(), path, deadline)
}

// escape writes each byte with a percent sign.
func escape(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		fmt.Fprintf(&s, "%%%02x", c)
	}
	return s.String()
}

// get makes a request over a connection of its own, from an address, and
// returns the body of the answer, which must have the status 200.
func get(target netip.AddrPort, from netip.Addr, path string, deadline time.Time) ([]byte, error) {
	c, err := dial(target, from, deadline)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.SetDeadline(deadline)
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, target); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return nil, err
	}
	head, body, ok := bytes.Cut(answer, []byte("\r\n\r\n"))
	if !ok || !bytes.HasPrefix(head, []byte("HTTP/1.")) || !bytes.HasPrefix(head[min(len(head), 8):], []byte(" 200")) {
		return nil, fmt.Errorf("answer %.60q", answer)
	}
	return body, nil
}

// dial opens a connection from an address.
func dial(target netip.AddrPort, from netip.Addr, deadline time.Time) (*net.TCPConn, error) {
	d := net.Dialer{Deadline: deadline, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Control: manyPorts}
	c, err := d.Dial("tcp", target.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}
