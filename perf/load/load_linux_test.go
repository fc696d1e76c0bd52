package main

import (
	"flag"
	"net/netip"
	"testing"

	"tracker/perf"
)

// TestRun drives the command against the floor, which answers anything.
func TestRun(t *testing.T) {
	at := startFloor(t)
	var o options
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	o.flags(f)
	if err := f.Parse([]string{"-target", at, "-torrents", "100", "-count", "5000", "-window", "64", "-numwant", "0"}); err != nil {
		t.Fatal(err)
	}
	res, err := o.run()
	if err != nil {
		t.Fatal(err)
	}
	if res.Sent != 5000 || res.Answered+res.Lost != 5000 {
		t.Errorf("sent %d, answered %d, lost %d", res.Sent, res.Answered, res.Lost)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"-target", "192.0.2.1:6969"},
		{"-target", "tracker.example:6969"},
		{"-target", "127.0.0.1:6969", "-for", "0"},
		{"-target", "127.0.0.1:6969", "-sources", "70000"},
	} {
		var o options
		f := flag.NewFlagSet("load", flag.ContinueOnError)
		o.flags(f)
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		if _, err := o.run(); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// startFloor serves as the floor until the test ends.
func startFloor(t *testing.T) string {
	e, err := perf.OpenEcho(netip.MustParseAddrPort("127.0.0.1:0"), 3)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- e.Serve() }()
	t.Cleanup(func() {
		e.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	at, err := e.Addr()
	if err != nil {
		t.Fatal(err)
	}
	return at.String()
}
