package main

import (
	"net/netip"
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

	// measure is for scenarios that are not rounds of all programs in turn.
	measure func(*options, *scenario, string) (*result, error)
}

const (
	// udpWindow keeps a server busy and is below the 256 small datagrams that
	// fit the default receive buffer of one that asks for no more.
	udpWindow  = 192
	httpWindow = 64
)

// Wires that a floor may have.
const (
	wireUDP  = "udp"
	wireHTTP = "http"
	wireKept = "http-keepalive"
)

var (
	small = perf.Workload{Torrents: 10_000}
	large = perf.Workload{Torrents: 1_000_000, Clients: 4_000_000}

	fullUDP  = perf.Limits{Window: udpWindow}
	fullHTTP = perf.Limits{Window: httpWindow}
)

func scenarios() []*scenario {
	// All clients at one address, as behind a proxy: who keeps a connection
	// cannot change its address from request to request.
	near := small
	near.Sources = 1
	return []*scenario{
		{name: "udp", title: "UDP announce, 10,000 torrents", limits: fullUDP, work: small},
		{name: "udp-cold", title: "UDP announce, 1,000,000 torrents", limits: fullUDP, work: large},
		{name: "udp-one", title: "UDP announce, one datagram in flight", limits: perf.Limits{Window: 1}, work: small},
		{name: "udp-rate", title: "UDP announce, 20,000 a second", limits: perf.Limits{Window: 4096, Rate: 20_000}, work: small},
		{name: "udp-slow", title: "UDP announce, 1,000 a second", limits: perf.Limits{Window: 4096, Rate: 1000}, work: small},
		{name: "udp-two", title: "UDP announce, one and two reactors", limits: fullUDP, work: small, measure: (*options).twoReactors},
		{name: "udp-sweep", title: "UDP announce, 1,000,000 torrents, half load, while the store sweeps and when not", limits: fullUDP, work: large, measure: (*options).sweep},
		{name: "http", title: "HTTP announce, a connection each", http: true, limits: fullHTTP, work: small},
		{name: "http-keepalive", title: "HTTP announce, connections kept", http: true, keepAlive: true, limits: fullHTTP, work: near},
		{name: "http-pipelined", title: "HTTP announce, 8 in a pipeline", http: true, keepAlive: true, depth: 8, limits: fullHTTP, work: near},
	}
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return strings.Join(append(names, processes), ", ")
}

// wire returns what a floor for s serves.
func (s *scenario) wire() string {
	switch {
	case s.keepAlive:
		return wireKept
	case s.http:
		return wireHTTP
	}
	return wireUDP
}

// generator returns what sends the load of s, once it has its limits.
func (s *scenario) generator(at netip.AddrPort, sources []netip.Addr) (perf.Generator, error) {
	if s.http {
		h, err := perf.OpenHTTP(at, sources)
		if err != nil {
			return nil, err
		}
		h.KeepAlive, h.Depth = s.keepAlive, s.depth
		return h, nil
	}
	return perf.OpenUDP(at, sources)
}
