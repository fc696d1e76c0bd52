package main

import (
	"flag"
	"fmt"
	"net/netip"

	"tracker/perf"
	"tracker/perf/floor"
)

// floorKey marks, in the environment, the copy of this command that serves as
// the floor of a wire.
const floorKey = "PERF_COMPARE_FLOOR"

// echoPeers are as many as the answers of the workload carry on average.
const echoPeers = 32

// runFloor serves as the floor until it is killed. It takes the flags of a
// tracker that it is started with.
func runFloor(wire string) error {
	ip := flag.String("i", "", "`address`")
	port := flag.Uint("P", 0, "UDP `port`")
	_ = flag.Uint("p", 0, "TCP `port`, the same")
	flag.Parse()
	addr, err := netip.ParseAddrPort(fmt.Sprintf("%s:%d", *ip, *port))
	if err != nil {
		return err
	}
	if wire != wireUDP {
		return floor.Serve(addr.String(), wire == wireKept)
	}
	e, err := perf.OpenEcho(addr, echoPeers)
	if err != nil {
		return err
	}
	return e.Serve()
}
