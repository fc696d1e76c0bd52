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

	connections int   // limit.connections, 0 for what there is room for
	memory      int64 // limit.memory if it is a number, else 0
	machine     int64 // bytes of memory, 0 is unknown
	cgroup      int64 // the same of the cgroup, 0 is none
	program     string

	found []finding
}

// A finding is one thing that is in the way.
type finding struct {
	what string // a word
	text string // a sentence without its end
	mend string // a command, or a line of the config file
}

// checkUp tells the operator what is in the way.
func (t *tracker) checkUp(b loop.Bound) {
	c := &checkup{
		fs: os.DirFS("/"), bound: b, root: t.cell.root,
		connections: t.cfg.Connections, memory: max(t.cfg.Memory, 0), machine: machineMemory(), cgroup: cgroupMemory(),
	}
	c.program, _ = os.Executable() // else it has no name
	if os.Getenv("INVOCATION_ID") != "" {
		c.unit = c.ownUnit()
	}
	c.limits()
	c.network()
	c.lists(t.cell, t.cfg)
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
	switch {
	case c.cgroup > 0 && c.memory > c.cgroup:
		c.find("memory", "write limit.memory "+megabytes(c.cgroup-c.cgroup/cgroupShare),
			"limit.memory is %s, and the cgroup ends a process that takes more than %s", size(c.memory), size(c.cgroup))
	case c.machine > 0 && c.memory > c.machine:
		c.find("memory", "write limit.memory "+megabytes(c.machine/machineShare),
			"limit.memory is %s, and the machine has %s", size(c.memory), size(c.machine))
	}
	// 2 is the one setting in which memory that is not used yet counts.
	if n, ok := c.number("proc/sys/vm/overcommit_memory"); !ok || n != 2 {
		return
	}
	limit, used := c.meminfo("CommitLimit"), c.meminfo("Committed_AS")
	if want := max(c.memory, 64<<20); limit > 0 && limit-used < want {
		c.find("overcommit", "sysctl -w vm.overcommit_memory=0",
			"vm.overcommit_memory is 2, which leaves %s to be allocated", size(max(limit-used, 0)))
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

// ownUnit returns the service of systemd that we are in, or "".
func (c *checkup) ownUnit() string {
	for line := range strings.Lines(c.text("proc/self/cgroup")) {
		line = strings.TrimSpace(line)
		unit := line[strings.LastIndexByte(line, '/')+1:]
		if strings.HasSuffix(unit, ".service") && !strings.ContainsAny(unit, ` '"$\;&|<>`) {
			return unit
		}
	}
	return ""
}

// megabytes returns n as a value of limit.memory.
func megabytes(n int64) string { return strconv.FormatInt(n>>20, 10) + "m" }

// text returns what a file says, or "".
func (c *checkup) text(path string) string {
	b, err := fs.ReadFile(c.fs, path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// number returns the number that is all of a file.
func (c *checkup) number(path string) (int, bool) {
	n, err := strconv.Atoi(c.text(path))
	return n, err == nil
}

// meminfo returns a line of /proc/meminfo, in bytes; 0 is unknown.
func (c *checkup) meminfo(name string) int64 {
	for line := range strings.Lines(c.text("proc/meminfo")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name+":" {
			kb, _ := strconv.ParseInt(f[1], 10, 64) // 0 is unknown
			return kb << 10
		}
	}
	return 0
}
