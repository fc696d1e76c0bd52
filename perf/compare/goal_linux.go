package main

import (
	"fmt"
	"io"
)

// A goal is a ratio of ours to another, both under the load of one scenario,
// that is to be no more than a limit.
type goal struct {
	what          string // is compared; its row has the scenario's title before it
	scenario      string
	ours, against string // keys; against floorName for the floor
	of            func(*round) float64
	limit         float64
	cpus          int // fewer, and it is not comparable
}

const floorName = "floor"

var goals = []goal{
	{"CPU × opentracker", "udp", ours, debians, cpu, 0.55, 0},
	{"CPU × chihaya", "udp", ours, "chihaya", cpu, 0.25, 0},
	{"CPU × aquatic_udp, mio", "udp", ours, "aquatic-mio", cpu, 1, 0},
	{"CPU × aquatic_udp, io_uring", "udp", ours, "aquatic-uring", cpu, 1, 0},
	{"CPU × floor", "udp", ours, floorName, cpu, 1.10, 0},
	{"CPU × opentracker", "udp-cold", ours, debians, cpu, 0.60, 0},
	{"CPU × opentracker", "udp-one", ours, debians, cpu, 1, 0},
	{"p50 × opentracker", "udp-one", ours, debians, p50, 1, 0},
	{"p99 × opentracker", "udp-one", ours, debians, p99, 1, 0},
	{"CPU × opentracker", "udp-slow", ours, debians, cpu, 1, 0},
	{"p50 × opentracker", "udp-slow", ours, debians, p50, 1, 0},
	{"two × one", "udp-two", "tracker-two", "tracker-one", cpu, 1.10, 4},
	{"p99.9 while sweeping × when not", "udp-sweep", "sweeping", "not-sweeping", p999, 3, 0},
	{"CPU × opentracker", "http", ours, debians, cpu, 0.95, 0},
	{"CPU × chihaya", "http", ours, "chihaya", cpu, 0.45, 0},
	{"CPU × floor", "http", ours, floorName, cpu, 1.10, 0},
	{"CPU × chihaya", "http-keepalive", ours, "chihaya", cpu, 0.25, 0},
	{"CPU × aquatic_http", "http-keepalive", ours, "aquatic-http", cpu, 1, 0},
}

// Limits on our process: resident bytes when idle, and the collector's share
// of CPU time under full load.
const (
	maxIdle      = 6 << 20
	maxCollector = 0.01
)

// printGoals writes which goals are met.
func (r *report) printGoals(w io.Writer) {
	fmt.Fprintln(w, "\n### Goals")
	fmt.Fprintln(w, "\n| | limit | measured | |")
	fmt.Fprintln(w, "|---|--:|--:|---|")
	for _, g := range goals {
		s := r.scenario(g.scenario)
		if s == nil {
			continue
		}
		v := g.measured(s)
		says := verdict(g.limit, v)
		if r.Machine.CPUs < g.cpus {
			says = fmt.Sprintf("not comparable on %d CPUs", r.Machine.CPUs)
		}
		fmt.Fprintf(w, "| %s | %.2f | %s | %s |\n", g.name(s), g.limit, spread("%.2f", v), says)
	}
	for _, p := range r.Processes {
		if p.Key != ours {
			continue
		}
		idle := []float64{float64(p.Idle) / (1 << 20)}
		fmt.Fprintf(w, "| idle RSS, MB | %d | %s | %s |\n", maxIdle>>20, spread("%.2f", idle), verdict(maxIdle>>20, idle))
		var shares []float64
		for _, s := range []*float64{p.GCUDP, p.GCHTTP} {
			if s != nil {
				shares = append(shares, *s)
			}
		}
		if len(shares) > 0 {
			_, _, most := summary(shares)
			fmt.Fprintf(w, "| collector, %% of CPU under full load | %.2f | %.2f | %s |\n", 100*maxCollector, 100*most, verdict(maxCollector, []float64{most}))
		}
	}
}

// name returns what the row of g is called.
func (g *goal) name(s *result) string { return s.Title + ": " + g.what }

// measured returns the ratio in every round, or nil if it was not measured.
func (g *goal) measured(s *result) []float64 {
	against := s.run(g.against)
	if g.against == floorName {
		against = s.floor()
	}
	return ratios(s.run(g.ours), against, g.of)
}

// verdict holds the median of v against a limit.
func verdict(limit float64, v []float64) string {
	if len(v) == 0 {
		return "not measured"
	}
	if _, mid, _ := summary(v); mid > limit {
		return "**not met**"
	}
	return "met"
}
