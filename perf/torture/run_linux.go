package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// stages are all there are, in the order they are run.
var stages = []*stage{
	{key: "slow", title: "slow connections", run: slow},
	{key: "leave", title: "long answers abandoned", run: leave},
	{key: "random", title: "random bytes", run: random},
	{key: "lengths", title: "datagrams of every length", run: lengths},
	{key: "spoofed", title: "connection ids of others", run: spoofed},
	{key: "crafted", title: "crafted infohashes", run: crafted},
	{key: "flood70", title: "UDP at 70 % of capacity", run: flood70},
	{key: "http", title: "HTTP at full rate", run: floodHTTP},
	{key: "udp", title: "UDP at full rate", prepare: prepareUDP, run: floodUDP, judge: judgeFlood},
	{key: "budget", title: "UDP at full rate, budgets on", own: budgetSetting, prepare: prepareUDP, run: floodUDP, judge: judgeFlood},
	{key: "files", title: "out of descriptors", own: filesSetting, run: outOfFiles, judge: judgeFiles},
	{key: "ceiling", title: "5 M torrents under a ceiling", own: ceilingSetting, run: ceiling},
}

// run tortures both trackers and prints what came of it. It reports whether
// ours did nothing that it must not.
func (o *options) run(w io.Writer) (good bool, err error) {
	if runtime.NumCPU() < 2 {
		fmt.Fprintln(w, "This machine has one CPU: floods and servers share it, and latencies mean little.")
		o.serverCPU, o.loadCPU = -1, -1
	}
	var rows [][]*trial
	var ends []string
	good = true
	for _, s := range []struct {
		path string
		ours bool
	}{{o.tracker, true}, {o.peer, false}} {
		if s.path == "" {
			continue
		}
		if _, err := exec.LookPath(s.path); err != nil && !s.ours {
			fmt.Fprintf(os.Stderr, "torture: %s is not tortured: %v\n", s.path, err)
			continue
		}
		trials, end, err := o.torture(w, s.path, s.ours)
		if err != nil && s.ours {
			return false, err
		} else if err != nil {
			fmt.Fprintf(w, "%s: %v\n", s.path, err)
		}
		rows = append(rows, trials)
		ends = append(ends, end...)
		for _, t := range trials {
			good = good && (!s.ours || len(t.faults) == 0)
		}
	}
	printTable(w, rows)
	for _, e := range ends {
		fmt.Fprintf(w, "\n%s\n", e)
		good = good && !strings.HasPrefix(e, fault)
	}
	return good, nil
}

// torture puts one tracker through all stages that are wanted. Its error is
// that of the machine, or of a tracker that is no more.
func (o *options) torture(w io.Writer, path string, ours bool) (all []*trial, end []string, err error) {
	defer o.held.Release()
	sc := o.scale()
	var shared *subject
	for _, st := range stages {
		if !o.wants(st.key) {
			continue
		}
		if st.key == "budget" && (!ours || !o.knows(path, budgetLines...)) {
			fmt.Fprintf(w, "%s, %s: not run, it has none\n", filepath.Base(path), st.title)
			continue
		}
		s := shared
		if st.own != nil {
			if s, err = o.start(path, ours, st.own(o)); err != nil {
				return all, end, err
			}
		} else if s == nil {
			if s, err = o.start(path, ours, setting{torrents: sc.torrents + uint32(sc.crafted), crafted: true}); err != nil {
				return all, end, err
			}
			if err := s.fill(sc.torrents); err != nil {
				return all, end, err
			}
			shared = s
		}
		t := &trial{subject: s, o: o, scale: sc, stage: st}
		err := t.run()
		all = append(all, t)
		if err != nil {
			t.must(false, "%v", err)
		}
		t.printVerdict(w)
		if st.own != nil {
			s.stop()
		}
		if err != nil && st.own == nil { // it is not what it was
			shared = nil
			s.stop()
		}
	}
	if shared != nil && ours {
		end, err = o.countGoroutines(shared, path)
	} else if shared != nil {
		shared.stop()
	}
	return all, end, err
}

// fault begins what is said at the end, if it must not be.
const fault = "FAULT: "

// countGoroutines ends a tracker that went through everything and one that has
// just been started, and compares how many goroutines they had.
func (o *options) countGoroutines(s *subject, path string) ([]string, error) {
	st, err := s.Status()
	if err != nil {
		return nil, err
	}
	after := s.goroutines()
	fresh, err := o.start(path, true, setting{})
	if err != nil {
		return nil, err
	}
	before := fresh.goroutines()
	said := fmt.Sprintf("The tracker that went through these had %d goroutines, one that has just been started %d; RSS %.1f MB, at most %.1f MB.",
		after, before, mb(st.RSS), mb(st.Peak))
	if after > before || after <= 0 {
		said = fault + said
	}
	return []string{said}, nil
}
