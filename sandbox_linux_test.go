//go:build 386 || amd64 || arm || arm64 || mips || mipsle || riscv64

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestSandboxLine checks what the operator is told, that off is off, and that
// FIFOs can be opened from inside.
func TestSandboxLine(t *testing.T) {
	asRoot(t)
	dir := publicDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	writeList(t, filepath.Join(dir, "list"), "a")
	for _, tt := range []struct{ conf, says, end string }{
		{"", "seccomp, ", "no file may be opened to write"},
		{"sandbox off\n", "off, as configured", ""},
		{"access.blacklist list\naccess.fifo_add fifo\n", "seccomp, ", "no file may be made"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(tt.conf), 0o644); err != nil {
			t.Fatal(err)
		}
		p := startIn(t, dir, "-f", "conf", "-i", "127.0.0.1", "-p", "0")
		fifo := strings.Contains(tt.conf, "fifo")
		if fifo {
			p.says("tracker: blacklist list: 1 torrents")
		}
		if line := p.says("tracker: sandbox: " + tt.says); !strings.HasSuffix(line, tt.end) {
			t.Errorf("%q: it says %q, want %q at the end", tt.conf, line, tt.end)
		}
		tcp := p.says("tracker: listening on tcp ")
		status := readFile(t, fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
		if in := bytes.Contains(status, []byte("\nSeccomp:\t2\n")); in != (tt.end != "") {
			t.Errorf("%q: the kernel says\n%s", tt.conf, status)
		}
		if fifo {
			if err := os.WriteFile(filepath.Join(dir, "fifo"), []byte(listLine('b')), 0); err != nil {
				t.Fatal(err)
			}
			until(t, patience, "the FIFO is read", func() bool { return !announces(t, tcp, 'b') })
		}
		p.signal(syscall.SIGTERM)
		p.stops()
	}
}

// TestEngineRestart has the kernel refuse descriptors to a tracker, which ends
// its event loop of gnet: from inside, another can be started.
func TestEngineRestart(t *testing.T) {
	asRoot(t)
	dir := publicDir(t)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte("listen.tcp.transport gnet\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, dir, "-f", "conf", "-u", "65534", "-i", "127.0.0.1", "-p", "0")
	tcp := p.says("tracker: listening on tcp ")
	limit := func(to string) {
		t.Helper()
		cmd := exec.Command("prlimit", "--pid", strconv.Itoa(p.cmd.Process.Pid), "--nofile="+to+":")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}} // as the tracker
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	limit("0")
	c, err := net.Dial("tcp", tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET")                                              // who says nothing is not accepted for a second
	for line := ""; !strings.HasPrefix(line, "event loop ended: "); { // gnet has its say before
		line = p.says("tracker: ")
	}
	limit("256")
	until(t, patience, "it answers again", func() bool {
		_, err := tryGet(tcp, announcePath('a', 6881))
		return err == nil
	})
	p.signal(syscall.SIGTERM)
	p.stops()
}

// TestRules checks that no system call has two rules, and that the kernel would
// take the filter: at most 4096 instructions.
func TestRules(t *testing.T) {
	rules := allowed(needs{writes: true, devices: true, profiles: true, connects: true}, 1)
	seen := map[uint32]bool{}
	for _, r := range rules {
		if seen[r.call] {
			t.Errorf("system call %d has two rules", r.call)
		}
		seen[r.call] = true
	}
	if n := len(compile(rules)); n > 4096 {
		t.Errorf("%d instructions", n)
	}
}

// notCalled are system calls that Go's runtime names, and that are not allowed.
var notCalled = map[string]string{
	"SOCKET":     "allowed, but not by that number on 386",
	"CONNECT":    "for Android's log; ours are in toConnectOnThisCPU",
	"OPEN":       "only 386, ARM and MIPS: at the start, to read the auxiliary vector without /proc",
	"ACCESS":     "for Android",
	"TKILL":      "only RISC-V: a crash ends with exit code 2 instead of a signal",
	"SETITTIMER": "a name for SETITIMER",
	"BASE":       "no call",
}

// TestRuntimeCalls compares what is allowed with the system calls in the source
// of Go's runtime, and of those functions of package syscall that we get to,
// for every CPU. When it fails with a new Go, look at what the
// call is for: the list may have to grow.
func TestRuntimeCalls(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src")
	here := regexp.MustCompile(`unix\.SYS_([A-Z0-9_]+)`)
	named := regexp.MustCompile(`(?m)^(?:#define[ \t]+|\t)SYS_([A-Za-z0-9_]+)`)
	made := regexp.MustCompile(`(?s)\nfunc (?:Stat|Lstat|Fstat|fstatat|Seek|Pread|pread|Getuid|Geteuid|Getgid|Getegid|getgroups|Getdents` +
		`|EpollWait|accept4|bind|Listen|recvfrom|sendto|getsockname|Shutdown|setsockopt|Dup2|Dup3|fcntl|mmap)\([^\n]*\n.*?\(SYS_([A-Z0-9_]+)`)
	for cpu, files := range map[string]string{
		"amd64": "amd64", "386": "386", "arm": "arm", "mipsx": "mipsx", "arm64": "generic", "riscv64": "generic",
	} {
		allowed := map[string]bool{"RENAMEAT": true}
		for _, file := range []string{"sandbox_linux.go", "sandbox_linux_" + files + ".go"} {
			for _, m := range here.FindAllSubmatch(readFile(t, file), -1) {
				allowed[string(m[1])] = true
			}
		}
		calls := 0
		for file, pattern := range map[string]*regexp.Regexp{
			"runtime/sys_linux_" + cpu + ".s":                                              named,
			"internal/runtime/syscall/linux/defs_linux_" + cpu + ".go":                     named,
			"syscall/zsyscall_linux_" + strings.Replace(cpu, "mipsx", "mipsle", 1) + ".go": made,
		} {
			for _, m := range pattern.FindAllSubmatch(readFile(t, filepath.Join(source, file)), -1) {
				calls++
				call := strings.ToUpper(string(m[1]))
				if _, ok := notCalled[call]; !ok && !allowed[call] {
					t.Errorf("%s: %s has %s", cpu, file, call)
				}
			}
		}
		if calls < 50 {
			t.Errorf("%s: found %d calls in Go's source", cpu, calls)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
