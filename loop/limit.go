package loop

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// Descriptors that connections may not have.
const (
	// spareFiles are for lists, snapshots and whatever else is opened while
	// serving, out of the file limit.
	spareFiles = 32
	// spareFree are left free above what is open when serving begins, such as
	// the store's memory and the socket of who may take our place. Two are for
	// that one, and another that is sent away.
	spareFree = 10
	// filesPerEngine are what an event loop still opens then: two for its
	// poller, a connection above the limit, a placeholder when it is started
	// again, for a moment a second one for a connection that it leaves to the
	// desk, and for a moment a connection in the place of one that another
	// event loop is about to close.
	filesPerEngine = 6
	// filesPerUDP are a socket of a UDP reactor and what it is waited with.
	filesPerUDP = 2
)

// raiseFileLimit raises the limit of open files as far as the system lets us,
// and returns it.
func raiseFileLimit() (int, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("file limit: %w", err)
	}
	if r.Cur < r.Max {
		raised := r
		raised.Cur = r.Max
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil { // some systems refuse "unlimited"
			r = raised
		}
	}
	return int(min(uint64(r.Cur), math.MaxInt32)), nil
}

// openFiles counts the descriptors in use. It looks at the first ones only,
// because the system gives out the lowest that is free.
func openFiles() int {
	n := 0
	for fd := range 1 << 10 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}

// fit lowers the number of reactors until the file limit has room for what they
// open, with a quarter of it left for connections, or there is one of each.
// addrs are what each of them listens on.
func (c *census) fit(files int, addrs census) {
	for most := max(c.tcp, c.udp); most > 1; most-- {
		c.tcp, c.udp = min(c.tcp, most), min(c.udp, most)
		need := c.udp * addrs.udp * filesPerUDP
		if addrs.tcp > 0 {
			need += c.tcp * (2*addrs.tcp + 2 + filesPerEngine) // gnet has each socket once more
		}
		if files-openFiles()-spareFree-need >= files/4 {
			return
		}
	}
	c.tcp, c.udp = min(c.tcp, 1), min(c.udp, 1)
}

// maxConns returns how many connections may be open at once: as many as are
// wanted, or, if that is 0, as the file limit has room for. It never returns
// more than that.
func maxConns(files, want, engines int) (int, error) {
	room := min(files-spareFiles, files-openFiles()-engines*filesPerEngine-spareFree)
	if room <= 0 {
		return 0, fmt.Errorf("a file limit of %d has no room for connections with %d event loops", files, engines)
	}
	if want > 0 {
		room = min(room, want)
	}
	return room, nil
}
