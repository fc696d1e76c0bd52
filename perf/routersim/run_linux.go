package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"tracker/perf"
)

// lostLimit is how many requests in one may be lost.
const lostLimit = 0.001

// fillWindow is below the 256 small datagrams that fit the default receive
// buffer of a server that asked for no other.
const fillWindow = 192

// A load is one minute of a tracker's life.
type load struct {
	name, verb string
	rate       float64
	http       bool
}

// A row is what came of a load.
type row struct {
	load         load
	server       string
	res          perf.Result
	due          float64 // requests
	cpu          time.Duration
	drops        uint64
	rss          int64
	before, then tally
}

// run measures both trackers and prints them. It reports whether ours met the
// goals, and returns [errNoCage] if nothing could be measured.
func (o *options) run(w io.Writer) (met bool, err error) {
	if runtime.NumCPU() < 2 {
		fmt.Fprintln(w, "This machine has one CPU: generator and servers share it, and latencies mean little.")
		o.serverCPU, o.loadCPU = -1, -1
	}
	var ours, theirs []row
	if o.tracker != "" {
		if ours, err = o.server(o.tracker, "tracker", []string{"GOMAXPROCS=1"}); err != nil {
			return false, err
		}
	}
	if _, err := exec.LookPath(o.peer); o.peer != "" && err != nil {
		fmt.Fprintf(os.Stderr, "routersim: %s is not measured: %v\n", o.peer, err)
	} else if o.peer != "" {
		if theirs, err = o.server(o.peer, filepath.Base(o.peer), nil); err != nil {
			return false, fmt.Errorf("%s: %w", o.peer, err)
		}
	}
	printTable(w, ours, theirs)
	return printGoals(w, ours), nil
}

// server starts a tracker in a cage and puts it under each load in turn.
func (o *options) server(path, name string, env []string) ([]row, error) {
	defer o.held.Release()
	work := perf.Workload{Torrents: uint32(max(o.peers/10, 1)), Clients: uint32(o.peers)}
	if err := work.Init(); err != nil {
		return nil, err
	}
	cmd := perf.Command{
		Path: path, Addr: netip.MustParseAddr("127.0.0.1"), Probe: work.Torrents - 1, CPUs: perf.OneCPU(o.serverCPU), Env: env, Held: &o.held,
	}
	c, err := o.prepare(&cmd, name, work.Torrents)
	if err != nil {
		return nil, err
	}
	srv, err := cmd.Start()
	if err != nil {
		return nil, err
	}
	if o.loadCPU >= 0 {
		if err := perf.Pin(o.loadCPU); err != nil {
			return nil, err
		}
	}
	if err := fill(srv, &work); err != nil {
		return nil, fmt.Errorf("filling: %w", err)
	}
	fmt.Fprintf(os.Stderr, "routersim: %s has its peers\n", name)
	var rows []row
	for _, l := range []load{
		{"UDP", "announces", o.udpRate, false},
		{"HTTP", "announces, a connection each", o.httpRate, true},
	} {
		r, err := o.measure(l, srv, c, &work)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, err)
		}
		r.server = name
		rows = append(rows, r)
		fmt.Fprintf(os.Stderr, "routersim: %s: %s done\n", name, l.name)
	}
	return rows, nil
}

// prepare makes what the command needs before it starts: a cage, and for
// opentracker a whitelist. There is no cage if all are free.
func (o *options) prepare(cmd *perf.Command, name string, torrents uint32) (c *cage, err error) {
	if name == "opentracker" {
		list, _, err := o.held.WriteWhitelist(torrents)
		if err != nil {
			return nil, err
		}
		cmd.Args = perf.OpentrackerArgs(list)
	}
	if o.free {
		return nil, nil
	}
	_, err = o.held.Hold(func() (free func(), err error) {
		c, err = newCage(fmt.Sprintf("tracker-routersim-%d", os.Getpid()), o.limits)
		return func() {
			if err := c.remove(); err != nil {
				fmt.Fprintln(os.Stderr, "routersim:", err)
			}
		}, err
	})
	if err == nil {
		cmd.Wrap = c.enter()
	}
	return c, err
}

// fill announces every client, until each is confirmed.
func fill(srv *perf.Server, work *perf.Workload) error {
	u, err := perf.OpenUDP(srv.Addr, perf.Sources4(int(work.Sources)))
	if err != nil {
		return err
	}
	defer u.Close()
	u.Limits, u.Resend = perf.Limits{Window: fillWindow}, true
	return perf.Fill(u, work)
}

// measure puts srv under one load. A tracker that stops answering is a result.
func (o *options) measure(l load, srv *perf.Server, c *cage, work *perf.Workload) (row, error) {
	r := row{load: l, due: l.rate * o.duration.Seconds(), before: c.tally()}
	g, err := l.open(srv, int(work.Sources))
	if err != nil {
		return r, err
	}
	defer g.Close()
	// Twice as many as can be outstanding before the first is given up.
	*g.Bounds() = perf.Limits{Rate: l.rate, For: o.duration, Window: int(2 * l.rate)}
	cpu, err := srv.CPU()
	if err != nil {
		return r, err
	}
	drops, err := srv.Drops()
	if err != nil {
		return r, err
	}
	res, err := g.Run(func(q *perf.Request) bool { work.Next(q); return true })
	if err != nil && !errors.Is(err, perf.ErrSilent) {
		return r, err
	}
	r.res, r.then = *res, c.tally()
	// If the kernel has killed it, the rest stays 0.
	if now, err := srv.CPU(); err == nil {
		r.cpu = now - cpu
	}
	if now, err := srv.Drops(); err == nil && now > drops {
		r.drops = now - drops
	}
	if m, err := srv.Memory(); err == nil {
		r.rss = m.RSS
	}
	return r, nil
}

// open returns the generator of the load.
func (l load) open(srv *perf.Server, sources int) (perf.Generator, error) {
	if l.http {
		return perf.OpenHTTP(srv.Addr, perf.Sources4(sources))
	}
	return perf.OpenUDP(srv.Addr, perf.Sources4(sources))
}
