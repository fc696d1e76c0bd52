package main

import (
	"slices"

	"tracker/config"
)

// A sandbox is what the kernel lets the process do once it serves: see
// [allowed] in sandbox_linux.go. These are the parts of it that depend on the
// configuration.
type needs struct {
	fifos    bool // open to read and write what is there, for access.fifo_add and access.fifo_delete
	writes   bool // make, sync, rename and remove files
	devices  bool // tell their addresses, for lan.external
	connects bool // make connections, for cluster.url
	profiles bool // of CPU time, which needs timers; for whom access.stats names
}

// confine enters the sandbox, unless the configuration says not to, and tells
// the operator what is in force. A kernel or a CPU that has none is no reason
// not to serve: then the cell is all there is.
func (t *tracker) confine() {
	if !t.cfg.Sandbox {
		logf(info, "sandbox", "sandbox: off, as configured")
		return
	}
	n := needs{
		fifos:    t.cfg.FIFOAdd+t.cfg.FIFODelete != "",
		writes:   t.state.path != "",
		devices:  slices.ContainsFunc(t.cfg.LANExternal, func(e config.External) bool { return e.Interface != "" }),
		connects: len(t.cfg.ClusterURL) > 0,
		profiles: profiled || len(t.cfg.Stats) > 0,
	}
	calls, err := enterSandbox(n)
	if err != nil {
		logf(warning, "sandbox", "sandbox: none: %v; serving on without", err)
		return
	}
	logf(info, "sandbox", "sandbox: seccomp, %v system calls left on every thread; %s", as("calls", calls), n)
}

// String says what may be done to files, and whether connections may be made.
func (n needs) String() string {
	s := "no file may be opened to write"
	switch {
	case n.writes:
		s = "files may be written"
	case n.fifos:
		s = "no file may be made"
	}
	if n.connects {
		s += ", connections may be made"
	}
	return s
}
