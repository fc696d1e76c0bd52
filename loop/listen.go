package loop

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// DefaultPort is where the tracker listens when it is not told.
const DefaultPort = 6969

// Addr is where to listen. Network is "tcp" or "udp". Port 0 lets the system
// choose one. With Proxy, which is for TCP, a connection has to come from one
// of [Trust].Proxies and begin with a PROXY header. With Metrics, which is for
// TCP and instead, operators are served and no clients.
type Addr struct {
	Network  string
	AddrPort netip.AddrPort
	Proxy    bool
	Metrics  bool
}

func (a Addr) String() string { return a.Network + " " + a.AddrPort.String() }

// A ListenError says which address could not be had, and why.
type ListenError struct {
	Addr Addr
	Err  error
}

func (e *ListenError) Error() string { return fmt.Sprintf("listen %s: %v", e.Addr, e.Err) }

func (e *ListenError) Unwrap() error { return e.Err }

// A binding is an address to listen on and whether IPv4 comes there too.
type binding struct {
	addr  Addr
	mixed bool // [::] takes IPv4 as well
}

// String names the address and, where the address alone does not tell, the
// families that are served there.
func (b binding) String() string {
	text := b.addr.String()
	switch a := b.addr.AddrPort.Addr(); {
	case b.mixed:
		text += " (IPv4 and IPv6)"
	case a == netip.IPv4Unspecified():
		text += " (IPv4)"
	case a.IsUnspecified():
		text += " (IPv6)"
	}
	if b.addr.Proxy {
		text += " for proxies"
	}
	if b.addr.Metrics {
		text += " for metrics"
	}
	return text
}

// Facts are keys and values for a [Logf].
func (b binding) Facts() []any {
	return []any{"network", b.addr.Network, "address", b.addr.AddrPort}
}

// wildcard reports whether b receives what is sent to any address of the
// machine.
func (b binding) wildcard() bool { return b.addr.AddrPort.Addr().IsUnspecified() }

// support says what the kernel makes of [::].
type support uint8

const (
	supportMixed support = iota // it takes IPv4 as well
	supportApart                // IPv6 sockets never take IPv4, as on OpenBSD
	supportNone                 // there is no IPv6
)

// supported asks the kernel.
func supported() support {
	any6 := netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	fd, err := bindSocket(binding{addr: Addr{Network: "udp", AddrPort: any6}, mixed: true}, false)
	switch {
	case err == nil:
		unix.Close(fd)
		return supportMixed
	case errors.Is(err, errNoMixing):
		return supportApart
	}
	return supportNone
}

// plan turns the addresses named into what to bind. Repetitions are dropped.
// [::] stands for every address of both families, as far as the kernel has
// them; but IPv4 is left to 0.0.0.0 where that is named with the same port.
func plan(named []Addr, has support) []binding {
	seen := make(map[Addr]bool) // as plain: a port is bound for one thing
	var plan []binding
	add := func(a Addr) {
		if !seen[a.plain()] || a.AddrPort.Port() == 0 {
			plan = append(plan, binding{addr: a})
		}
		seen[a.plain()] = true
	}
	for _, a := range named {
		a.AddrPort = netip.AddrPortFrom(a.AddrPort.Addr().Unmap(), a.AddrPort.Port())
		if !a.anyAddr6() || has != supportNone {
			add(a)
		}
	}
	for _, a := range named { // after all that is named itself
		if a.anyAddr6() && has != supportMixed {
			add(a.in4())
		}
	}
	for i, b := range plan {
		plan[i].mixed = b.addr.anyAddr6() && !seen[b.addr.in4().plain()]
	}
	return plan
}

// anyAddr6 reports whether a is [::].
func (a Addr) anyAddr6() bool { return a.AddrPort.Addr() == netip.IPv6Unspecified() }

// in4 returns 0.0.0.0 with the network and port of a.
func (a Addr) in4() Addr {
	a.AddrPort = netip.AddrPortFrom(netip.IPv4Unspecified(), a.AddrPort.Port())
	return a
}

// plain returns a as one that anybody may use.
func (a Addr) plain() Addr {
	a.Proxy, a.Metrics = false, false
	return a
}

// defaults returns where to listen when nothing is named for clients.
func defaults() []Addr {
	every := netip.AddrPortFrom(netip.IPv6Unspecified(), DefaultPort)
	return []Addr{{Network: "tcp", AddrPort: every}, {Network: "udp", AddrPort: every}}
}

// forClients reports whether clients are served at any of those addresses.
func forClients(named []Addr) bool {
	return slices.ContainsFunc(named, func(a Addr) bool { return !a.Metrics })
}

// decide returns what to listen on where those addresses are named and sockets
// are there already. If no address for clients is named, they are served at
// the sockets that are not for metrics, or if there are none, at the defaults.
func decide(named []Addr, have []inherited, has support) []binding {
	if forClients(named) {
		return plan(named, has)
	}
	metrics := plan(named, has)
	have = slices.DeleteFunc(slices.Clone(have), func(h inherited) bool {
		return slices.ContainsFunc(metrics, func(b binding) bool { return b.addr.plain() == h.addr })
	})
	if len(have) > 0 {
		return append(planOf(have), metrics...)
	}
	return plan(append(defaults(), named...), has)
}

// A listener is one address with a socket per reactor.
type listener struct {
	binding       // with the port that was chosen, if it was 0
	fds     []int // owned; -1 once closed
	sharing bool  // even the first socket is bound as sharing its port
}

// A census says how many reactors, or addresses, there are of each kind.
type census struct{ tcp, udp int }

// addrs counts what is to be bound of each kind.
func addrs(plan []binding) (n census) {
	for _, b := range plan {
		if b.addr.Network == "udp" {
			n.udp++
		} else {
			n.tcp++
		}
	}
	return n
}

// openAll binds every address, with a socket for each reactor of its kind,
// after it has made sure that nobody else is there: sockets that share a port,
// as those of the reactors do, would share it with another tracker in silence.
// An address that has a share of sockets gets those instead. Errors are
// [*ListenError], and then nothing stays open but shares not yet used.
func openAll(plan []binding, reactors census, shares [][]inherited) ([]*listener, error) {
	if shares == nil {
		shares = make([][]inherited, len(plan))
	}
	for i, b := range plan {
		if b.addr.AddrPort.Port() == 0 || len(shares[i]) > 0 {
			continue
		}
		fd, err := bindSocket(b, false)
		if err != nil {
			return nil, &ListenError{b.addr, err}
		}
		unix.Close(fd)
	}
	var all []*listener
	for i, b := range plan {
		n := reactors.tcp
		if b.addr.Network == "udp" {
			n = reactors.udp
		}
		l, err := openOne(b, n, overlaps(b, all), shares[i])
		if err != nil {
			closeAll(all)
			return nil, &ListenError{b.addr, err}
		}
		all = append(all, l)
	}
	return all, nil
}

// overlaps reports whether b takes a port of which one of ours has every
// address, or the reverse. Such two can only be bound as sharing.
func overlaps(b binding, all []*listener) bool {
	return slices.ContainsFunc(all, func(l *listener) bool {
		return l.addr.Network == b.addr.Network && l.addr.AddrPort.Port() == b.addr.AddrPort.Port() &&
			(l.wildcard() || b.wildcard())
	})
}

// openOne opens the n sockets of one address, if it has no share of others. The
// first is bound alone, and says only then that it shares its port, so that of
// two trackers started in the same moment one fails; unless it has to share
// from the beginning.
func openOne(b binding, n int, sharing bool, share []inherited) (*listener, error) {
	l := &listener{binding: b, sharing: sharing}
	if len(share) > 0 {
		if err := l.inherit(share, n); err != nil {
			l.close()
			return nil, err
		}
		return l, nil
	}
	for range n {
		fd, err := l.openNext()
		if err != nil {
			l.close()
			return nil, err
		}
		l.fds = append(l.fds, fd)
	}
	return l, nil
}

// openNext opens one more socket for l. Where the kernel does not spread the
// load over sockets of one port, it is the first one once more.
func (l *listener) openNext() (int, error) {
	if len(l.fds) > 0 && !balances {
		return dup(l.fds[0])
	}
	alone := len(l.fds) == 0 && !l.sharing
	fd, err := bindSocket(l.binding, shared(balances && !alone))
	if err != nil {
		return -1, err
	}
	if err = l.prepare(fd); err == nil && alone && balances {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// prepare makes a bound socket ready to receive, and learns its port.
func (l *listener) prepare(fd int) error {
	if l.addr.Network == "tcp" {
		if err := unix.Listen(fd, backlog()); err != nil {
			return err
		}
		deferAccept(fd)
		boundSending(fd)
	}
	if l.addr.AddrPort.Port() != 0 {
		return nil
	}
	at, err := localAddr(fd)
	if err != nil {
		return err
	}
	l.addr.AddrPort = netip.AddrPortFrom(l.addr.AddrPort.Addr(), at.Port())
	return nil
}

// close closes the sockets of l that are still open.
func (l *listener) close() {
	for i, fd := range l.fds {
		if fd >= 0 {
			unix.Close(fd)
		}
		l.fds[i] = -1
	}
}

func closeAll(all []*listener) {
	for _, l := range all {
		l.close()
	}
}
