// Compare runs trackers under the same load, one after the other in turn, and
// prints what each request cost them.
//
//	go run ./perf/compare -tracker ./tracker -peer opentracker
//
// In every scenario all servers are started once, each pinned to the same CPU,
// and filled with the workload's clients. Then, round after round, each gets
// the load for a moment, in an order that rotates, from a generator on another
// CPU. A table shows the medians over the rounds, with the least and most
// in brackets, and the ratio of CPU time to the peer's and the floor's within
// a round.
//
// CPU time is that of the server's process, user and system, over the answers
// it gave. On loopback a datagram's way into the receiver's socket is paid for
// by its sender, so it counts for the generator going in and for the server
// coming out, with every server alike.
//
// The floor is a server with a tracker's sockets and batches that looks at
// nothing and always answers the same; this command runs itself as that.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"tracker/perf"
)

func main() {
	runtime.LockOSThread() // for Pin, and because children die with their thread
	if os.Getenv(floorKey) != "" {
		fail(runFloor())
		return
	}
	var o options
	flag.StringVar(&o.tracker, "tracker", "./tracker", "our tracker; \"\" for none")
	flag.StringVar(&o.peer, "peer", "opentracker", "tracker to compare with; \"\" for none")
	flag.BoolVar(&o.listed, "listed", false, "run ours a second time, with a whitelist, as Debian's opentracker must be")
	flag.IntVar(&o.rounds, "rounds", 7, "`rounds` of a scenario")
	flag.DurationVar(&o.slice, "for", 2*time.Second, "length of the load in each round")
	flag.StringVar(&o.only, "only", "", "`names` of scenarios, separated by commas; \"\" for all: "+scenarioNames())
	flag.IntVar(&o.serverCPU, "server-cpu", 0, "`CPU` of the servers; -1 for any")
	flag.IntVar(&o.loadCPU, "load-cpu", 1, "`CPU` of the generator; -1 for any")
	flag.Parse()
	if flag.NArg() > 0 || o.rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	fail(o.run())
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	tracker, peer, only string
	listed              bool
	rounds              int
	slice               time.Duration
	serverCPU, loadCPU  int
}

// run measures the chosen scenarios and prints a table for each.
func (o *options) run() error {
	if runtime.NumCPU() < 2 {
		fmt.Println("This machine has one CPU: generator and servers share it, and latencies mean little.")
		o.serverCPU, o.loadCPU = -1, -1
	}
	for _, s := range scenarios {
		if o.only != "" && !strings.Contains(","+o.only+",", ","+s.name+",") {
			continue
		}
		if err := o.scenario(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// scenario starts the servers of s, puts them under load in turn, and prints.
func (o *options) scenario(s scenario) error {
	list, err := perf.WriteWhitelist(s.work.Torrents)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(list))

	var runs []*contender
	defer func() {
		for _, c := range runs {
			c.close()
		}
	}()
	for _, c := range o.contenders(s, list) {
		if err := c.start(o, s); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		runs = append(runs, c)
		fmt.Fprintf(os.Stderr, "%s: %s is filled\n", s.name, c.name)
	}
	for round := range o.rounds {
		for i := range runs {
			c := runs[(i+round)%len(runs)]
			if err := c.round(o); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", s.name, round+1, o.rounds)
	}
	printTable(s, runs)
	return nil
}

// contenders returns who takes part in s.
func (o *options) contenders(s scenario, list string) []*contender {
	var cs []*contender
	if o.tracker != "" {
		cs = append(cs, &contender{name: "tracker", path: o.tracker})
		if o.listed {
			cs = append(cs, &contender{name: "tracker, whitelist", path: o.tracker, list: list})
		}
	}
	if o.peer != "" {
		c := &contender{name: filepath.Base(o.peer), path: o.peer, peer: true}
		if c.name == "opentracker" {
			c.list = list
		}
		cs = append(cs, c)
	}
	if !s.http {
		cs = append(cs, &contender{name: "echo floor", path: "/proc/self/exe", env: []string{floorKey + "=1"}, floor: true})
	}
	return cs
}
