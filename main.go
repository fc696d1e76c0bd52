// Tracker is a BitTorrent tracker: it tells the clients of a torrent about one
// another, over HTTP and UDP, IPv4 and IPv6.
//
//	flags and file ─► config ─► bind ─► give up root ─► lists, state ─► sandbox ─► serve ─► state
//
// Started alone it listens on port 6969 of every address and serves every
// torrent. Started as root it gives root up: see [cell]. Whoever started it, it
// gives up what it does not need to serve: see [tracker.confine]. What signals
// do is told at [tracker.obey], and how one takes the place of another in
// replace.go.
//
// It never forks, and opens no file by itself once it serves but the lists and,
// if one is configured, the state file, which is all it ever writes.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"tracker/config"
	"tracker/loop"
)

// exitSystem is the exit code when the system does not let us start: an
// address in use, a right we lack, root that cannot be given up. It is
// opentracker's.
const exitSystem = 111

// memProfileRate is how many bytes are allocated for each allocation that a heap
// profile knows of. It is an eighth of Go's: our heap is small, and little is
// allocated after the start. Where nobody may see such a profile none is noted,
// which saves some memory.
const memProfileRate = 64 << 10

// gcPercent is how much garbage may pile up, in percent of what is in use.
// Nearly all data lies outside of the collector's heap, which holds a few
// megabytes at most: to collect four times as often as usual costs next to
// nothing, and Go's least target, 4 MB for 100 percent, would all be garbage on
// a router.
const gcPercent = 25

func main() {
	runtime.MemProfileRate = 0
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	stop, err := startProfile()
	if err != nil {
		logf(failure, "profile", "%v", err)
		operator.flush()
		os.Exit(config.ExitCode)
	}
	code := run(os.Args[1:])
	stop()
	operator.flush()
	os.Exit(code)
}

// run is the whole program. It returns the exit code.
func run(args []string) int {
	signal.Ignore(syscall.SIGPIPE) // whoever reads our lines may go away
	defer operator.flush()
	if len(args) > 0 && args[0] == "hash" {
		return hash(args[1:], os.Stdout)
	}
	cfg, action, err := config.Parse(args, config.Env{})
	if err != nil {
		return mistake(err)
	}
	switch action {
	case config.Help:
		fmt.Fprint(os.Stderr, config.HelpText())
		return 0
	case config.Version:
		fmt.Fprintln(os.Stderr, versionText())
		return 0
	}
	if action == config.Check {
		cfg.LogLevel = min(cfg.LogLevel, config.LogInfo) // what it says is the answer
	}
	operator.setUp(cfg)
	for _, warning := range cfg.Warnings {
		logf(loop.Warning, "config", "%s", warning)
	}
	if len(cfg.Stats) > 0 {
		runtime.MemProfileRate = memProfileRate
	}
	t := &tracker{cfg: cfg}
	if action == config.Check {
		if err := t.check(); err != nil {
			logf(failure, "start", "%v", err)
			return config.ExitCode
		}
		logf(info, "check", "OK")
		return 0
	}
	if err := t.serve(); err != nil {
		logf(failure, "start", "%v", err)
		return exitCode(err)
	}
	return 0
}

// exitCode returns the exit code for a start that ended with err.
func exitCode(err error) int {
	if _, ok := errors.AsType[*loop.ListenError](err); ok {
		return exitSystem
	}
	if _, ok := errors.AsType[*cellError](err); ok {
		return exitSystem
	}
	if _, ok := errors.AsType[*heirError](err); ok {
		return exitSystem
	}
	return config.ExitCode
}

// mistake tells the operator what is wrong with the configuration, and returns
// the exit code for that.
func mistake(err error) int {
	logf(failure, "config", "%v", err)
	if e, ok := errors.AsType[*config.Error](err); ok && e.Usage {
		operator.flush()
		fmt.Fprint(os.Stderr, config.Usage())
	}
	return config.ExitCode
}
