package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"tracker/perf"
)

// TestRun has a tracker with the tag write a profile, and one without fail to.
func TestRun(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir := t.TempDir()
	for _, tt := range []struct {
		tags string
		good bool
	}{{"profile", true}, {"", false}} {
		o := options{
			tracker: filepath.Join(dir, "tracker"+tt.tags), out: filepath.Join(dir, "out"+tt.tags),
			duration: 200 * time.Millisecond, serverCPU: -1, loadCPU: -1, work: perf.Workload{Torrents: 100},
		}
		if out, err := exec.Command("go", "build", "-tags", tt.tags, "-o", o.tracker, "../..").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		err := o.run()
		if (err == nil) != tt.good {
			t.Errorf("tags %q: %v", tt.tags, err)
		}
		text, _ := os.ReadFile(o.out)
		if compressed := bytes.HasPrefix(text, []byte("\x1f\x8b")); compressed != tt.good {
			t.Errorf("tags %q: a profile of %d bytes", tt.tags, len(text))
		}
	}
}
