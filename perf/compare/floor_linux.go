package main

import (
	"flag"
	"fmt"
	"net/netip"

	"tracker/perf"
)

// floorKey marks, in the environment, the copy of this command that serves as
// the floor.
const floorKey = "PERF_COMPARE_FLOOR"

// runFloor serves as the floor until it is killed. It takes the flags of a
// tracker that it is started with.
func runFloor() error {
	ip := flag.String("i", "", "`address`")
	port := flag.Uint("P", 0, "UDP `port`")
	_ = flag.Uint("p", 0, "TCP `port`, not used")
	flag.Parse()
	addr, err := netip.ParseAddrPort(fmt.Sprintf("%s:%d", *ip, *port))
	if err != nil {
		return err
	}
	// As many peers as the answers of the workload carry on average.
	const peers = 32
	e, err := perf.OpenEcho(addr, peers)
	if err != nil {
		return err
	}
	return e.Serve()
}
