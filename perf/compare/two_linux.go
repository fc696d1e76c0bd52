package main

import (
	"fmt"
	"runtime"
)

// twoReactors compares our tracker on one CPU, which makes it one reactor,
// with itself on two. With four CPUs each reactor has a generator on a CPU of
// its own; with fewer the generator sits on a CPU that a reactor wants, so
// that batches are of another size than with one reactor.
func (o *options) twoReactors(s *scenario, list string) (*result, error) {
	var cs []*contender
	for _, p := range o.programs {
		if p.key != ours {
			continue
		}
		one, two := o.contender(p, "tracker-one", "one reactor"), o.contender(p, "tracker-two", "two reactors")
		switch n := runtime.NumCPU(); {
		case n >= 4:
			one.cpus, one.loads = cpuList{0}, cpuList{2}
			two.cpus, two.loads = cpuList{0, 1}, cpuList{2, 3}
		case n >= 2:
			two.cpus = cpuList{0, 1}
		}
		cs = append(cs, one, two)
	}
	r, err := o.inTurn(s, list, cs)
	if n := runtime.NumCPU(); err == nil && n < 4 {
		r.Notes = append(r.Notes, fmt.Sprintf("Two reactors: not comparable on %d CPUs; the figures are what came of it.", n))
	}
	return r, err
}
