package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A machine is where, when and with what was measured.
type machine struct {
	CPU      string
	CPUs     int
	Kernel   string
	Go       string
	Commit   string
	Command  string
	Versions []string // of the servers, "name version"
}

// describe looks at the machine.
func describe(ps []*program) machine {
	m := machine{
		CPU: cpuModel(), CPUs: runtime.NumCPU(), Go: runtime.Version(), Commit: commit(),
		Command: strings.Join(append([]string{"go run ./perf/compare"}, os.Args[1:]...), " "),
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	for _, p := range ps {
		if p.version != "" && p.key != ours {
			m.Versions = append(m.Versions, p.title+": "+p.version)
		}
	}
	return m
}

func (m *machine) print(w io.Writer) {
	fmt.Fprintf(w, "\n`%s`, commit %s\n", m.Command, m.Commit)
	fmt.Fprintf(w, "\nMachine: %d CPUs, %s, Linux %s, %s.\n", m.CPUs, m.CPU, m.Kernel, m.Go)
	for i, v := range m.Versions {
		fmt.Fprintf(w, "%s%s", separator(i, "; "), v)
	}
	fmt.Fprintln(w)
}

// cpuModel returns what the processor calls itself, or its architecture.
func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // not everywhere
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// commit returns the commit of the tree we are in, with a plus if there are
// changes to it, or "unknown".
func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	c := strings.TrimSpace(string(out))
	if exec.Command("git", "diff", "--quiet", "HEAD").Run() != nil {
		c += "+"
	}
	return c
}

// A cpuList is a flag: numbers of CPUs, separated by commas.
type cpuList []int

// String implements [flag.Value].
func (l *cpuList) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(*l), " ", ","), "[]")
}

// Set implements [flag.Value].
func (l *cpuList) Set(text string) error {
	*l = nil
	for _, f := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(f)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is no CPU", f)
		}
		*l = append(*l, n)
	}
	return nil
}

// programNames lists what -with takes.
func programNames() string {
	var names []string
	for _, p := range programs() {
		names = append(names, p.key)
	}
	return strings.Join(names, ", ")
}
