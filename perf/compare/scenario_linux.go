package main

import (
	"strings"

	"tracker/perf"
)

// A scenario is one way to load a server.
type scenario struct {
	name, title string
	http        bool
	keepAlive   bool
	depth       int
	limits      perf.Limits
	work        perf.Workload
}

// udpWindow keeps a server busy and is below the 256 small datagrams that fit
// the default receive buffer of one that asks for no more.
const udpWindow = 192

var (
	small = perf.Workload{Torrents: 10_000}
	large = perf.Workload{Torrents: 1_000_000, Clients: 4_000_000}
)

var scenarios = []scenario{
	{name: "udp", title: "UDP announce, 10,000 torrents", limits: perf.Limits{Window: udpWindow}, work: small},
	{name: "udp-cold", title: "UDP announce, 1,000,000 torrents", limits: perf.Limits{Window: udpWindow}, work: large},
	{name: "udp-one", title: "UDP announce, one datagram in flight", limits: perf.Limits{Window: 1}, work: small},
	{name: "udp-rate", title: "UDP announce, 20,000 a second", limits: perf.Limits{Window: 4096, Rate: 20_000}, work: small},
	{name: "http", title: "HTTP announce, a connection each", http: true, limits: perf.Limits{Window: 64}, work: small},
	{name: "http-keepalive", title: "HTTP announce, connections kept", http: true, keepAlive: true, limits: perf.Limits{Window: 64}, work: small},
	{name: "http-pipelined", title: "HTTP announce, 8 in a pipeline", http: true, keepAlive: true, depth: 8, limits: perf.Limits{Window: 64}, work: small},
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ", ")
}
