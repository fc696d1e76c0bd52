package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"tracker/perf"
)

// TestRun drives the command for a moment each, at rates that no machine
// misses: within limits where cgroups can be made, and without in any case.
func TestRun(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path := build(t)
	for _, limited := range []string{"-free=true", "-free=false"} {
		var o options
		f := flag.NewFlagSet("routersim", flag.ContinueOnError)
		o.flags(f)
		if err := f.Parse([]string{
			"-tracker", path, "-peer", "", "-for", "1s", "-udp-rate", "500", "-http-rate", "20", "-peers", "1000",
			"-quota", "5ms", "-server-cpu", "-1", "-load-cpu", "-1", limited,
		}); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		switch _, err := o.run(&out); {
		case errors.Is(err, errNoCage):
			t.Logf("not run within limits: %v", err)
			continue
		case err != nil:
			t.Fatal(err)
		}
		for _, line := range []string{"\n| UDP, 500 a second | tracker | ", "\n| HTTP, 20 a second | tracker | ", "- lives to the end in its memory: met"} {
			if !strings.Contains(out.String(), line) {
				t.Errorf("%s: %q is missing in\n%s", limited, line, &out)
			}
		}
	}
}

// TestCageHolds has a shell busy in a cage and looks whether it is held back,
// and whether nothing of it is left.
func TestCageHolds(t *testing.T) {
	name := fmt.Sprintf("tracker-routersim-test-%d", os.Getpid())
	c, err := newCage(name, routerLimits)
	if errors.Is(err, errNoCage) {
		t.Logf("not run: %v", err)
		return
	}
	defer func() {
		if err := c.remove(); err != nil {
			t.Error(err)
		}
	}()
	if again, err := newCage(name, routerLimits); err == nil {
		t.Errorf("a second cage of that name: %+v", again)
	}
	if _, err := os.Stat(c.cpu.dir); err != nil {
		t.Errorf("the second took the first away: %v", err)
	}
	argv := append(c.enter(), "sh", "-c", "while :; do :; done")
	busy := exec.Command(argv[0], argv[1:]...)
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); c.tally().throttled < 3; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never throttled: %+v", c.tally())
		}
	}
	if err := c.remove(); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := busy.Wait(); !errors.As(err, &exit) {
		t.Errorf("who was in the cage ended with %v", err)
	}
	for _, dir := range []string{c.cpu.dir, c.memory.dir} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
}

// TestGoals holds results against the goals.
func TestGoals(t *testing.T) {
	good := row{due: 1000, res: perf.Result{Answered: 1000}, rss: 1}
	poor, dead, killed := good, good, good
	poor.res.Answered, dead.rss, killed.then.killed = 999, 0, 1
	for _, tt := range []struct {
		name string
		rows []row
		met  bool
	}{
		{"good", []row{good, good}, true},
		{"one in a thousand lost", []row{poor, good}, false},
		{"gone at the end", []row{good, dead}, false},
		{"killed for memory", []row{good, killed}, false},
	} {
		var out bytes.Buffer
		if met := printGoals(&out, tt.rows); met != tt.met || met == strings.Contains(out.String(), "NOT MET") {
			t.Errorf("%s: met %v\n%s", tt.name, met, &out)
		}
	}
}

// build builds the tracker.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tracker")
	if out, err := exec.Command("go", "build", "-o", path, "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}
