// Routersim shows whether a tracker can live on a router.
//
//	go run ./perf/routersim -tracker ./tracker -peer opentracker
//
// A small router has, for a tracker beside its work, about a twentieth of what
// one core of the machines one develops on can do, and some megabytes. So the
// tracker is started in a cgroup that may compute for 1 ms in every 20 and has
// 24 MB; whatever is over the one waits for the next 20 ms, and whatever is
// over the other is killed. It gets 50,000 peers; then a minute of UDP
// announces, 5,000 a second; then a minute of HTTP announces, 500 a second,
// with a connection each. Less than one in a thousand may be lost.
//
// Requests leave when they are due, answered or not, and latency counts from
// then. Lost is what was not answered within a second, was refused, or could
// not be sent.
//
// Debian's opentracker, or whatever -peer names, is put through the same, and
// printed beside it. It gets a whitelist with the torrents.
//
// The cgroup, of version 1 or 2, is this command's own. It lies below the one
// the command runs in and is removed at the end, and on INT, TERM and HUP.
// Making it takes root; without, nothing is measured, one line says so, and
// that is no error. It exits 1 if the tracker misses a goal.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"tracker/perf"
)

func main() {
	runtime.LockOSThread() // for Pin, and because children die with their thread
	var o options
	o.flags(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 || o.duration <= 0 || o.udpRate <= 0 || o.httpRate <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	o.held.Watch()
	met, err := o.run(os.Stdout)
	switch {
	case errors.Is(err, errNoCage):
		fmt.Fprintln(os.Stderr, "routersim: nothing is measured:", err)
	case err != nil:
		fmt.Fprintln(os.Stderr, "routersim:", err)
		os.Exit(1)
	case !met:
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	tracker, peer      string
	duration           time.Duration
	udpRate, httpRate  float64
	peers              uint
	limits             limits
	free               bool
	serverCPU, loadCPU int

	held perf.Held
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.tracker, "tracker", "./tracker", "tracker to hold against the goals; \"\" for none")
	f.StringVar(&o.peer, "peer", "opentracker", "tracker to print beside it; \"\" for none")
	f.DurationVar(&o.duration, "for", time.Minute, "length of each load")
	f.Float64Var(&o.udpRate, "udp-rate", 5000, "UDP announces a second")
	f.Float64Var(&o.httpRate, "http-rate", 500, "HTTP announces a second")
	f.UintVar(&o.peers, "peers", 50_000, "peers it has")
	f.DurationVar(&o.limits.quota, "quota", time.Millisecond, "CPU time in each period")
	f.DurationVar(&o.limits.period, "period", 20*time.Millisecond, "the period")
	f.Int64Var(&o.limits.memory, "memory", 24<<20, "`bytes` of memory")
	f.BoolVar(&o.free, "free", false, "no cgroup and no limits: what the same load takes without")
	f.IntVar(&o.serverCPU, "server-cpu", 0, "`CPU` of the servers; -1 for any")
	f.IntVar(&o.loadCPU, "load-cpu", 1, "`CPU` of the generator; -1 for any")
}
