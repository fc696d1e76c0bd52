// Torture does to a tracker what hostile clients do, and looks who notices.
//
//	go run ./perf/torture -tracker ./tracker -peer opentracker
//
// # Witness
//
// All the while a [witness] behind another prefix, 127.9.9.0/24 and ::1,
// announces every 100 ms over each of UDP and HTTP, IPv4 and IPv6, in a torrent
// of which it knows who is in it. Each answer has to name exactly those, and
// come. Over UDP it asks again after 15 and after 30 seconds more, as BEP 15
// has it, and then gives up.
//
// # Stages
//
//	slow      10,000 connections that send a byte every other second
//	leave     2,000 long answers abandoned after their first bytes, half of
//	          them with a reset
//	files     64 descriptors, and clients that take all of them, and leave
//	random    random bytes on both ports
//	lengths   datagrams of each length from 0 to 2,048, of every kind
//	spoofed   connection ids that are guessed, of others, of a dead process
//	crafted   20,000 infohashes whose xxhash without a seed ends in the same 16 bits
//	flood70   UDP at 70 % of what the tracker can do
//	http      HTTP as fast as it goes, with a connection each
//	udp       UDP as fast as the system sends it, without waiting for answers
//	budget    the same with a budget for each address and prefix, if it has them
//	ceiling   5,000,000 random torrents from one /24 under a ceiling of 32 MB
//
// The hostile clients are those of 127.66.0.0/24. What each stage asserts is
// said where it is run; what came of it is a few lines, and a row of the table
// at the end. All stages but budget, files and ceiling share one process, so that it
// shows if one leaves something behind: after each, no descriptor may be in use
// that was not before, and in the end there must be no more goroutines than
// when a tracker starts (it is ended by SIGQUIT, and tells). Threads are
// printed: Go's runtime keeps those it has once made.
//
// Debian's opentracker, or whatever -peer names, is put through the same and
// printed beside it. It gets a whitelist with the torrents. Nothing is asserted
// of it.
//
// Everything goes to loopback addresses of this machine. It exits 1 if the
// tracker did something that it must not.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"tracker/perf"
)

func main() {
	runtime.LockOSThread() // children die with the thread that started them
	var o options
	o.flags(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	o.held.Watch()
	good, err := o.run(os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	tracker, peer      string
	only               string
	quick              bool
	ceiling            int64
	serverCPU, loadCPU int

	held perf.Held
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.tracker, "tracker", "./tracker", "tracker to hold against what is asserted; \"\" for none")
	f.StringVar(&o.peer, "peer", "opentracker", "tracker to print beside it; \"\" for none")
	f.StringVar(&o.only, "only", "", "run these `stages` alone, separated by commas")
	f.BoolVar(&o.quick, "quick", false, "a short form of each stage")
	f.Int64Var(&o.ceiling, "ceiling", 32, "`MB` (2^20) that limit.memory gives the tracker in the stage of that name; 0 for no limit")
	f.IntVar(&o.serverCPU, "server-cpu", 0, "`CPU` of the servers; -1 for any")
	f.IntVar(&o.loadCPU, "load-cpu", 1, "`CPU` of what floods; -1 for any")
}

// A scale is how much of everything there is.
type scale struct {
	slow       int           // connections
	leave      int           // answers abandoned
	torrents   uint32        // that there are in long answers
	random     int           // datagrams
	crafted    int           // infohashes
	many       uint32        // torrents under the ceiling
	short      time.Duration // of stages that only wait
	flood      time.Duration
	retransmit time.Duration // after which a datagram is sent again, and then twice that
	patience   time.Duration // with an HTTP answer
}

var (
	fullScale = scale{
		slow: 10_000, leave: 2_000, torrents: 60_000, random: 200_000, crafted: 20_000, many: 5_000_000,
		short: 10 * time.Second, flood: 30 * time.Second, retransmit: 15 * time.Second, patience: 30 * time.Second,
	}
	quickScale = scale{
		slow: 300, leave: 60, torrents: 20_000, random: 10_000, crafted: 500, many: 20_000,
		short: time.Second, flood: time.Second, retransmit: time.Second, patience: 10 * time.Second,
	}
)

func (o *options) scale() *scale {
	if o.quick {
		return &quickScale
	}
	return &fullScale
}

// wants reports whether a stage is to be run.
func (o *options) wants(key string) bool {
	if o.only == "" {
		return true
	}
	for _, k := range strings.Split(o.only, ",") {
		if k == key {
			return true
		}
	}
	return false
}
