package main

import (
	"fmt"
	"slices"

	"tracker/perf"
)

// A report is all that was measured, as -json writes it.
type report struct {
	Machine   machine
	Scenarios []*result
	Processes []process
	Skipped   []string // who was not there, why, and what to do
}

// A result is what one scenario gave.
type result struct {
	Name, Title string
	Notes       []string
	Runs        []*run
}

// A run is one server under the load of one scenario.
type run struct {
	Key    string // as in -with
	Title  string
	Floor  bool
	Rounds []round
	Memory perf.Memory
}

// A round is what one slice of load gave. Times are in µs.
type round struct {
	CPU            float64 // of the server, per answer
	Generator      float64 // of the generators, per answer
	Busy           float64 // share of their CPUs that the generators took, 0 to 1
	PerSecond      float64
	P50, P99, P999 float64
	Lost           float64 // share of the requests, 0 to 1
	Bytes          float64 // mean length of an answer
}

// The numbers of a round that are compared or printed.
func cpu(r *round) float64       { return r.CPU }
func generator(r *round) float64 { return r.Generator }
func busy(r *round) float64      { return 100 * r.Busy }
func perSecond(r *round) float64 { return r.PerSecond }
func p50(r *round) float64       { return r.P50 }
func p99(r *round) float64       { return r.P99 }
func p999(r *round) float64      { return r.P999 }
func lost(r *round) float64      { return 100 * r.Lost }
func answerBytes(r *round) float64 {
	return r.Bytes
}

// scenario returns the result of a scenario, or nil.
func (r *report) scenario(name string) *result {
	if i := slices.IndexFunc(r.Scenarios, func(s *result) bool { return s.Name == name }); i >= 0 {
		return r.Scenarios[i]
	}
	return nil
}

// run returns the run of one server, or nil.
func (r *result) run(key string) *run {
	if r == nil {
		return nil
	}
	if i := slices.IndexFunc(r.Runs, func(c *run) bool { return c.Key == key }); i >= 0 {
		return r.Runs[i]
	}
	return nil
}

// floor returns the run of the floor, or nil.
func (r *result) floor() *run {
	if i := slices.IndexFunc(r.Runs, func(c *run) bool { return c.Floor }); i >= 0 {
		return r.Runs[i]
	}
	return nil
}

// column returns one number of every round.
func (r *run) column(of func(*round) float64) []float64 {
	var v []float64
	for i := range r.Rounds {
		v = append(v, of(&r.Rounds[i]))
	}
	return v
}

// ratios returns a number of r over that of o, round by round: what slows the
// machine down for a while slows both. It returns nil if either is missing.
func ratios(r, o *run, of func(*round) float64) []float64 {
	if r == nil || o == nil || r == o {
		return nil
	}
	var v []float64
	for i := range min(len(r.Rounds), len(o.Rounds)) {
		v = append(v, of(&r.Rounds[i])/of(&o.Rounds[i]))
	}
	return v
}

// spread prints the median of v, with the least and most if there are more,
// or a dash if there is none.
func spread(format string, v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	low, mid, high := summary(v)
	text := fmt.Sprintf(format, mid)
	if len(v) > 1 {
		text += fmt.Sprintf(" ("+format+"–"+format+")", low, high)
	}
	return text
}

// summary returns the least, the median and the most of v, which has one
// element or more. The median of an even number is the mean of the middle two.
func summary(v []float64) (low, mid, high float64) {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return v[0], (v[(n-1)/2] + v[n/2]) / 2, v[n-1]
}
