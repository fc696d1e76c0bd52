package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"tracker/perf"
)

// Names in the tracker's directory.
const (
	confName  = "conf"
	listName  = "whitelist"
	stateName = "state"
)

// endLimit is how long the tracker may take to end: it writes a snapshot.
const endLimit = 30 * time.Second

// A soak is one run.
type soak struct {
	*options
	dir       string
	snapshots bool // the tracker can
	srv       *perf.Server
	list      *lister
	udp, http *lane

	before, after perf.Status
	drops         uint64
	samples       []sample
	states        int // times that the state file was seen to be another
	editions      uint32
}

// run soaks the tracker and prints what came of it. It reports whether all that
// is asserted is so.
func (o *options) run(w io.Writer) (good bool, err error) {
	if runtime.NumCPU() < 2 {
		fmt.Fprintln(w, "This machine has one CPU: load and tracker share it.")
		o.serverCPU, o.loadCPU = -1, -1
	}
	defer o.held.Release()
	s := &soak{options: o}
	if err := s.start(); err != nil {
		return false, err
	}
	if err := <-onThread(o.loadCPU, func() (err error) { s.udp, s.http, err = o.lanes(s.srv); return err }); err != nil {
		return false, err
	}
	defer s.udp.gen.Close()
	defer s.http.gen.Close()
	fmt.Fprintf(w, "%.0f UDP and %.0f HTTP announces a second for %v\n", s.udp.rate, s.http.rate, o.length)
	cpu, err := s.srv.CPU()
	if err != nil {
		return false, err
	}
	others, err := s.srv.Others()
	if err != nil {
		return false, err
	}
	if err := s.soak(w); err != nil {
		return false, err
	}
	now, err1 := s.srv.CPU()
	sum, err2 := s.srv.Others()
	if err := errors.Join(err1, err2); err != nil {
		return false, err
	}
	percent := func(d time.Duration) float64 { return 100 * d.Seconds() / o.length.Seconds() }
	fmt.Fprintf(w, "of a processor, the tracker took %.0f %%, other programs but the load %.0f %%\n", percent(now-cpu), percent(sum-others))
	ended := s.srv.End(endLimit)
	return s.print(w, ended), nil
}

// start makes the tracker's directory and starts it there.
func (s *soak) start() (err error) {
	_, err = s.held.Hold(func() (func(), error) {
		s.dir, err = os.MkdirTemp("", "soak")
		return func() { _ = os.RemoveAll(s.dir) }, errors.Join(err, os.Chmod(s.dir, 0o777)) // it may become nobody
	})
	if err != nil {
		return err
	}
	var work perf.Workload
	if err := work.Init(); err != nil {
		return err
	}
	if s.list, err = newLister(s.dir, work.Torrents); err != nil {
		return err
	}
	cmd := perf.Command{
		Path: s.tracker, Addr: netip.MustParseAddr("127.0.0.1"), Args: s.conf, CPUs: perf.OneCPU(s.serverCPU), Held: &s.held,
	}
	if s.srv, err = cmd.Start(); err == nil {
		s.list.target = s.srv.Addr
	}
	return err
}

// conf writes the tracker's configuration, with snapshots if it can.
func (s *soak) conf(at netip.AddrPort) ([]string, error) {
	path := filepath.Join(s.dir, confName)
	lines := []string{"listen.tcp_udp " + at.String(), "tracker.rootdir " + s.dir, "access.whitelist " + listName}
	state := []string{"state.file " + stateName, fmt.Sprintf("state.interval %d", max(1, min(30, int(s.length.Seconds()/10))))}
	for _, l := range [][]string{append(lines, state...), lines} {
		if err := os.WriteFile(path, []byte(strings.Join(l, "\n")+"\n"), 0o644); err != nil {
			return nil, err
		}
		if s.snapshots = len(l) > len(lines); s.snapshots && exec.Command(s.tracker, "-t", "-f", path).Run() == nil {
			break
		}
	}
	return []string{"-f", path}, nil
}

// soak loads the tracker and looks at it until the time is over.
func (s *soak) soak(w io.Writer) (err error) {
	if s.before, err = s.srv.Status(); err != nil {
		return err
	}
	drops, err := s.srv.Drops()
	if err != nil {
		return err
	}
	udp := onThread(s.loadCPU, func() error { return s.udp.run(s.length) })
	http := onThread(s.loadCPU, func() error { return s.http.run(s.length) })
	stop, listed := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		s.editions, err = s.list.run(s.reload, stop)
		listed <- err
	}()
	watched := s.watch(w)
	close(stop)
	if err := errors.Join(watched, <-udp, <-http, <-listed); err != nil {
		return fmt.Errorf("%w\n%s", err, s.said())
	}
	if err := s.settle(); err != nil {
		return err
	}
	now, err := s.srv.Drops()
	s.drops = now - min(drops, now)
	return err
}

// settle waits until the tracker has no more descriptors than before: it may
// be about to write a snapshot.
func (s *soak) settle() (err error) {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if s.after, err = s.srv.Status(); err != nil || s.after.Files <= s.before.Files || time.Now().After(deadline) {
			return err
		}
	}
}

// said returns what the tracker has said, which ends it.
func (s *soak) said() []byte {
	s.srv.Stop()
	return s.srv.Said()
}

// watch takes samples until the time is over.
func (s *soak) watch(w io.Writer) error {
	every := min(s.every, s.length/20)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var state time.Time
	begin := time.Now()
	for told := time.Duration(0); ; {
		<-tick.C
		at := time.Since(begin)
		if at > s.length {
			return nil
		}
		st, err := s.srv.Status()
		if err != nil {
			return err
		}
		s.samples = append(s.samples, sample{at, st.RSS})
		if fi, err := os.Stat(filepath.Join(s.dir, stateName)); err == nil && !fi.ModTime().Equal(state) {
			state = fi.ModTime()
			s.states++
		}
		if at-told >= 5*time.Minute {
			told = at
			fmt.Fprintf(w, "%v: RSS %.2f MB, %d descriptors, %d threads\n", at.Round(time.Second), mb(float64(st.RSS)), st.Files, st.Threads)
		}
	}
}

// print prints what came of it, and reports whether all that is asserted is so.
func (s *soak) print(w io.Writer, ended error) (good bool) {
	good = true
	must := func(ok bool, format string, args ...any) {
		verdict := "held"
		if !ok {
			verdict, good = "FAULT", false
		}
		fmt.Fprintf(w, "- %s: %s\n", fmt.Sprintf(format, args...), verdict)
	}
	u, h := &s.udp.total, &s.http.total
	lost := u.Lost - min(u.Lost, u.Late)
	must(u.Refused == 0 && lost <= s.drops, "UDP: %d answered, %d refused, %d not answered in time, %d of these late, %d dropped by the kernel at the tracker's sockets",
		u.Answered, u.Refused, u.Lost, u.Late, s.drops)
	must(h.Refused+h.Lost == 0, "HTTP: %d answered, %d refused, %d lost", h.Answered, h.Refused, h.Lost)
	must(s.editions > 0, "whitelist: %d editions written and gone by", s.editions)
	if s.snapshots {
		must(s.states > 1, "snapshots: %d different ones seen", s.states)
	} else {
		fmt.Fprintln(w, "- snapshots: this tracker has none")
	}
	trouble := complaints(s.srv.Said())
	must(ended == nil && len(trouble) == 0, "ended with %v; complaints: %q", orZero(ended), trouble)
	must(s.after.Files <= s.before.Files, "descriptors: %d before, %d after; threads %d, %d", s.before.Files, s.after.Files, s.before.Threads, s.after.Threads)
	half := s.samples[len(s.samples)/2:]
	line := fit(half)
	must(line.flat() || s.length < minJudged, "RSS: %.2f MB in the mean of the second half (%d samples), most ever %.2f MB; it grows by %.3f ± %.3f MB an hour",
		mb(line.mean), len(half), mb(float64(s.after.Peak)), mb(line.perHour), mb(line.err))
	return good
}

// orZero describes how a process ended.
func orZero(err error) string {
	if err == nil {
		return "exit code 0"
	}
	return err.Error()
}

// mb is bytes in units of 2^20.
func mb(n float64) float64 { return n / (1 << 20) }

// complaints returns what a tracker has said that is not what one says to whom
// all is well.
func complaints(said []byte) (all []string) {
	fine := []string{"listening on ", "root given up", "sandbox: ", "there is none yet", "peers written in", "memory: at most ", "self-check: "}
	for line := range bytes.Lines(said) {
		text := strings.TrimSpace(string(line))
		text, _, _ = strings.Cut(text, "; and ") // so many more like it
		ok := text == "" || strings.Contains(text, "whitelist "+listName+": ") && strings.HasSuffix(text, " torrents")
		for _, f := range fine {
			ok = ok || strings.Contains(text, f)
		}
		if !ok {
			all = append(all, text)
		}
	}
	return all
}
