package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errNoCage is returned where no process can be given limits.
var errNoCage = errors.New("limits take root, and cgroups with cpu and memory")

// A group is a cgroup of one hierarchy.
type group struct {
	dir string
	v2  bool
}

// A cage is a place for processes that may use so much and no more. With
// cgroups of version 1 it is two groups, with version 2 the same one twice.
type cage struct {
	cpu, memory group
	undo        func() error // takes back what we have enabled; nil for nothing
}

// limits is how much.
type limits struct {
	quota, period time.Duration // CPU time in each period
	memory        int64         // bytes
}

// newCage makes a cage below the cgroups we are in, so that their limits hold
// as well. It returns [errNoCage], with the reason.
func newCage(name string, l limits) (*cage, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoCage, err)
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoCage, err)
	}
	c := new(cage)
	if err := c.build(findHierarchies(mounts, own), name, l); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoCage, errors.Join(err, c.remove()))
	}
	return c, nil
}

// build makes the groups and sets their limits.
func (c *cage) build(at hierarchies, name string, l limits) error {
	cpu, memory, err := c.place(at, name)
	if err != nil {
		return err
	}
	// What is there already is not ours, and not to be removed.
	if err := os.Mkdir(cpu.dir, 0o755); err != nil {
		return err
	}
	c.cpu = cpu
	if memory != cpu {
		if err := os.Mkdir(memory.dir, 0o755); err != nil {
			return err
		}
	}
	c.memory = memory
	return errors.Join(c.cpu.limitCPU(l), c.memory.limitMemory(l))
}

// place returns where the groups are to be.
func (c *cage) place(at hierarchies, name string) (cpu, memory group, err error) {
	var rest []string // controllers that version 1 does not have
	groups := map[string]group{}
	for _, controller := range []string{"cpu", "memory"} {
		if dir, ok := at.v1[controller]; ok {
			groups[controller] = group{dir: filepath.Join(dir, name)}
		} else {
			rest = append(rest, controller)
		}
	}
	if len(rest) > 0 {
		dir, err := c.delegating(at, rest)
		if err != nil {
			return group{}, group{}, err
		}
		for _, controller := range rest {
			groups[controller] = group{dir: filepath.Join(dir, name), v2: true}
		}
	}
	return groups["cpu"], groups["memory"], nil
}

// delegating returns the nearest cgroup of version 2 whose children get the
// controllers. A cgroup that has processes cannot give them to its children;
// the topmost can, and is made to if none does, until the cage is removed.
func (c *cage) delegating(at hierarchies, controllers []string) (string, error) {
	if at.v2 == "" {
		return "", fmt.Errorf("no cgroups with %s are mounted", strings.Join(controllers, " and "))
	}
	for dir := at.v2; ; dir = filepath.Dir(dir) {
		file := filepath.Join(dir, "cgroup.subtree_control")
		missing, err := without(file, controllers)
		if err != nil {
			return "", err
		}
		if len(missing) == 0 {
			return dir, nil
		}
		if len(dir) > len(at.top) {
			continue
		}
		none, err := without(filepath.Join(dir, "cgroup.controllers"), missing)
		if err == nil && len(none) > 0 {
			err = fmt.Errorf("%s has no controller %s", dir, strings.Join(none, " and "))
		}
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(file, []byte("+"+strings.Join(missing, " +")), 0o644); err != nil {
			return "", err
		}
		c.undo = func() error {
			return os.WriteFile(file, []byte("-"+strings.Join(missing, " -")), 0o644)
		}
		return dir, nil
	}
}

// without returns which of the words are not in the file.
func without(file string, words []string) (missing []string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	have := strings.Fields(string(text))
	for _, w := range words {
		if !slices.Contains(have, w) {
			missing = append(missing, w)
		}
	}
	return missing, nil
}

func (g group) limitCPU(l limits) error {
	quota, period := strconv.FormatInt(l.quota.Microseconds(), 10), strconv.FormatInt(l.period.Microseconds(), 10)
	if g.v2 {
		return g.set("cpu.max", quota+" "+period)
	}
	if err := g.set("cpu.cfs_period_us", period); err != nil {
		return err
	}
	return g.set("cpu.cfs_quota_us", quota)
}

// limitMemory leaves no swap, where the kernel counts it.
func (g group) limitMemory(l limits) error {
	most := strconv.FormatInt(l.memory, 10)
	if g.v2 {
		_ = g.set("memory.swap.max", "0")
		return g.set("memory.max", most)
	}
	if err := g.set("memory.limit_in_bytes", most); err != nil {
		return err
	}
	_ = g.set("memory.memsw.limit_in_bytes", most) // of both together
	return nil
}

// enter returns the command with which a process enters the cage and becomes
// another. It is inside before it is anything else, so all it does counts.
func (c *cage) enter() []string {
	const script = `echo $$ >"$1/cgroup.procs" && echo $$ >"$2/cgroup.procs" && shift 2 && exec "$@"`
	return []string{"/bin/sh", "-c", script, "sh", c.cpu.dir, c.memory.dir}
}

// remove kills who is in the cage and removes it. What was removed before, or
// never made, is no error.
func (c *cage) remove() error {
	const limit, pause = 5 * time.Second, 10 * time.Millisecond
	for deadline := time.Now().Add(limit); ; time.Sleep(pause) {
		err := errors.Join(c.cpu.remove(), c.memory.remove())
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return err
		}
	}
	undo := c.undo
	if c.undo = nil; undo == nil {
		return nil
	}
	return undo()
}

func (g group) remove() error {
	if g.dir == "" {
		return nil
	}
	text, _ := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
	for _, f := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(f); err == nil && pid > 1 {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	if err := unix.Rmdir(g.dir); err != nil && err != unix.ENOENT {
		return &os.PathError{Op: "rmdir", Path: g.dir, Err: err}
	}
	return nil
}

// set writes a file of the group.
func (g group) set(file, value string) error {
	return os.WriteFile(filepath.Join(g.dir, file), []byte(value), 0o644)
}

// number reads the number behind key of a file of the group, or the only one
// if key is empty. It returns -1 if there is none: kernels differ.
func (g group) number(file, key string) int64 {
	text, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return -1
	}
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) == 0 || key != "" && f[0] != key {
			continue
		}
		if n, err := strconv.ParseInt(f[len(f)-1], 10, 64); err == nil {
			return n
		}
	}
	return -1
}

// A tally is what the kernel counted of a cage. What it does not count is -1.
type tally struct {
	periods, throttled int64
	peak               int64 // bytes
	killed             int64 // processes, for want of memory
}

func (c *cage) tally() tally {
	if c == nil {
		return tally{-1, -1, -1, -1}
	}
	t := tally{periods: c.cpu.number("cpu.stat", "nr_periods"), throttled: c.cpu.number("cpu.stat", "nr_throttled")}
	if c.memory.v2 {
		t.peak, t.killed = c.memory.number("memory.peak", ""), c.memory.number("memory.events", "oom_kill")
	} else {
		t.peak, t.killed = c.memory.number("memory.max_usage_in_bytes", ""), c.memory.number("memory.oom_control", "oom_kill")
	}
	return t
}
