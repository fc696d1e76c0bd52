// Memory measures how much a tracker grows by each torrent and each peer.
//
//	go run ./perf/memory -tracker ./tracker -peer opentracker
//
// It starts the tracker on a free loopback port, waits two seconds, warms it up with 50,000
// announces that it stops again, and takes the resident set then as baseline.
// It announces the peers of a [sweep] over UDP, size after size, until the
// tracker has confirmed each one; scrapes every torrent to see that all peers
// are there; and divides the growth of the resident set by their number. At
// the end all peers are stopped, and the growth that is left is printed.
//
// Debian's opentracker, or whatever -peer names, is put through the first size
// of each IPv4 sweep in the same run; it gets a whitelist with the torrents,
// since Debian's build serves nothing without one.
//
// A swarm of hundreds of thousands of peers needs more addresses than ::1, so
// IPv6 is measured in a network namespace of the command's own, which takes
// root. Without root only IPv4 is measured.
//
// It exits 1 if the tracker takes more than the budget at any size.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"tracker/perf"
)

func main() {
	runtime.LockOSThread() // children die with the thread that started them
	var o options
	flag.StringVar(&o.tracker, "tracker", "./tracker", "tracker to hold against the budgets; \"\" for none")
	flag.StringVar(&o.peer, "peer", "opentracker", "tracker to print beside it; \"\" for none")
	flag.BoolVar(&o.quick, "quick", false, "only the first size of each sweep")
	flag.BoolVar(&o.peerAll, "peer-all", false, "put the peer through every size, too")
	flag.DurationVar(&o.after, "after", 0, "wait for so long after all peers were stopped, for a tracker that frees memory when it sweeps")
	flag.StringVar(&o.only, "only", "", "only sweeps whose name contains this")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	broken, err := o.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
	if broken {
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	tracker, peer, only string
	quick, peerAll      bool
	after               time.Duration
	held                perf.Held
}

// run measures everything and prints it. It reports whether a budget broke.
func (o *options) run() (broken bool, err error) {
	switch inside, err := enterNamespace(); {
	case errors.Is(err, errNeedRoot):
		fmt.Fprintln(os.Stderr, "memory: IPv6 is not measured:", err)
	case err != nil || inside:
		return false, err
	}
	o.held.Watch()
	printHead(o.peer)
	for _, s := range sweeps {
		if !s.matches(o.only) || s.six && !inNamespace() {
			continue
		}
		if o.quick {
			s.steps = s.steps[:1]
		}
		b, err := o.sweep(s)
		if err != nil {
			return false, fmt.Errorf("%s: %w", s.name, err)
		}
		broken = broken || b
	}
	return broken, nil
}

// sweep runs s against the tracker and the peer and prints its rows.
func (o *options) sweep(s sweep) (broken bool, err error) {
	var ours, theirs []row
	if o.tracker != "" {
		if ours, err = o.measure(&s, o.tracker, false, o.after); err != nil {
			return false, err
		}
	}
	if p := s; o.peer != "" && !s.six {
		if !o.peerAll {
			p.steps = p.steps[:1]
		}
		if theirs, err = o.measure(&p, o.peer, filepath.Base(o.peer) == "opentracker", 0); err != nil {
			return false, err
		}
	}
	return s.print(os.Stdout, ours, theirs), nil
}

// measure starts the tracker at path and fills it, step after step. The last
// row is what is left after all peers were stopped.
func (o *options) measure(s *sweep, path string, listed bool, after time.Duration) ([]row, error) {
	list := ""
	last := s.steps[len(s.steps)-1]
	if listed {
		name, end, err := o.held.WriteWhitelist(warmTorrents + last.torrents)
		if err != nil {
			return nil, err
		}
		defer end()
		list = name
	}
	addr, sources := netip.MustParseAddr("127.0.0.1"), perf.Sources4(sourceCount)
	if s.six {
		addr, sources = netip.IPv6Loopback(), perf.Sources6(sourceCount)
	}
	srv, err := perf.Command{
		Path: path, Addr: addr, Args: perf.OpentrackerArgs(list), Probe: warmTorrents + last.torrents - 1,
		Held: &o.held,
	}.Start()
	if err != nil {
		return nil, err
	}
	defer srv.Stop()
	udp, err := perf.OpenUDP(srv.Addr, sources)
	if err != nil {
		return nil, err
	}
	defer udp.Close()
	f := newFiller(srv, udp)
	if err := f.warm(); err != nil {
		return nil, err
	}
	return f.steps(s, after)
}
