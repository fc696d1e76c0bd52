package loop

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// errNoMixing is what [bindSocket] returns on a system whose IPv6 sockets
// never take IPv4, such as OpenBSD.
var errNoMixing = errors.New("IPv6 sockets take no IPv4 here")

// bindSocket returns a new blocking socket bound to b. It shares the port
// with other sockets of this user only if share is set. Errors are those of
// the system, bare, or [errNoMixing].
func bindSocket(b binding, share shared) (int, error) {
	sa, family, err := sockaddr(b.addr.AddrPort)
	if err != nil {
		return -1, err
	}
	kind := unix.SOCK_DGRAM
	if b.addr.Network == "tcp" {
		kind = unix.SOCK_STREAM
	}
	fd, err := socket(family, kind)
	if err != nil {
		return -1, err
	}
	if err = setOptions(fd, b, share); err == nil {
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// shared says whether a socket shares its port with others.
type shared bool

// setOptions sets what must be set before the bind.
func setOptions(fd int, b binding, share shared) error {
	if b.addr.AddrPort.Addr().Is6() {
		only := 1
		if b.mixed {
			only = 0
		}
		switch err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); {
		case err != nil && b.mixed:
			return errNoMixing
		case err != nil:
			return err
		}
	}
	if b.addr.Network == "tcp" {
		// A restart must be able to bind while old connections linger.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
		// Accepted connections inherit it. An answer is one write; it must not
		// wait for the acknowledgement of the one before.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
	}
	if share {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	return nil
}

// sockaddr returns a as the system wants it, and its family.
func sockaddr(a netip.AddrPort) (unix.Sockaddr, int, error) {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}, unix.AF_INET, nil
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		i, err := interfaceNumber(zone)
		if err != nil {
			return nil, 0, err
		}
		sa.ZoneId = i
	}
	return sa, unix.AF_INET6, nil
}

// localAddr returns the address fd is bound to, without its zone.
func localAddr(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, unix.EAFNOSUPPORT
}

// socket returns a new blocking socket that programs started by this one do
// not inherit.
func socket(family, kind int) (int, error) {
	syscall.ForkLock.RLock() // no fork between the two calls
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(family, kind, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	return fd, err
}

// dup returns another descriptor for the socket behind fd.
func dup(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	d, err := unix.Dup(fd)
	if err == nil {
		unix.CloseOnExec(d)
	}
	return d, err
}

// dupOver makes descriptor at stand for the socket behind fd. What was there
// before is closed.
func dupOver(fd, at int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	err := unix.Dup2(fd, at)
	if err == nil {
		unix.CloseOnExec(at)
	}
	return err
}

// abort has the kernel forget what was written to fd and has not left, when it
// is closed. The client is told with a reset.
func abort(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}
