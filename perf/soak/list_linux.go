package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"tracker/perf"
	"tracker/proto"
)

// visitLimit is how long a change of the list may take to be seen.
const visitLimit = 10 * time.Second

// A lister writes the whitelist: the torrents of the workload, and one that is
// another each time. It belongs to one goroutine.
type lister struct {
	path     string
	torrents uint32
	target   netip.AddrPort
	edition  uint32
}

// extra returns the torrent that is on an edition of the list and on no other.
func extra(edition uint32) proto.Infohash { return perf.Infohash(1<<31 + edition) }

// write writes the next edition beside the list and puts it in its place, as
// one should who does not want half a list to be read.
func (l *lister) write() error {
	l.edition++
	f, err := os.Create(l.path + ".new")
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for t := range l.torrents {
		fmt.Fprintf(w, "%x\n", perf.Infohash(t))
	}
	fmt.Fprintf(w, "%x\n", extra(l.edition))
	if err := errors.Join(w.Flush(), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(l.path+".new", l.path)
}

// run writes an edition every so often until stop, and looks whether the
// tracker goes by it. It returns how many it did.
func (l *lister) run(every time.Duration, stop <-chan struct{}) (editions uint32, err error) {
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 9, 9, 9)}, net.UDPAddrFromAddrPort(l.target))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return l.edition - 1, nil
		case <-tick.C:
		}
		if err := l.write(); err != nil {
			return l.edition - 1, err
		}
		if err := l.await(c); err != nil {
			return l.edition - 1, fmt.Errorf("edition %d of the whitelist: %w", l.edition, err)
		}
	}
}

// await waits until the tracker serves the torrent of this edition and refuses
// that of the last.
func (l *lister) await(c *net.UDPConn) error {
	for deadline := time.Now().Add(visitLimit); ; time.Sleep(50 * time.Millisecond) {
		fresh, err := served(c, extra(l.edition))
		if err != nil {
			return err
		}
		stale, err := served(c, extra(l.edition-1))
		switch {
		case err != nil:
			return err
		case fresh && !stale:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("after %v its torrent is served: %v; that of the last: %v", visitLimit, fresh, stale)
		}
	}
}

// served reports whether an announce of a torrent is answered as such and not
// with an error. It makes its own connection, so that ids do not grow old.
func served(c *net.UDPConn, ih proto.Infohash) (bool, error) {
	be := binary.BigEndian
	header := func(id uint64, action uint32) []byte {
		return be.AppendUint32(be.AppendUint32(be.AppendUint64(nil, id), action), 7)
	}
	hello, err := ask(c, header(0x41727101980, 0), 16)
	if err != nil {
		return false, err
	}
	pkt := append(header(be.Uint64(hello[8:]), 1), ih[:]...)
	pkt = append(pkt, "-PS0001-abcdefghijkl"...)
	pkt = append(pkt, make([]byte, 3*8+4*4)...) // a seeder, who wants no peers
	pkt = be.AppendUint16(pkt, 7001)
	answer, err := ask(c, pkt, 8)
	return err == nil && be.Uint32(answer) == 1, err
}

// ask sends a datagram until one of least bytes or more comes back, for as long as
// the load bears silence.
func ask(c *net.UDPConn, pkt []byte, least int) ([]byte, error) {
	b := make([]byte, 2048)
	for range 15 {
		if _, err := c.Write(pkt); err != nil {
			return nil, err
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		n, err := c.Read(b)
		if err == nil && n >= least {
			return b[:n], nil
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
	return nil, errors.New("the tracker does not answer")
}

// newLister writes the first edition into a directory.
func newLister(dir string, torrents uint32) (*lister, error) {
	l := &lister{path: filepath.Join(dir, listName), torrents: torrents}
	return l, l.write()
}
