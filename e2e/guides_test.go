//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// guides is where the guides are: what is in a block of sh is run, and a block
// of text behind it is what that prints, with … for what is not the same each
// time. What is behind sh says where it is run, and how:
//
//	source   in the sources, where this test is
//	client   on another computer; old, on the one with opentracker
//	me       as a user; router, with a router's shell and stand-ins
//	await    again, until it prints what it should
//	by-hand  not by this test
const guides = "../packaging/guides"

// A step is a block of a guide.
type step struct {
	line   int // in the file, of the block's first
	how    []string
	script string
	want   string // what it prints
	told   bool   // whether the guide says what it prints
}

// readGuide returns the steps of a guide.
func readGuide(t *testing.T, path string) (steps []step) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var text *string // of the block we are in
	for i, line := range strings.Split(string(b), "\n") {
		kind, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && text != nil:
			text = nil
		case fence && kind == "text":
			if len(steps) == 0 || steps[len(steps)-1].told {
				t.Fatalf("%s:%d: that is printed by no command", path, i+1)
			}
			last := &steps[len(steps)-1]
			last.told, text = true, &last.want
		case fence:
			f := strings.Fields(kind)
			if len(f) == 0 || f[0] != "sh" {
				t.Fatalf("%s:%d: a block of %q, neither sh nor text", path, i+1, kind)
			}
			steps = append(steps, step{line: i + 2, how: f[1:]})
			text = &steps[len(steps)-1].script
		case text != nil:
			*text += line + "\n"
		}
	}
	return steps
}

// where returns where a step is run.
func (s *step) where() string {
	for _, word := range s.how {
		if word != "await" {
			return word
		}
	}
	return ""
}

// prints reports whether that is what the guide says.
func (s *step) prints(out string) bool {
	if !s.told {
		return true
	}
	var expr strings.Builder
	for _, line := range strings.Split(strings.TrimSuffix(s.want, "\n"), "\n") {
		if line == "…" {
			expr.WriteString(`(.*\n)*?`)
			continue
		}
		expr.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + `\n`)
	}
	if out != "" && !strings.HasSuffix(out, "\n") {
		out += "\n"
	}
	return regexp.MustCompile("^" + expr.String() + "$").MatchString(out)
}

// awaitStep is how long a guide's reader looks again and again. Debian's
// Prometheus reads metrics every 15 seconds.
const awaitStep = 45 * time.Second

// bootLimit is how long a machine may take to boot: two seconds, if this one has
// nothing else to do.
const bootLimit = 60 * time.Second

// atOnce holds as many as are followed at the same time: other tests run, too,
// and have limits of time.
var atOnce = make(chan struct{}, 2)

// TestGuides runs every command of the guides, on machines that have what this
// one has installed.
func TestGuides(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(guides + "/*.md")
	if err != nil || len(files) < 2 {
		t.Fatalf("no guides: %v", err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".md")
		if steps := readGuide(t, path); len(steps) > 0 {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				followGuide(t, name, steps)
			})
		}
	}
}

// followGuide does what a guide says, step by step.
func followGuide(t *testing.T, name string, steps []step) {
	l := makeLab(t, name)
	l.machine(t, "", "192.0.2.10")
	if slices.ContainsFunc(steps, func(s step) bool { return s.where() == "old" }) {
		l.machine(t, "old", "192.0.2.20")
		l.prepare(t, "old", oldMachine)
	}
	if name == "router" {
		l.prepare(t, "", routerMachine)
	}
	for _, s := range steps {
		if s.where() == "by-hand" {
			continue
		}
		out, err := l.run(s.where(), s.script)
		for deadline := time.Now().Add(awaitStep); (err != nil || !s.prints(out)) && slices.Contains(s.how, "await") && time.Now().Before(deadline); time.Sleep(10 * pollEvery) {
			out, err = l.run(s.where(), s.script)
		}
		if err != nil || !s.prints(out) {
			t.Fatalf("%s.md:%d: %v\n%s\nprints:\n%s\nshould print:\n%s", name, s.line, err, s.script, out, s.want)
		}
	}
	if name == "crontab" {
		l.prepare(t, "", rebooted)
	}
}

// A lab is a bridge, on which a client is, and machines.
type lab struct {
	hub      string             // the namespace of both
	machines map[string]machine // by what guides call them
}

// A machine is a system with its own systemd.
type machine struct{ init string } // the process id

// makeLab makes one for a guide, until the test ends.
func makeLab(t *testing.T, name string) *lab {
	t.Helper()
	need(t, "ip", "iproute2")
	need(t, "/lib/systemd/systemd", "systemd")
	if os.Geteuid() != 0 {
		t.Fatal("machines need root: run the tests as root")
	}
	l := &lab{namespace("guide-" + name), map[string]machine{}}
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", l.hub).Run() })
	ip(t, "netns add "+l.hub)
	ip(t, "-n "+l.hub+" link set lo up")
	ip(t, "-n "+l.hub+" link add bridge type bridge")
	ip(t, "-n "+l.hub+" link set bridge up")
	ip(t, "-n "+l.hub+" addr add 198.51.100.7/24 dev bridge")
	ip(t, "-n "+l.hub+" route add 192.0.2.0/24 dev bridge")
	return l
}

// machine boots another one, at an address.
func (l *lab) machine(t *testing.T, name, addr string) {
	t.Helper()
	group := l.hub + name
	t.Cleanup(func() { removeGroups(group) }) // once start has killed it
	p := start(t, exec.Command("../packaging/machine", group))
	var init string
	if !await(time.Now().Add(bootLimit), p, func() bool {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", p.cmd.Process.Pid))
		init = strings.TrimSpace(string(children))
		l.machines[name] = machine{init}
		out, _ := l.run(name, "systemctl is-system-running")
		return out == "running\n" || out == "degraded\n"
	}) {
		t.Fatalf("systemd does not run\n%s", &p.out)
	}
	port := "m" + init
	ip(t, "-n "+l.hub+" link add "+port+" type veth peer name eth0 netns "+init)
	ip(t, "-n "+l.hub+" link set "+port+" master bridge up")
	l.give(t, name)
	l.prepare(t, name, "addr="+addr+"\n"+anyMachine)
}

// removeGroups removes the cgroups of a machine that has just been killed. They
// are busy until the last of its processes is gone.
func removeGroups(group string) {
	for _, top := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"} {
		for range 100 {
			dir := filepath.Join(top, group)
			exec.Command("find", dir, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+").Run()
			if _, err := os.Stat(dir); err != nil {
				break
			}
			time.Sleep(pollEvery)
		}
	}
}

// prepare makes of a machine what a guide takes it for.
func (l *lab) prepare(t *testing.T, name, script string) {
	t.Helper()
	if out, err := l.run(name, "set -x\n"+script); err != nil {
		t.Fatalf("machine %q: %v\n%s", name, err, out)
	}
}

// sources is held while something is built in the top folder, or taken from
// there.
var sources sync.Mutex

// packages makes what the guides install and a key for ssh, once, and returns the
// files by their names in the top folder.
var packages = sync.OnceValues(func() ([]string, error) {
	noticeSources()
	filepath.WalkDir("../packaging", func(path string, _ fs.DirEntry, _ error) error {
		os.Stat(path) // for go test, as there
		return nil
	})
	made, err := exec.Command("make", "-C", "..", "--no-print-directory", "-s", "deb").Output()
	if err != nil {
		return nil, fmt.Errorf("make deb: %w", err)
	}
	return strings.Fields(string(made)), exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(workDir, "key")).Run()
})

// give puts into the machine's ~/tracker what the sources have and what make has
// built of them.
func (l *lab) give(t *testing.T, name string) {
	t.Helper()
	sources.Lock()
	defer sources.Unlock()
	files, err := packages()
	if err != nil || len(files) < 2 {
		t.Fatalf("%v: %q", err, files)
	}
	args := append([]string{"-C", "..", "-c", "packaging/openwrt", "packaging/systemd"}, files...)
	pack := exec.Command("tar", append(args, "-C", workDir, "key", "key.pub")...)
	unpack := l.command(name, "mkdir -p /root/tracker; tar -x -C /root/tracker --no-same-owner")
	if unpack.Stdin, err = pack.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := pack.Start(); err != nil {
		t.Fatal(err)
	}
	out, err := unpack.CombinedOutput()
	if packErr := pack.Wait(); err != nil || packErr != nil {
		t.Fatalf("%v: %v, %v\n%s", files, packErr, err, out)
	}
}

// command returns the command that has a shell of a place run a script.
func (l *lab) command(where, script string) *exec.Cmd {
	name, network := where, ""
	shell := []string{"bash", "-euo", "pipefail", "-c", "cd /root/tracker 2>/dev/null || cd /root\n" + script}
	switch where {
	case "source":
		return exec.Command("bash", "-euo", "pipefail", "-c", "unset MAKEFLAGS MAKELEVEL; cd ..\n"+script) // make says more where it is run by make
	case "client":
		name, network = "", "=/run/netns/"+l.hub
	case "me":
		name = ""
		shell = []string{"runuser", "-u", "me", "--", "env", "HOME=/home/me", "bash", "-euo", "pipefail", "-c", "cd\n" + script}
	case "router":
		name = ""
		shell = []string{"env", "PATH=/opt/router:/usr/sbin:/usr/bin", "busybox", "ash", "-euc", script}
	}
	args := []string{
		"-t", l.machines[name].init, "-m", "-p", "-u", "-i", "-C", "--net" + network, "env", "-i", "HOME=/root", "LC_ALL=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive",
	}
	return exec.Command("nsenter", append(args, shell...)...)
}

// run has a script run, and returns what it prints. It goes to a file, so that
// nobody waits for programs that go on.
func (l *lab) run(where, script string) (string, error) {
	if where == "source" {
		sources.Lock()
		defer sources.Unlock()
	}
	out, err := os.CreateTemp(workDir, "guide-")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd := l.command(where, script)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	b, readErr := os.ReadFile(out.Name())
	if err == nil {
		err = readErr
	}
	return string(bytes.ReplaceAll(b, []byte("\r"), nil)), err
}
