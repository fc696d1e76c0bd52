package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestCgroup floods a tracker that nobody has told how much it may take, in a
// cgroup of 48 MB: it takes three quarters, and is not killed. Where no cgroup
// can be made there is nothing to see.
func TestCgroup(t *testing.T) {
	if race {
		t.Log("not done: the race detector takes more")
		return
	}
	dir, err := makeCgroup(48 << 20)
	if err != nil {
		t.Logf("not done: it takes root and a cgroup with memory: %v", err)
		return
	}
	t.Cleanup(func() { // after the tracker's end
		if err := syscall.Rmdir(dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	})
	t.Setenv("GOGC", fmt.Sprint(gcPercent))
	conf := confFile(t, "listen.tcp 127.0.0.1:0", "listen.udp 127.0.0.1:0")
	p := start(t, exec.Command("/bin/sh", "-c", `echo $$ >"$1/cgroup.procs" && shift && exec "$@"`, "sh", dir, os.Args[0], "-f", conf))
	p.late.Reset(floodLimit)
	line := p.says("tracker: ")
	for !strings.HasPrefix(line, "memory: ") {
		line = p.says("tracker: ")
	}
	if line != "memory: at most 36.0 MB (three quarters of the cgroup's 48.0 MB)" {
		t.Errorf("it says %q", line)
	}
	p.says("tracker: listening on tcp ")
	checkCeiling(t, p, p.says("tracker: listening on udp "), 36<<20, floodLen())
}

// makeCgroup makes a cgroup of so many bytes below the one we are in, whose
// limits hold as well.
func makeCgroup(most int) (dir string, err error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("tracker-test-%d", os.Getpid())
	err = os.ErrNotExist
	for group := range strings.Lines(string(own)) {
		f := strings.SplitN(strings.TrimSpace(group), ":", 3)
		top, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		switch f[1] {
		case "memory":
		case "":
			top, file = "/sys/fs/cgroup", "memory.max"
		default:
			continue
		}
		dir = filepath.Join(top, f[2], name)
		if err = os.Mkdir(dir, 0o755); err != nil {
			continue
		}
		if err = os.WriteFile(filepath.Join(dir, file), []byte(fmt.Sprint(most)), 0o644); err == nil {
			return dir, nil
		}
		syscall.Rmdir(dir)
	}
	return "", err
}
