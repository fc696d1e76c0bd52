package main

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"tracker/loop"
)

// A checkup looks for what of the system is in the way of a tracker, at the start
// and for the flag -t. What it finds is no reason not to start: it is one line,
// which says what it is, with its numbers, and the command that mends it, to be
// run by root as it stands there. When all is well it is silent.
//
//	limits       descriptors, memory: what the configuration asks for is not there
//	network      checkup_net.go: queues of the kernel that are too short
//	cell         checkup_cell.go: lists that nobody will be able to read inside
//
// It runs when the sockets are bound and root has not been given up: afterwards
// /proc and /sys are out of reach. All it reads are some twenty files of a line
// or so, by way of an fs.FS, so that tests have it look at recorded machines. A
// file that is not there, as on systems other than Linux, says that all is well.
type checkup struct {
	fs    fs.FS // the root directory
	bound loop.Bound
	root  bool   // commands are for root, who we are
	unit  string // of systemd that we are, or ""

	connections int                            // limit.connections, 0 for what there is room for
	memory      int64                          // limit.memory if it is a number, else 0
	room        func() (machine, cgroup int64) // bytes of memory; 0 is unknown, or none
	program     string

	found []finding
}

// rootFiles are those below the root directory: what os.DirFS has beyond that is
// code for nothing.
type rootFiles struct{}

func (rootFiles) Open(name string) (fs.File, error) { return os.Open("/" + name) }

// A finding is one thing that is in the way.
type finding struct {
	what string // a word
	text string // a sentence without its end
	mend string // a command, or a line of the config file
}

// checkUp tells the operator what is in the way.
func (t *tracker) checkUp(b loop.Bound) {
	c := &checkup{
		fs: rootFiles{}, bound: b, root: t.cell.root,
		connections: t.cfg.Connections, memory: t.cfg.Memory,
		room: func() (int64, int64) { return machineMemory(), cgroupMemory() },
	}
	c.program, _ = os.Executable() // else it has no name
	if os.Getenv("INVOCATION_ID") != "" {
		c.unit = c.ownUnit()
	}
	c.limits()
	c.network()
	c.lists(t.cell, t.cfg)
	if t.state.path != "" {
		t.state.mend = t.cell.give(t.state.path)
	}
	for _, f := range c.found {
		logf(warning, "checkup", "self-check: %v; %v", fact{"check", f.what, f.text}, as("mend", f.mend))
	}
}

// find notes a finding.
func (c *checkup) find(what, mend, format string, args ...any) {
	c.found = append(c.found, finding{what, fmt.Sprintf(format, args...), mend})
}

// limits looks for what the configuration asks for and the process cannot have.
func (c *checkup) limits() {
	if b := c.bound; b.Files > 0 && b.Connections < c.connections {
		need := c.connections + b.Files - b.Connections
		c.find("files", c.raiseFiles(need), "limit.connections is %d, and a file limit of %d has room for %d", c.connections, b.Files, b.Connections)
	}
	if c.memory <= 0 {
		return
	}
	machine, cgroup := c.room()
	if most, whose := defaultCeiling(machine, cgroup, addressSpace); c.memory > machine && machine > 0 || c.memory > cgroup && cgroup > 0 {
		c.find("memory", fmt.Sprintf("write limit.memory %dm", most>>20), "limit.memory is %s, but there is less; %s is %s", size(c.memory), whose, size(most))
	}
}

// raiseFiles returns the command that allows n descriptors.
func (c *checkup) raiseFiles(n int) string {
	switch {
	case c.unit != "":
		dir := "/etc/systemd/system/" + c.unit + ".d"
		return fmt.Sprintf(`mkdir -p %s && printf '[Service]\nLimitNOFILE=%d\n' >%s/files.conf && systemctl daemon-reload && systemctl restart %s`,
			dir, n, dir, c.unit)
	case c.root:
		return fmt.Sprintf("ulimit -n %d", n) // in the shell that starts us
	}
	return fmt.Sprintf("sudo prlimit --pid $$ --nofile=%d:%d", n, n)
}

// ownUnit returns the service of systemd that we are in, or "". Those of users are
// none of the system's; a terminal that somebody starts us in may be one.
func (c *checkup) ownUnit() string {
	group, _, _ := strings.Cut(c.text("proc/self/cgroup"), "\n")
	unit := group[strings.LastIndexByte(group, '/')+1:]
	if strings.HasSuffix(unit, ".service") && quote(unit) == unit && !strings.Contains(group, "/user.slice/") {
		return unit
	}
	return ""
}

// text returns what a file says, or the first 500 bytes of that, or "".
func (c *checkup) text(path string) string {
	f, err := c.fs.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() // it was only read
	var b [500]byte
	n, _ := f.Read(b[:]) // nothing is as good as no file
	return strings.TrimSpace(string(b[:n]))
}

// number returns the number that is all of a file.
func (c *checkup) number(path string) (int, bool) {
	n, err := strconv.Atoi(c.text(path))
	return n, err == nil
}
