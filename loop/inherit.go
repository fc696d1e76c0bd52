package loop

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Sockets that somebody else has opened, a service manager or the tracker whose
// place we take, are used instead of new ones. They may be in use at this
// moment, so until we serve nothing is done to them that whoever reads them
// could notice.
//
// Nor is another socket ever added to theirs: the kernel would spread over all
// of them what arrives, and nobody reads ours yet. Where there are more
// reactors than sockets, UDP reactors share one; a TCP socket would wake all of
// those that share it for each connection, so the others go without. Where
// there are more sockets than reactors, all of them are read nevertheless: what
// waits in one that is closed would be lost.

// An inherited socket is one that was open already.
type inherited struct {
	fd    int
	addr  Addr
	mixed bool // [::] takes IPv4 as well
}

// Why a socket is of no use.
var (
	errNotIP       = errors.New("not a socket of TCP or UDP")
	errDeaf        = errors.New("a TCP socket that does not listen")
	errNoPort      = errors.New("a socket without an address")
	errIsConnected = errors.New("a UDP socket that is connected")
)

// inspect looks at what somebody left us, and keeps programs that we start, if
// any, from getting it. The error is bare.
func inspect(fd int) (inherited, error) {
	h := inherited{fd: fd}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return h, err
	}
	unix.CloseOnExec(fd)
	at, err := localAddr(fd)
	switch {
	case err != nil || kind != unix.SOCK_STREAM && kind != unix.SOCK_DGRAM:
		return h, errNotIP
	case at.Port() == 0:
		return h, errNoPort
	case kind == unix.SOCK_DGRAM:
		h.addr.Network = "udp"
		if _, err := unix.Getpeername(fd); err == nil {
			return h, errIsConnected
		}
	default:
		h.addr.Network = "tcp"
		if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens == 0 {
			return h, errDeaf
		}
	}
	if at.Addr() == netip.IPv6Unspecified() {
		only, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
		h.mixed = err == nil && only == 0
	}
	h.addr.AddrPort = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	return h, nil
}

// inspectAll inspects sockets. The error says which will not do.
func inspectAll(fds []int) ([]inherited, error) {
	var all []inherited
	for _, fd := range fds {
		h, err := inspect(fd)
		if err != nil {
			return nil, fmt.Errorf("descriptor %d, which was handed to us: %w", fd, err)
		}
		all = append(all, h)
	}
	return all, nil
}

// planOf returns what to listen on where nothing is named but sockets are
// there: those.
func planOf(have []inherited) (plan []binding) {
	for _, h := range have {
		if !slices.ContainsFunc(plan, func(b binding) bool { return b.addr == h.addr }) {
			plan = append(plan, binding{h.addr, h.mixed})
		}
	}
	return plan
}

// divide returns which of the sockets in have each of plan gets, and those that
// nobody gets. A port that the system is to choose is that of a socket that is
// not named otherwise.
func divide(plan []binding, have []inherited) (shares [][]inherited, left []inherited) {
	shares = make([][]inherited, len(plan))
	take := func(i int, is func(Addr) bool) {
		for _, h := range have {
			if is(h.addr) {
				shares[i] = append(shares[i], h)
			}
		}
		have = slices.DeleteFunc(slices.Clone(have), func(h inherited) bool { return is(h.addr) })
	}
	for i, b := range plan {
		take(i, func(a Addr) bool { return a == b.addr.plain() })
	}
	for i, b := range plan {
		if b.addr.AddrPort.Port() != 0 {
			continue
		}
		first := slices.IndexFunc(have, func(h inherited) bool {
			return h.addr.Network == b.addr.Network && h.addr.AddrPort.Addr() == b.addr.AddrPort.Addr()
		})
		if first >= 0 {
			chosen := have[first].addr
			take(i, func(a Addr) bool { return a == chosen })
		}
	}
	return shares, have
}

// inherit makes l a listener with the sockets of share, for n reactors. They
// are l's afterwards, whether or not there is an error.
func (l *listener) inherit(share []inherited, n int) error {
	l.mixed = share[0].mixed
	l.addr.AddrPort = share[0].addr.AddrPort
	for _, h := range share {
		l.fds = append(l.fds, h.fd)
	}
	if l.addr.Network == "tcp" {
		for _, fd := range l.fds {
			deferAccept(fd)
			boundSending(fd)
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range n - len(share) {
		fd, err := dup(share[i%len(share)].fd)
		if err != nil {
			return err
		}
		l.fds = append(l.fds, fd)
	}
	return nil
}

// IsAt reports whether socket fd is one that a server could use for a.
func IsAt(fd int, a Addr) bool {
	h, err := inspect(fd)
	return err == nil && h.addr == a.plain()
}

// Descriptors returns every socket that the server listens on. They stay the
// server's.
func (s *Server) Descriptors() (fds []int) {
	for _, l := range s.listeners {
		fds = append(fds, l.fds...)
	}
	return fds
}
