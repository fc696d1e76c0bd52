// Compare runs trackers under the same load, one after the other in turn, and
// prints what each request cost them.
//
//	go run ./perf/compare -tracker ./tracker
//	go run ./perf/compare -only udp,http -with tracker,opentracker
//	go run ./perf/compare -only udp -with tracker -peer ./tracker.before
//
// In every scenario all servers are started once, each pinned to the same CPU,
// and filled with the workload's clients. Then, round after round, each gets
// the load for a moment, in an order that rotates, from a generator on another
// CPU. A table shows the medians over the rounds, with the least and most
// in brackets, and ratios of CPU time within a round.
//
// CPU time is that of the server's process, user and system, over the answers
// it gave. On loopback a datagram's way into the receiver's socket is paid for
// by its sender, so it counts for the generator going in and for the server
// coming out, with every server alike.
//
// # Who takes part
//
// Ours, opentracker, aquatic, chihaya, and for each wire a floor: a server with
// a tracker's sockets that looks at nothing and always answers the same; this
// command runs itself as that. What is missing is installed by name: with
// apt-get, as root, or built by cargo or go at a pinned version into the user's
// cache directory. What cannot be had is left out, with a line that says why.
//
// # What is not rounds
//
// Two reactors beside one, the store's sweep, idle processes and the collector
// are measured as told at [options.twoReactors], [options.sweep] and
// [options.process].
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"tracker/perf"
)

func main() {
	runtime.LockOSThread() // for Pin, and because children die with their thread
	if wire := os.Getenv(floorKey); wire != "" {
		fail(runFloor(wire))
		return
	}
	var o options
	o.flags(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 || o.rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	o.held.Watch()
	fail(o.run())
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// options are the flags, and what is known once they are read.
type options struct {
	tracker, peer, only, with string
	listed, install           bool
	rounds                    int
	slice                     time.Duration
	serverCPU                 int
	loads                     cpuList
	json, plot                string

	programs []*program
	report   report
	held     perf.Held
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.tracker, "tracker", "./tracker", "our tracker; \"\" for none")
	f.StringVar(&o.peer, "peer", "", "one more `tracker` that takes opentracker's flags")
	f.BoolVar(&o.listed, "listed", false, "in udp and http, run ours a second time, with a whitelist, as Debian's opentracker must be")
	f.StringVar(&o.with, "with", "", "`names` of servers, separated by commas; \"\" for all that can be had: "+programNames())
	f.BoolVar(&o.install, "install", true, "install servers that are missing")
	f.StringVar(&o.only, "only", "", "`names` of scenarios, separated by commas; \"\" for all: "+scenarioNames())
	f.IntVar(&o.rounds, "rounds", 7, "`rounds` of a scenario")
	f.DurationVar(&o.slice, "for", 2*time.Second, "length of the load in each round")
	f.IntVar(&o.serverCPU, "server-cpu", 0, "`CPU` of the servers; -1 for any")
	o.loads = cpuList{1}
	f.Var(&o.loads, "load-cpu", "`CPUs` of as many generators, separated by commas; \"\" for one on any")
	f.StringVar(&o.json, "json", "", "write every round to this `file`")
	f.StringVar(&o.plot, "plot", "", "draw CPU time per request to this SVG `file`")
}

// chosen reports whether a list of names, as of -only, has name or is empty.
func chosen(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}

// run measures the chosen scenarios and prints a table for each.
func (o *options) run() error {
	if runtime.NumCPU() < 2 {
		fmt.Println("This machine has one CPU: generator and servers share it, and latencies mean little.")
		o.serverCPU, o.loads = -1, nil
	}
	var dir string
	end, err := o.held.Hold(func() (free func(), err error) {
		dir, err = os.MkdirTemp("", "compare")
		return func() { _ = os.RemoveAll(dir) }, err
	})
	if err != nil {
		return err
	}
	defer end()
	o.prepare(dir)
	o.report.Machine = describe(o.programs)
	o.report.Machine.print(os.Stdout)
	for _, s := range scenarios() {
		if !chosen(o.only, s.name) {
			continue
		}
		r, err := o.scenario(s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		o.report.Scenarios = append(o.report.Scenarios, r)
		r.print(os.Stdout)
	}
	if chosen(o.only, processes) {
		if err := o.allProcesses(); err != nil {
			return err
		}
		printProcesses(os.Stdout, o.report.Processes)
	}
	o.report.printGoals(os.Stdout)
	for _, line := range o.report.Skipped {
		fmt.Printf("\nNot compared: %s.\n", line)
	}
	return o.write()
}

// prepare finds or installs the chosen programs. Configurations go to dir.
func (o *options) prepare(dir string) {
	for _, p := range programs() {
		if !chosen(o.with, p.key) {
			continue
		}
		var err error
		p.path, p.version, err = p.find(o)
		switch p.dir, p.held = dir, &o.held; {
		case err == nil:
			o.programs = append(o.programs, p)
		case !errors.Is(err, errNotAsked):
			o.skip(p.title, err)
		}
	}
}

// skip remembers that a server is not there, and why.
func (o *options) skip(title string, err error) {
	line := fmt.Sprintf("%s: %s", title, strings.Join(strings.Fields(err.Error()), " "))
	fmt.Fprintln(os.Stderr, "compare: left out:", line)
	o.report.Skipped = append(o.report.Skipped, line)
}

// write writes the files that were asked for.
func (o *options) write() error {
	var errs error
	if o.json != "" {
		text, err := json.MarshalIndent(&o.report, "", "\t")
		errs = errors.Join(err, os.WriteFile(o.json, append(text, '\n'), 0o644))
	}
	if o.plot != "" {
		errs = errors.Join(errs, os.WriteFile(o.plot, o.report.draw(), 0o644))
	}
	return errs
}

// scenario writes the whitelist for s and measures it.
func (o *options) scenario(s *scenario) (*result, error) {
	list, end, err := o.held.WriteWhitelist(s.work.Torrents)
	if err != nil {
		return nil, err
	}
	defer end()
	if s.measure != nil {
		return s.measure(o, s, list)
	}
	var cs []*contender
	for _, p := range o.programs {
		if p.takesPart(s) {
			cs = append(cs, o.contender(p, p.key, p.title))
		}
	}
	return o.inTurn(s, list, cs)
}

// contender returns one that runs p on the usual CPUs.
func (o *options) contender(p *program, key, title string) *contender {
	c := &contender{run: &run{Key: key, Title: title, Floor: p.floor}, program: p, loads: o.loads}
	if o.serverCPU >= 0 {
		c.cpus = cpuList{o.serverCPU}
	}
	return c
}

// inTurn starts servers and puts them under the load of s, in turn. One of
// others that does not start or is not filled is left out.
func (o *options) inTurn(s *scenario, list string, cs []*contender) (*result, error) {
	r := &result{Name: s.name, Title: s.title}
	var running []*contender
	defer func() {
		for _, c := range running {
			c.close()
		}
	}()
	for _, c := range cs {
		if err := c.start(s, list); err != nil {
			c.close()
			if c.program.key == ours || c.Floor {
				return nil, fmt.Errorf("%s: %w", c.Title, err)
			}
			o.skip(c.Title+" in "+s.name, err)
			continue
		}
		running = append(running, c)
		fmt.Fprintf(os.Stderr, "%s: %s is filled\n", s.name, c.Title)
	}
	for round := range o.rounds {
		for i := range running {
			c := running[(i+round)%len(running)]
			if err := c.round(o.slice); err != nil {
				return nil, fmt.Errorf("%s: %w", c.Title, err)
			}
		}
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", s.name, round+1, o.rounds)
	}
	for _, c := range running {
		r.Runs = append(r.Runs, c.run)
	}
	return r, nil
}
