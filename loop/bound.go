package loop

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Bound is what the system gives a server to serve with.
type Bound struct {
	Addrs []Addr // with the ports that were chosen
	// ReceiveAsked and ReceiveGiven are bytes of queue of a UDP socket: what is
	// asked for, and what one got. Both are 0 without UDP.
	ReceiveAsked, ReceiveGiven int
	Files                      int // descriptors the process may have; 0: unknown
	Connections                int // TCP connections there is room for at a time
}

// Probe returns what a server would be given now, but for ports the system
// chooses. It leaves nothing open.
func Probe(cfg Config) Bound {
	cfg = cfg.withDefaults()
	b := Bound{Addrs: cfg.Listen}
	if !forClients(b.Addrs) {
		b.Addrs = append(defaults(), b.Addrs...)
	}
	b.Files, _ = raiseFileLimit()                                         // 0 is unknown
	b.Connections, _ = maxConns(b.Files, cfg.MaxConns, 2*cfg.TCPReactors) // 0 is less than anybody wants
	if !slices.ContainsFunc(b.Addrs, func(a Addr) bool { return a.Network == "udp" }) {
		return b
	}
	if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); err == nil {
		setReceiveBuffer(fd, cfg.ReceiveBuffer)
		b.ReceiveAsked, b.ReceiveGiven = cfg.ReceiveBuffer, receiveBuffer(fd)
		unix.Close(fd)
	}
	return b
}

// bound returns what s was given.
func (s *Server) bound(files, connections int) Bound {
	b := Bound{Addrs: s.Addrs(), Files: files, Connections: connections}
	for _, l := range s.listeners {
		if l.addr.Network == "udp" {
			b.ReceiveAsked, b.ReceiveGiven = s.cfg.ReceiveBuffer, receiveBuffer(l.fds[0])
		}
	}
	return b
}
