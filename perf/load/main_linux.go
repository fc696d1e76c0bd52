// Load sends the canonical workload of package perf to a running tracker on
// this machine and prints what came back.
//
//	go run ./perf/load -target 127.0.0.1:6969                     UDP, as fast as it goes
//	go run ./perf/load -target 127.0.0.1:6969 -rate 20000         UDP, latency at a steady rate
//	go run ./perf/load -http                                      a connection each
//	go run ./perf/load -http -keepalive -depth 8                  pipelined
//	go run ./perf/load -target6 '[::1]:6969'                      both families, 9 to 1
//
// First every client announces once, so that the swarms are populated; then
// the clock starts. A run ends after -for or -count, whichever comes first.
// Only loopback addresses are sent to. It exits 1 if nothing was answered.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"tracker/perf"
)

func main() {
	var o options
	o.flags(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	res, err := o.run()
	if res != nil {
		report(res)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	target, target6 string
	http, keepAlive bool
	fill            bool
	depth, cpu      int
	limits          perf.Limits
	work            perf.Workload
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.target, "target", "127.0.0.1:6969", "`address` of the tracker, loopback only; \"\" for none")
	f.StringVar(&o.target6, "target6", "", "a second `address`, of the other family, which gets a tenth of the window and rate")
	f.BoolVar(&o.http, "http", false, "HTTP instead of UDP")
	f.BoolVar(&o.keepAlive, "keepalive", false, "keep HTTP connections open")
	f.IntVar(&o.depth, "depth", 1, "HTTP requests outstanding on a connection, 1 to 16")
	f.IntVar(&o.cpu, "cpu", -1, "run on this `CPU` alone; -1 for any")
	f.BoolVar(&o.fill, "fill", true, "let every client announce once before the clock starts")
	f.IntVar(&o.limits.Window, "window", 256, "requests (HTTP: connections) outstanding")
	f.Float64Var(&o.limits.Rate, "rate", 0, "requests a second; 0 for as many as the window gives")
	f.Uint64Var(&o.limits.Count, "count", 0, "requests in all; 0 for no limit")
	f.DurationVar(&o.limits.For, "for", 10*time.Second, "length of the run")
	f.DurationVar(&o.limits.Timeout, "timeout", time.Second, "unanswered for so long is lost")
	f.Uint64Var(&o.work.Seed, "seed", 0, "seed of the workload")
	f.Func("torrents", "`number` of torrents (default 10,000)", set(&o.work.Torrents))
	f.Func("clients", "`number` of clients (default 10 a torrent)", set(&o.work.Clients))
	f.Func("sources", "`number` of source addresses (default 256; one for ::1)", set(&o.work.Sources))
	f.Func("numwant", "`number` of peers asked for (default 50)", func(s string) error {
		var n uint32
		if err := set(&n)(s); err != nil {
			return err
		}
		if o.work.NumWant = uint16(min(n, perf.NoPeers-1)); n == 0 {
			o.work.NumWant = perf.NoPeers
		}
		return nil
	})
}

// set returns a function that reads a number into v.
func set(v *uint32) func(string) error {
	return func(s string) error {
		_, err := fmt.Sscan(s, v)
		return err
	}
}

// run sends the load, over one lane for each target, side by side.
func (o *options) run() (*perf.Result, error) {
	type outcome struct {
		res *perf.Result
		err error
	}
	if o.limits.For <= 0 && o.limits.Count == 0 {
		return nil, errors.New("a run needs -for or -count")
	}
	lanes, share := 0, 1.0
	if o.target6 != "" {
		share = 0.9
	}
	done := make(chan outcome)
	for _, l := range []struct {
		target string
		share  float64
	}{{o.target, share}, {o.target6, 1 - share}} {
		if l.target == "" {
			continue
		}
		lanes++
		go func() {
			res, err := o.lane(l.target, l.share)
			done <- outcome{res, err}
		}()
	}
	var sum *perf.Result
	var errs error
	for range lanes {
		d := <-done
		if sum == nil {
			sum = d.res
		} else if d.res != nil {
			sum.Merge(d.res)
		}
		errs = errors.Join(errs, d.err)
	}
	if errs == nil && (sum == nil || sum.Answered == 0) {
		errs = errors.New("nothing was answered")
	}
	return sum, errs
}

// lane runs share of the load against one target, on a thread of its own.
func (o *options) lane(target string, share float64) (*perf.Result, error) {
	runtime.LockOSThread()
	if o.cpu >= 0 {
		if err := perf.Pin(o.cpu); err != nil {
			return nil, err
		}
	}
	addr, err := netip.ParseAddrPort(target)
	if err != nil {
		return nil, err
	}
	w, l := o.work, o.limits
	if w.Sources == 0 && addr.Addr().Is6() {
		w.Sources = 1
	}
	if err := w.Init(); err != nil {
		return nil, err
	}
	l.Window = max(int(float64(l.Window)*share), 1)
	l.Rate *= share
	l.Count = uint64(float64(l.Count) * share)
	g, err := o.open(addr, int(w.Sources), l)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	if o.fill {
		if err := perf.Fill(g, &w); err != nil {
			return nil, fmt.Errorf("filling: %w", err)
		}
	}
	return g.Run(func(r *perf.Request) bool { w.Next(r); return true })
}

// open returns the generator the flags ask for.
func (o *options) open(addr netip.AddrPort, sources int, l perf.Limits) (perf.Generator, error) {
	from := perf.Sources4(sources)
	if addr.Addr().Is6() {
		from = perf.Sources6(sources)
	}
	if o.http {
		h, err := perf.OpenHTTP(addr, from)
		if err != nil {
			return nil, err
		}
		h.Limits, h.KeepAlive, h.Depth = l, o.keepAlive, o.depth
		return h, nil
	}
	u, err := perf.OpenUDP(addr, from)
	if err != nil {
		return nil, err
	}
	u.Limits = l
	return u, nil
}

// report prints one number a line, name first.
func report(r *perf.Result) {
	fmt.Printf("sent %d\nanswered %d\nlost %d\nlate %d\nrefused %d\n", r.Sent, r.Answered, r.Lost, r.Late, r.Refused)
	fmt.Printf("seconds %.3f\nper-second %.0f\n", r.Elapsed.Seconds(), r.PerSecond())
	if r.Answered > 0 {
		fmt.Printf("bytes-per-answer %.1f\n", float64(r.Bytes)/float64(r.Answered+r.Refused))
	}
	for _, q := range []float64{0.5, 0.99, 0.999} {
		fmt.Printf("p%g-us %.1f\n", 100*q, float64(r.Latency.Quantile(q).Nanoseconds())/1e3)
	}
}
