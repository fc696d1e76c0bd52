package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tracker/config"
	"tracker/loop"
)

// A border knows which address our LAN has outside. It asks whoever is configured
// to say so once a second, which no subscription beats on what a router does in a
// second anyway: there are none to the addresses of interfaces without netlink,
// which the sandbox does not let us have, and a file may come and go with its
// folder.
type border struct {
	lan     *loop.LAN
	tellers []teller
	said    string // what the operator was told last

	ending, ended chan struct{} // of keeping watch
}

// A teller is one that may know an address.
type teller struct {
	config.External
	device *device  // of Interface
	folder *os.Root // of File, as it was before the chroot; or nil
}

// newBorder returns the border that cfg asks for, or nil. It opens what is out
// of reach later.
func newBorder(cfg *config.Config) *border {
	if len(cfg.LAN)+len(cfg.LANExternal) == 0 {
		return nil
	}
	b := &border{lan: loop.NewLAN(cfg.LAN)}
	for _, e := range cfg.LANExternal {
		s := teller{External: e}
		if e.Interface != "" {
			s.device = openDevice(e.Interface)
		}
		b.tellers = append(b.tellers, s)
	}
	return b
}

// keepOutside opens the folders that files are in, before the chroot. The root
// directory is never kept: from there, everything could be reached.
func (b *border) keepOutside() {
	if b == nil {
		return
	}
	for i := range b.tellers {
		s := &b.tellers[i]
		dir, err := filepath.Abs(filepath.Dir(s.File))
		if s.File != "" && err == nil && dir != "/" {
			s.folder, _ = os.OpenRoot(dir) // else there is nothing to keep
		}
	}
}

// look finds out the address outside, and tells the loop, and the operator if
// something has changed.
func (b *border) look() {
	if b == nil {
		return
	}
	var v4, v6 netip.Addr
	var says []string
	for i := range b.tellers {
		addrs, err := b.tellers[i].ask()
		if err != nil {
			says = append(says, fmt.Sprintf("%v: %v", b.tellers[i], cause(err)))
		}
		for _, a := range addrs {
			if a.Is4() && !v4.IsValid() {
				v4 = a
			} else if a.Is6() && !v6.IsValid() {
				v6 = a
			}
		}
	}
	b.lan.SetOutside(v4, v6)
	b.tell(v4, v6, strings.Join(says, "; "))
}

// tell tells the operator what peers of the LAN are handed out as, and what
// trouble there was, if that is news.
func (b *border) tell(v4, v6 netip.Addr, trouble string) {
	var known []string
	for _, a := range []netip.Addr{v4, v6} {
		if a.IsValid() {
			known = append(known, a.String())
		}
	}
	said := strings.Join(known, " and ") + "|" + trouble
	if b.said == said {
		return
	}
	b.said = said
	at := info
	if trouble != "" {
		at, trouble = warning, " ("+trouble+")"
	}
	if len(known) == 0 {
		logf(warning, "lan", "LAN: no address outside%s: others are not given peers in it", trouble)
		return
	}
	logf(at, "lan", "LAN: others are given peers in it at %v%s", as("address", strings.Join(known, " and ")), trouble)
}

// ask returns the addresses that s knows now.
func (s *teller) ask() ([]netip.Addr, error) {
	switch {
	case s.Addr.IsValid():
		return []netip.Addr{s.Addr}, nil
	case s.Interface != "":
		a, err := s.device.addr()
		if err != nil {
			return nil, err
		}
		return []netip.Addr{a}, nil
	}
	f, err := s.open()
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	return readAddrs(f)
}

// open opens the file: the one inside, or if there is none the one outside. A
// FIFO in its place must not have us wait for a writer.
func (s *teller) open() (*os.File, error) {
	const flags = os.O_RDONLY | unix.O_NONBLOCK
	f, err := os.OpenFile(s.File, flags, 0)
	if s.folder != nil && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
		f, err = s.folder.OpenFile(filepath.Base(s.File), flags, 0)
	}
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close() // it was not read
		return nil, errNotFile
	}
	return f, nil
}

// What can be wrong with a teller.
var (
	errNotFile   = errors.New("not a file")
	errNoAddress = errors.New("no address in it")
	errBadLine   = errors.New("a line is no IP address")
	errNoIPv4    = errors.New("no IPv4 address")
)

// maxAddrsFile is how much of a file with addresses is read, in bytes.
const maxAddrsFile = 4 << 10

// readAddrs returns the addresses in r, one a line. Empty lines, and what stands
// behind a #, are comments.
func readAddrs(r io.Reader) (addrs []netip.Addr, err error) {
	for lines := bufio.NewScanner(io.LimitReader(r, maxAddrsFile)); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		a, bad := netip.ParseAddr(text)
		if bad != nil || a.Zone() != "" || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast() {
			err = errBadLine
			continue
		}
		addrs = append(addrs, a.Unmap())
	}
	if err == nil && len(addrs) == 0 {
		err = errNoAddress
	}
	return addrs, err
}

// keep looks every second until the function it returns is called.
func (b *border) keep() (end func()) {
	if b == nil {
		return func() {}
	}
	b.ending, b.ended = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(b.ended)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-b.ending:
				return
			case <-ticker.C:
				b.look()
			}
		}
	}()
	return func() { close(b.ending); <-b.ended }
}
