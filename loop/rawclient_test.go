package loop

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// rawClient makes n connections, one after the other, with so many requests on
// each, and returns how many allocations a connection cost the process. It
// makes next to none itself, by keeping away from package net.
func rawClient(t testing.TB, to netip.AddrPort, n, requests int) float64 {
	t.Helper()
	sa, family, err := sockaddr(to)
	if err != nil {
		t.Fatal(err)
	}
	req, buf := []byte(keep), make([]byte, 1024)
	one := func() {
		fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, sa)
		}
		for range requests {
			if err == nil {
				_, err = unix.Write(fd, req)
			}
			if err == nil {
				_, err = unix.Read(fd, buf)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
	}
	for range 20 { // to fill free lists
		one()
	}
	before := allocs()
	for range n {
		one()
	}
	return float64(allocs()-before) / float64(n)
}

// BenchmarkConn measures a connection with one request, client included.
func BenchmarkConn(b *testing.B) {
	s := serveTest(b, Config{TCPReactors: 1, Listen: []Addr{addr("tcp 127.0.0.1:0")}})
	b.ReportMetric(rawClient(b, s.listeners[0].addr.AddrPort, b.N, 1), "allocs/conn")
}
