package main

import (
	"fmt"
	"io"
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
	p := startWith64(t, dir, "-f", conf)
	tcp := p.saysSoon("listening on tcp ")
	p.saysSoon("listening on udp ")
	crowd := func() { tryToStay(t, tcp, 100) }
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

// startWith64 starts a tracker with these flags that may have 64 descriptors.
func startWith64(t *testing.T, dir string, flags ...string) *process {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `ulimit -n 64 && exec "$0" "$@"`, os.Args[0]}, flags...)...)
	cmd.Dir = dir
	return start(t, cmd)
}

// saysSoon returns what p says behind prefix, whatever else it says before.
func (p *process) saysSoon(prefix string) string {
	p.t.Helper()
	for {
		if rest, ok := strings.CutPrefix(p.says("tracker: "), prefix); ok {
			return rest
		}
	}
}

// tryToStay opens n connections and begins a request on each.
func tryToStay(t *testing.T, to string, n int) (all []net.Conn) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(c, "GET /announce")
		all = append(all, c)
	}
	return all
}

// TestReplaceAtTheCap has a tracker replaced that has as many connections as its
// descriptors allow, by one that may have as many, and again. The connection
// that came last goes on in the middle of its request, and nothing is lacking.
func TestReplaceAtTheCap(t *testing.T) {
	t.Setenv("GOMAXPROCS", "1") // one socket, so connections are accepted in the order in which they come
	h := newHouse(t)
	conf := func(lines ...string) string { return confFile(t, append(lines, "tracker.socket "+h.socket)...) }
	p := startWith64(t, h.dir, "-f", conf("listen.tcp_udp 127.0.0.1:0"))
	tcp, udp := p.saysSoon("listening on tcp "), p.saysSoon("listening on udp ")
	announces(t, tcp, 'a')
	for round := range 3 {
		all := tryToStay(t, tcp, 100)
		get(t, tcp, announcePath('a', 1)) // they have been read
		next := startWith64(t, h.dir, "-f", conf(listen(tcp, udp)...), "--replace")
		t.Log(next.saysSoon(fmt.Sprintf("process %d is replaced: ", p.cmd.Process.Pid)))
		next.saysSoon("listening on udp ")
		p.saysSoon("replaced by another process")
		p.ends(0)
		p = next
		last := all[len(all)-1]
		fmt.Fprintf(last, "%s HTTP/1.0\r\n\r\n", strings.TrimPrefix(announcePath('a', 2), "/announce"))
		if answer, err := io.ReadAll(last); !strings.Contains(string(answer), "8:interval") {
			t.Errorf("round %d: %q, %v", round, answer, err)
		}
		tryToStay(t, tcp, 100)
		announces(t, tcp, 'a')
	}
	if rest := p.stop(syscall.SIGTERM); strings.Contains(rest, "too many open files") {
		t.Errorf("in the end: %q", rest)
	}
}
