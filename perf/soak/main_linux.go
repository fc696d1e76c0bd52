// Soak keeps a tracker at half of what it can do for an hour, and looks whether
// it grows.
//
//	go run ./perf/soak -tracker ./tracker
//	go run ./perf/soak -tracker ./tracker -for 24h
//
// First it measures how many UDP and how many HTTP announces a second the
// tracker can do, and then sends a quarter of each: together they take about
// half of its processor. What is sent is the canonical workload, where peers
// come, come back, finish and leave. All the while
//
//   - the whitelist is written anew every five seconds, with a torrent that was
//     not on it before and without the one that was; the tracker has to serve
//     the one and to refuse the other within ten seconds;
//   - a snapshot is written every thirty seconds, if the tracker can do that
//     (state.file, state.interval).
//
// # What is asserted
//
// Nothing is refused; over HTTP nothing is lost; over UDP nothing but what came
// too late or was dropped by the kernel at the tracker's sockets, where it was
// counted. There are no more descriptors at the end than at the beginning.
// Snapshots are written, nothing was complained of, and the tracker ends with
// exit code 0 when it is told to.
//
// The resident set does not grow: a line is fitted to its samples of the second
// half, and its slope may be above 0 by three standard errors at most, or, since
// a page that comes and stays is no leak, by what makes a hundredth of the
// resident set in an hour. See [fit]. Of a soak of less than ten minutes the
// slope is printed and not judged.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"tracker/perf"
)

func main() {
	runtime.LockOSThread() // children die with the thread that started them
	var o options
	o.flags(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 || o.length < minLength || o.every <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	o.held.Watch()
	good, err := o.run(os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

const (
	// minLength is the shortest soak of which a slope can be read.
	minLength = 10 * time.Second
	// minJudged is the shortest whose slope is asserted.
	minJudged = 10 * time.Minute
)

// options are the flags.
type options struct {
	tracker            string
	length, every      time.Duration
	reload             time.Duration
	rate, httpRate     float64
	serverCPU, loadCPU int

	held perf.Held
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.tracker, "tracker", "./tracker", "tracker to soak")
	f.DurationVar(&o.length, "for", time.Hour, "length of the soak, 10s and more")
	f.DurationVar(&o.every, "every", 10*time.Second, "how often the resident set is looked at; at least 20 times")
	f.DurationVar(&o.reload, "reload", 5*time.Second, "how often the whitelist is written")
	f.Float64Var(&o.rate, "rate", 0, "UDP announces a second; 0 for a quarter of what the tracker can do")
	f.Float64Var(&o.httpRate, "http-rate", 0, "HTTP announces a second; 0 for a quarter of what the tracker can do")
	f.IntVar(&o.serverCPU, "server-cpu", 0, "`CPU` of the tracker; -1 for any")
	f.IntVar(&o.loadCPU, "load-cpu", 1, "`CPU` of the load; -1 for any")
}
