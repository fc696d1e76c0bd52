package main

import (
	"bytes"
	"flag"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestRun soaks the tracker for a moment, at rates that no machine misses.
func TestRun(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path := filepath.Join(t.TempDir(), "tracker")
	if out, err := exec.Command("go", "build", "-o", path, "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var o options
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	o.flags(f)
	if err := f.Parse([]string{
		"-tracker", path, "-for", "10s", "-reload", "1s", "-rate", "1000", "-http-rate", "50", "-server-cpu", "-1", "-load-cpu", "-1",
	}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	good, err := o.run(&out)
	if err != nil || !good {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, line := range []string{"- UDP: ", "- HTTP: ", "- whitelist: ", "- snapshots: ", "- RSS: "} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is missing in\n%s", line, &out)
		}
	}
}

// TestComplaints finds the line that is one.
func TestComplaints(t *testing.T) {
	got := complaints([]byte("tracker: listening on udp 127.0.0.1:1\ntracker: snapshot state: disk full\n\n" +
		"tracker: whitelist whitelist: 10001 torrents; and 5 more like it in the last minute\n"))
	if len(got) != 1 || !strings.Contains(got[0], "disk full") {
		t.Errorf("%q", got)
	}
}
