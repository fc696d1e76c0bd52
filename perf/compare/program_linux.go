package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"tracker/perf"
)

// A program is a server that can take part.
type program struct {
	key, title string
	udp, http  bool // what it speaks
	floor      bool
	// onlyOne: it answers one request of a pipeline and drops the others.
	onlyOne bool

	// find returns the program and its version, and installs it if need be.
	find func(*options) (path, version string, err error)
	// args returns its arguments; dir is for its configuration, list the
	// whitelist of the scenario. nil: the flags of opentracker, no whitelist.
	args func(dir, list string) perf.Args

	path, version, dir string // set by prepare
	held               *perf.Held
	trace              bool // it is written in Go and says what its collector does
}

// programs are all that can take part, in the order they are printed.
func programs() []*program {
	return []*program{
		{key: ours, title: "tracker", udp: true, http: true, find: findOurs},
		{key: listed, title: "tracker, whitelist", udp: true, http: true, find: findListed, args: withList},
		{key: "peer", title: "peer", udp: true, http: true, find: findPeer},
		{key: debians, title: "opentracker", udp: true, http: true, find: findOpentracker, args: withList},
		{key: "aquatic-mio", title: "aquatic_udp, mio", udp: true, find: findAquaticUDP, args: aquaticUDP("false")},
		{key: "aquatic-uring", title: "aquatic_udp, io_uring", udp: true, find: findAquaticUDP, args: aquaticUDP("true")},
		{key: "aquatic-http", title: "aquatic_http", http: true, onlyOne: true, find: findAquaticHTTP, args: aquaticHTTP},
		{key: "chihaya", title: "chihaya", udp: true, http: true, find: findChihaya, args: chihaya},
		{key: "floor-udp", title: "echo floor", udp: true, floor: true, find: findSelf},
		{key: "floor-http", title: "gnet floor", http: true, floor: true, find: findSelf},
	}
}

// command returns how to start p for s, with the whitelist of s.
func (p *program) command(s *scenario, list string, cpus []int) perf.Command {
	c := perf.Command{
		Path: p.path, Addr: netip.MustParseAddr("127.0.0.1"), HTTP: !p.udp,
		Probe: s.work.Torrents - 1, CPUs: cpus, Held: p.held,
	}
	if p.floor {
		c.Env = []string{floorKey + "=" + s.wire()}
	}
	if p.trace {
		c.Env = append(c.Env, "GODEBUG=gctrace=1")
	}
	if p.args != nil {
		c.Args = p.args(p.dir, list)
	}
	return c
}

// takesPart reports whether p can do what s asks for. What a whitelist costs
// shows under full load, and is not looked for elsewhere.
func (p *program) takesPart(s *scenario) bool {
	if p.key == listed && s.name != "udp" && s.name != "http" {
		return false
	}
	if s.http {
		return p.http && !(p.onlyOne && s.depth > 1)
	}
	return p.udp && !(s.work.Torrents > small.Torrents && p.key == "chihaya")
}

func withList(_, list string) perf.Args { return perf.OpentrackerArgs(list) }

// configured returns arguments that name a configuration file, written first.
// The text is a format whose one verb is the address.
func configured(dir, name, text string, flags ...string) perf.Args {
	return func(at netip.AddrPort) ([]string, error) {
		path := filepath.Join(dir, name)
		return append(flags, path), os.WriteFile(path, fmt.Appendf(nil, text, at), 0o644)
	}
}

// aquaticUDP and aquaticHTTP leave everything as its authors set it but for
// one socket worker on the address, and 50 peers an answer.
func aquaticUDP(ring string) func(dir, list string) perf.Args {
	return func(dir, _ string) perf.Args {
		return configured(dir, "aquatic_udp_"+ring+".toml", `socket_workers = 1
log_level = "error"
[network]
address = "%[1]s"
use_io_uring = `+ring+`
[protocol]
max_response_peers = 50
[statistics]
interval = 0
[access_list]
mode = "off"
`, "-c")
	}
}

func aquaticHTTP(dir, _ string) perf.Args {
	return configured(dir, "aquatic_http.toml", `socket_workers = 1
swarm_workers = 1
log_level = "error"
[network]
address = "%[1]s"
keep_alive = true
[protocol]
max_peers = 50
[access_list]
mode = "off"
`, "-c")
}

// chihaya has both wires at once, no hooks, no metrics that it can do without.
func chihaya(dir, _ string) perf.Args {
	return configured(dir, "chihaya.yaml", `chihaya:
  announce_interval: 30m
  min_announce_interval: 15m
  prometheus_addr: "127.0.0.1:0"
  http:
    addr: "%[1]s"
    read_timeout: 5s
    write_timeout: 5s
    enable_keepalive: true
    idle_timeout: 30s
    max_numwant: 100
    default_numwant: 50
  udp:
    addr: "%[1]s"
    max_clock_skew: 10s
    private_key: "any"
    max_numwant: 100
    default_numwant: 50
  storage:
    name: memory
    config:
      gc_interval: 3m
      peer_lifetime: 31m
      shard_count: 1024
      prometheus_reporting_interval: 1h
`, "--config")
}
