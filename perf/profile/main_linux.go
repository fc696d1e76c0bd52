// Profile has a tracker, built with the tag profile, write where its CPU time
// goes under the canonical workload.
//
//	go build -tags profile -o dist/tracker-profile .
//	go run ./perf/profile -tracker dist/tracker-profile -o perf/cpu.pgo
//	go tool pprof -top perf/cpu.pgo
//
// The tracker is filled with the workload's clients over UDP and then gets, as
// fast as it answers, UDP announces for half of the time and HTTP announces
// for the rest, with connections kept and with a connection each. Then it is
// asked to end, whereupon it writes the profile.
//
// make build compiles with the profile, if perf/cpu.pgo is there.
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
	runtime.LockOSThread() // for Pin, and because children die with their thread
	var o options
	flag.StringVar(&o.tracker, "tracker", "dist/tracker-profile", "tracker built with the tag profile")
	flag.StringVar(&o.out, "o", "perf/cpu.pgo", "`file` for the profile")
	flag.DurationVar(&o.duration, "for", 30*time.Second, "length of the load")
	flag.IntVar(&o.serverCPU, "server-cpu", 0, "`CPU` of the server; -1 for any")
	flag.IntVar(&o.loadCPU, "load-cpu", 1, "`CPU` of the generator; -1 for any")
	flag.Parse()
	if flag.NArg() > 0 || o.duration <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	if runtime.NumCPU() < 2 {
		o.serverCPU, o.loadCPU = -1, -1
	}
	o.held.Watch()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	tracker, out       string
	duration           time.Duration
	serverCPU, loadCPU int
	work               perf.Workload
	held               perf.Held
}

// endLimit is how long the tracker may take to end: the profile is written
// once the last of the samples has been taken, within a fraction of a second.
const endLimit = 10 * time.Second

// run drives the tracker and waits for its profile.
func (o *options) run() error {
	out, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	if err := o.work.Init(); err != nil {
		return err
	}
	_ = os.Remove(out) // an old one must not pass for the new
	srv, err := perf.Command{
		Path: o.tracker, Addr: netip.MustParseAddr("127.0.0.1"), CPUs: perf.OneCPU(o.serverCPU),
		Env: []string{"TRACKER_PROFILE=" + out}, Held: &o.held,
	}.Start()
	if err != nil {
		return err
	}
	if err := o.load(srv); err != nil {
		srv.Stop()
		return err
	}
	if err := srv.End(endLimit); err != nil {
		return err
	}
	if fi, err := os.Stat(out); err != nil || fi.Size() == 0 {
		return errors.Join(fmt.Errorf("%s writes no profile: was it built with -tags profile?", o.tracker), err)
	}
	return nil
}

// load fills the tracker and sends each kind of request.
func (o *options) load(srv *perf.Server) error {
	if o.loadCPU >= 0 {
		if err := perf.Pin(o.loadCPU); err != nil {
			return err
		}
	}
	sources := perf.Sources4(int(o.work.Sources))
	u, err := perf.OpenUDP(srv.Addr, sources)
	if err != nil {
		return err
	}
	defer u.Close()
	// Below the 256 small datagrams that fit a default receive buffer.
	u.Window, u.Timeout, u.Resend = 192, 200*time.Millisecond, true
	if err := perf.Fill(u, &o.work); err != nil {
		return err
	}
	h, err := perf.OpenHTTP(srv.Addr, sources)
	if err != nil {
		return err
	}
	defer h.Close()
	h.Window = 64
	for _, l := range []struct {
		name      string
		gen       perf.Generator
		keepAlive bool
		share     time.Duration
	}{{"UDP", u, false, 2}, {"HTTP, kept", h, true, 4}, {"HTTP, a connection each", h, false, 4}} {
		h.KeepAlive = l.keepAlive
		l.gen.Bounds().For = o.duration / l.share
		res, err := l.gen.Run(func(r *perf.Request) bool { o.work.Next(r); return true })
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		fmt.Fprintf(os.Stderr, "profile: %s: %.0f answers a second\n", l.name, res.PerSecond())
	}
	return nil
}
