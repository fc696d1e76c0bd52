package main

import (
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// asRoot fails a test that only root can run.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test starts the tracker as root: run it as root")
	}
}

// publicDir returns a new directory that every user may read and search.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} { // the second is made for this test, too
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// writeList puts a list of the torrents of 20 times each byte of which in the
// place of what there is.
func writeList(t *testing.T, path, which string) {
	t.Helper()
	var text strings.Builder
	for _, ih := range []byte(which) {
		text.WriteString(listLine(ih))
	}
	err := os.WriteFile(path+".new", []byte(text.String()), 0o644)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// listLine returns the line for the torrent of 20 times ih.
func listLine(ih byte) string {
	return strings.Repeat(strconv.FormatUint(uint64(ih), 16), 20) + "\n"
}

// startIn starts a tracker in a directory.
func startIn(t testing.TB, dir string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = dir
	return start(t, cmd)
}

// TestRootIsGone starts a tracker as root with nothing configured and looks at
// what the kernel says of it.
func TestRootIsGone(t *testing.T) {
	asRoot(t)
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args     []string
		dir      string // under the one it is started in
		uid, gid string
		name     string
	}{
		{nil, "", nobody.Uid, nobody.Gid, "nobody"},
		{[]string{"-d", "in", "-u", "54321"}, "in", "54321", "54321", "54321"},
	} {
		dir := publicDir(t)
		os.Mkdir(filepath.Join(dir, "in"), 0o755)
		cmd := exec.Command(os.Args[0], append(tt.args, "-i", "127.0.0.1", "-p", "0", "-P", "0")...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{0, 4, 27}}}
		p := start(t, cmd)
		root := p.says("tracker: root given up: user " + tt.name + ", root directory ")
		if want := dir; tt.dir == "" && root != want || tt.dir != "" && root != tt.dir {
			t.Errorf("it says %q, was started in %q", root, want)
		}
		tcp := p.says("tracker: listening on tcp ")
		if !announces(t, tcp, 'a') {
			t.Error("an announce is refused")
		}
		p.isNobody(tt.uid, tt.gid)
		want := filepath.Join(dir, tt.dir)
		for _, link := range []string{"root", "cwd"} {
			if got, err := os.Readlink("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/" + link); got != want {
				t.Errorf("%s is %q (%v), want %q", link, got, err, want)
			}
		}
		p.says("tracker: listening on udp ")
		p.signal(syscall.SIGINT)
		p.ends(0)
	}
}

// isNobody checks that every thread of the tracker is that user, in no group
// but that one, without any capability and chance to get one, and that a filter
// of system calls is in force.
func (p *process) isNobody(uid, gid string) {
	p.t.Helper()
	files, err := filepath.Glob("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/task/*/status")
	if err != nil || len(files) < 3 {
		p.t.Fatalf("%d threads, %v", len(files), err)
	}
	want := map[string]string{
		"Uid": strings.Join(slices.Repeat([]string{uid}, 4), "\t"), "Gid": strings.Join(slices.Repeat([]string{gid}, 4), "\t"),
		"Groups": "", "CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapAmb": "0000000000000000",
		"NoNewPrivs": "1", "Seccomp": "2",
	}
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		seen := 0
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			expected, ok := want[name]
			if !ok {
				continue
			}
			if seen++; strings.TrimSpace(value) != expected {
				p.t.Errorf("%s: %s is %q, want %q", file, name, strings.TrimSpace(value), expected)
			}
		}
		if seen != len(want) {
			p.t.Errorf("%s has %d of %d lines", file, seen, len(want))
		}
	}
}

// TestInheritedCapabilities starts a tracker that was given a capability to
// keep. It must not: either it drops it, or it does not run.
func TestInheritedCapabilities(t *testing.T) {
	asRoot(t)
	const chown = 0
	cmd := exec.Command(os.Args[0], "-i", "127.0.0.1", "-p", "0")
	cmd.Dir = publicDir(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{AmbientCaps: []uintptr{chown}}
	p := start(t, cmd)
	line := p.says("tracker: root ")
	if strings.HasPrefix(line, "was not given up: thread ") && strings.HasSuffix(line, "CapInh is 0000000000000001") {
		p.ends(exitSystem) // with cgo, where Go cannot reach all threads
		return
	}
	p.says("tracker: listening on tcp ")
	nobody, _ := user.Lookup("nobody")
	p.isNobody(nobody.Uid, nobody.Gid)
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestUndo checks that a way back to root is found, if there is one: here
// nothing has been given up.
func TestUndo(t *testing.T) {
	asRoot(t)
	c := cell{user: account{"nobody", 65534, 65534}}
	if err := c.tryToUndo(); err == nil {
		t.Error("root is said to be gone")
	}
	p := openProof()
	defer p.close()
	if err := p.check(c.user); err == nil {
		t.Error("nobody is said to run this")
	}
	if err := checkThisThread(account{"root", 0, 0}); err == nil || !strings.Contains(err.Error(), "capabilities") {
		t.Errorf("root without capabilities: %v", err)
	}
	if err := checkThisThread(c.user); err == nil {
		t.Error("nobody is said to be on this thread")
	}
}

// TestCheckStatus bends a good status.
func TestCheckStatus(t *testing.T) {
	const good = "Name:\ttracker\nUid:\t9\t9\t9\t9\nGid:\t8\t8\t8\t8\nGroups:\t \nCapInh:\t0000000000000000\n" +
		"CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\n"
	a := account{"x", 9, 8}
	if err := checkStatus(good, a); err != nil {
		t.Error(err)
	}
	for _, bend := range [][2]string{
		{"Uid:\t9\t9\t9\t9", "Uid:\t9\t9\t0\t9"},
		{"Uid:\t9\t9\t9\t9", "Uid:"},
		{"Gid:\t8\t8\t8\t8", "Gid:\t0\t8\t8\t8"},
		{"Groups:\t ", "Groups:\t0 "},
		{"Inh:\t0", "Inh:\t1"},
		{"CapPrm:\t0000000000000000", "CapPrm:\t0000000000000001"},
		{"CapEff:\t0000000000000000", "CapEff:\t0000000000000400"},
		{"CapAmb:\t0000000000000000", "CapAmb:\t8000000000000000"},
	} {
		if err := checkStatus(strings.Replace(good, bend[0], bend[1], 1), a); err == nil {
			t.Errorf("%q is fine", bend[1])
		}
	}
}

// TestRefusesToStart starts trackers as root that have to say what is wrong.
func TestRefusesToStart(t *testing.T) {
	asRoot(t)
	dir := publicDir(t)
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte("# mine\ntracker.user no-such-user\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const missing = `there is no such user on this system; name one that exists, or a number that is not 0`
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-u", "no-such-user"}, exitSystem, `-u "no-such-user": ` + missing},
		{[]string{"-f", conf}, exitSystem, conf + `:2: tracker.user "no-such-user": ` + missing},
		{[]string{"-u", "root"}, exitSystem, `-u "root": still running with root privileges; `},
		{[]string{"-u", "0"}, exitSystem, `-u "0": still running with root privileges; `},
		{[]string{"-d", "missing"}, exitSystem, `-d "missing": no such file or directory; name a directory that exists`},
		{[]string{"-d", "conf"}, exitSystem, `-d "conf": not a directory; `},
		{[]string{"-b", "list"}, 1, `-b "list": no such file or directory`},
	} {
		for _, check := range []bool{false, true} {
			args := append(tt.args, "-i", "127.0.0.1", "-p", "0")
			if check {
				args, tt.code = append(args, "-t"), 1
			}
			p := startIn(t, dir, args...)
			p.says("tracker: " + tt.says)
			p.ends(tt.code)
		}
	}
}

// TestLists tries where a list may be when the tracker is started as root, and
// that it is followed there.
func TestLists(t *testing.T) {
	asRoot(t)
	for _, tt := range []struct {
		name    string
		cell    string // mode of the directory that is the cell
		path    string // of the list under all, as configured if it is relative
		outside bool
	}{
		{"relative", "0755", "list", false},
		{"absolute", "0755", "/other/list", true},
		{"inside", "0755", "/list", false},
		{"crontab of root", "0700", "/other/list", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := publicDir(t)
			cell := filepath.Join(all, "cell")
			for _, dir := range []string{cell, filepath.Join(all, "other")} {
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			mode, _ := strconv.ParseUint(tt.cell, 8, 32)
			os.Chmod(cell, os.FileMode(mode))
			path, file := tt.path, filepath.Join(cell, tt.path)
			if tt.outside {
				file = filepath.Join(all, tt.path)
				path = file
			}
			writeList(t, file, "a")
			p := startIn(t, cell, "-w", path, "-i", "127.0.0.1", "-p", "0")
			if tt.outside {
				p.says("tracker: whitelist " + path + ": not in here, so the one outside of the chroot is used")
			}
			p.says("tracker: whitelist " + path + ": 1 torrents")
			tcp := p.says("tracker: listening on tcp ")
			if !announces(t, tcp, 'a') || announces(t, tcp, 'b') {
				t.Error("the list is not obeyed")
			}
			writeList(t, file, "ab")
			until(t, patience, "the change is seen", func() bool { return announces(t, tcp, 'b') })
			p.says("tracker: whitelist " + path + ": 2 torrents")
			writeList(t, file, "abc")
			p.signal(syscall.SIGHUP)
			until(t, patience, "HUP rereads", func() bool { return announces(t, tcp, 'c') })
			p.signal(syscall.SIGTERM)
			p.stops()
		})
	}
}

// stops checks that the tracker ends with exit code 0, whatever it says before.
func (p *process) stops() {
	p.t.Helper()
	io.Copy(io.Discard, p.lines)
	p.cmd.Wait()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%v, want exit code 0", p.cmd.ProcessState)
	}
}

// TestNotRoot starts a tracker as another user: it changes to the directory,
// and that is all.
func TestNotRoot(t *testing.T) {
	asRoot(t)
	dir := publicDir(t)
	binary := filepath.Join(dir, "tracker") // where others may run it
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, b, 0o755); err != nil {
		t.Fatal(err)
	}
	os.Mkdir(filepath.Join(dir, "in"), 0o755)
	writeList(t, filepath.Join(dir, "in", "list"), "a")
	for _, flags := range [][]string{{"-t"}, nil} {
		cmd := exec.Command(binary, append(flags, "-d", "in", "-u", "no-such-user", "-w", "list", "-i", "127.0.0.1", "-p", "0")...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321, Groups: []uint32{54322}}}
		p := start(t, cmd)
		p.says("tracker: whitelist list: 1 torrents")
		if flags != nil {
			p.says("tracker: OK")
			p.ends(0)
			continue
		}
		p.says("tracker: listening on tcp ")
		pid := strconv.Itoa(p.cmd.Process.Pid)
		if root, err := os.Readlink("/proc/" + pid + "/root"); root != "/" {
			t.Errorf("root is %q, %v", root, err)
		}
		p.signal(syscall.SIGTERM)
		p.ends(0)
	}
}
