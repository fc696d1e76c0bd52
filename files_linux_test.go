package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFilesAtTheCap has more clients than a tracker has descriptors, all of whom
// want to stay. Lists are reread and snapshots written all the same, and whoever
// comes is served.
func TestFilesAtTheCap(t *testing.T) {
	dir, _ := stateDir(t)
	list := filepath.Join(dir, "whitelist")
	writeList(t, list, "a")
	writeList(t, filepath.Join(dir, "blacklist"), "z")
	conf := confFile(t, "listen.tcp 127.0.0.1:0", "listen.udp 127.0.0.1:0", "state.file state",
		"access.whitelist whitelist", "access.blacklist blacklist", "access.fifo_add add", "access.fifo_delete delete")
	cmd := exec.Command("sh", "-c", `ulimit -n 64 && exec "$0" -f "$1"`, os.Args[0], conf)
	cmd.Dir = dir
	p := start(t, cmd)
	var tcp string
	for line := ""; !strings.HasPrefix(line, "listening on udp"); {
		line = p.says("tracker: ")
		if to, ok := strings.CutPrefix(line, "listening on tcp "); ok {
			tcp = to
		}
	}
	crowd := func() {
		for range 100 {
			c, err := net.Dial("tcp", tcp)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			fmt.Fprint(c, "GET /announce")
		}
	}
	for round := range 3 {
		crowd()
		ih := byte('b' + round)
		f, err := os.OpenFile(list, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(listLine(ih))
		f.Close()
		p.says("tracker: whitelist whitelist: ")
		until(t, 2*time.Second, "the announce is accepted", func() bool { return announces(t, tcp, ih) })
		crowd()
		p.signal(syscall.SIGUSR2)
		if line := p.says("tracker: snapshot state: "); !strings.Contains(line, "written") {
			t.Errorf("snapshot: %s", line)
		}
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d descriptors of 64 are open", len(open))
	}
	if rest := p.stop(syscall.SIGTERM); strings.Contains(rest, "too many open files") {
		t.Errorf("in the end: %q", rest)
	}
}
