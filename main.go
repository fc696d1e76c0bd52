// Tracker is a BitTorrent tracker: it tells the clients of a torrent about one
// another, over HTTP and UDP, IPv4 and IPv6.
//
//	flags and file ─► config ─► lists ─► store ─► loop, until a signal
//
// Started alone it listens on port 6969 of every address and serves every
// torrent. HUP reads the lists again, INT and TERM end it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"tracker/config"
	"tracker/loop"
	"tracker/store"
	"tracker/whitelist"
)

// exitSystem is the exit code when the system does not let us start: an
// address in use, a right we lack. It is opentracker's.
const exitSystem = 111

func main() { os.Exit(run(os.Args[1:])) }

// run is the whole program. It returns the exit code.
func run(args []string) int {
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
	for _, warning := range cfg.Warnings {
		logf("%s", warning)
	}
	if action == config.Check {
		logf("the configuration is good")
		return 0
	}
	if err := serve(cfg); err != nil {
		logf("%v", err)
		if _, ok := errors.AsType[*loop.ListenError](err); ok {
			return exitSystem
		}
		return config.ExitCode
	}
	return 0
}

// serve serves as cfg says until a signal ends it.
func serve(cfg *config.Config) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // whoever reads our lines may go away

	lists, err := whitelist.Open(&whitelist.Options{
		White:      cfg.Whitelist,
		Black:      cfg.Blacklist,
		FIFOAdd:    cfg.FIFOAdd,
		FIFODelete: cfg.FIFODelete,
		Log:        func(line string) { logf("%s", line) },
	})
	if err != nil {
		return err
	}
	server, err := loop.Run(loopConfig(cfg, lists))
	if err != nil {
		return err
	}
	defer server.Stop()
	defer watch(lists)()
	for s := range signals {
		if s != syscall.SIGHUP {
			break
		}
		if lists != nil {
			lists.Reload()
		}
	}
	return nil
}

// loopConfig returns what of cfg concerns the loop, and a store to go with it.
func loopConfig(cfg *config.Config, lists *whitelist.Lists) loop.Config {
	c := loop.Config{
		UDPReactors: cfg.UDPWorkers,
		Interval:    cfg.Interval,
		MaxConns:    cfg.Connections,
		Redirect:    cfg.RedirectURL,
		Store:       store.New(store.Options{Expire: expire(cfg.Interval)}),
		Logf:        logf,
	}
	if lists != nil {
		c.Allowed = lists.Allowed
	}
	switch cfg.UDPTransport {
	case config.TransportBatched:
		c.UDP = loop.TransportBatches
	case config.TransportGnet:
		c.UDP = loop.TransportGnet
	}
	for _, l := range cfg.Listen {
		c.Listen = append(c.Listen, loop.Addr{Network: l.Proto.String(), AddrPort: l.Addr})
	}
	return c
}

// expire returns for how long a peer is remembered: half as long again as the
// longest interval it may have been told.
func expire(interval time.Duration) store.Minute {
	longest := interval + interval/10
	return store.Minute((longest + longest/2 + time.Minute - 1) / time.Minute)
}

// watch follows changes of the lists until the function it returns is called.
func watch(lists *whitelist.Lists) (end func()) {
	if lists == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { lists.Watch(ctx) })
	return func() { cancel(); watching.Wait() }
}

// mistake tells the operator what is wrong with the configuration, and returns
// the exit code for that.
func mistake(err error) int {
	logf("%v", err)
	if e, ok := errors.AsType[*config.Error](err); ok && e.Usage {
		fmt.Fprint(os.Stderr, config.Usage())
	}
	return config.ExitCode
}

// logf writes a line to the operator.
func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "tracker: "+format+"\n", args...)
}
