package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"tracker/perf"
)

// A minute of seconds, and whether the store sweeps in each.
type calendar [60]bool

// sweep measures latency at half load in seconds in which the tracker sweeps
// its store and in others.
//
// The store is swept once a minute, always at the same second of the process's
// age, and that shows from outside: the server is left alone, and the seconds
// in which it computes nonetheless are those of the sweep. The first sweep of a
// process may take longer than the others, so it is the second minute without
// load that counts. Then it
// gets half of the load that it was seen to manage, for two minutes, open loop.
// Each second that is surely of one kind is a round of its own.
func (o *options) sweep(s *scenario, list string) (*result, error) {
	r := &result{Name: s.name, Title: s.title}
	for _, p := range o.programs {
		if p.key != ours {
			continue
		}
		c := o.contender(p, "", "")
		defer c.close()
		if err := c.start(s, list); err != nil {
			return nil, err
		}
		full, err := c.measure(o.slice)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "%s: filled, %.0f a second; watching it sweep for two minutes\n", s.name, full.PerSecond)
		begin := time.Now()
		when, err := watch(c.srv, begin)
		if err != nil {
			return nil, err
		}
		for _, l := range c.gens {
			*l.Bounds() = perf.Limits{Window: 8192, Rate: full.PerSecond / 2 / float64(len(c.gens))}
		}
		sweeping, quiet, err := c.seconds(when, begin)
		if err != nil {
			return nil, err
		}
		mem, err := c.srv.Memory()
		if err != nil {
			return nil, err
		}
		r.Runs = []*run{
			{Key: "sweeping", Title: "sweeping", Rounds: sweeping, Memory: mem},
			{Key: "not-sweeping", Title: "not sweeping", Rounds: quiet, Memory: mem},
		}
		r.Notes = append(r.Notes, fmt.Sprintf("A round is a second here: %d with a sweep, %d without; %d seconds of a minute have one.",
			len(sweeping), len(quiet), when.count()))
	}
	return r, nil
}

// watch finds out in which seconds of a minute an idle server computes. Those
// are told from the others by how far they are from the least to the most,
// which have to be far apart. It takes two minutes and returns the second.
func watch(srv *perf.Server, begin time.Time) (*calendar, error) {
	var took [60]time.Duration
	last, err := srv.CPU()
	if err != nil {
		return nil, err
	}
	for i := range 2 * len(took) {
		time.Sleep(time.Until(begin.Add(time.Duration(i+1) * time.Second)))
		now, err := srv.CPU()
		if err != nil {
			return nil, err
		}
		took[i%len(took)], last = now-last, now
	}
	low, high := slices.Min(took[:]), slices.Max(took[:])
	if high < 3*low+time.Millisecond {
		return nil, errors.New("a minute without a sweep")
	}
	when := new(calendar)
	for i, d := range took {
		when[i] = d > low+(high-low)/4
	}
	return when, nil
}

// count returns how many seconds have a sweep.
func (w *calendar) count() (n int) {
	for _, s := range w {
		if s {
			n++
		}
	}
	return n
}

// later is how many seconds longer a sweep may take under load than without.
const later = 10

// at returns whether there is a sweep in second i, and whether that is sure:
// its neighbours are of the same kind, and the last sweep is over for long.
func (w *calendar) at(i int) (sweeping, sure bool) {
	sweeping = w[i%60]
	sure = sweeping == w[(i+59)%60] && sweeping == w[(i+1)%60]
	for back := 2; back <= later && !sweeping; back++ {
		sure = sure && !w[(i+60-back)%60]
	}
	return sweeping, sure
}

// seconds runs the load for two minutes and returns every second of which is
// known whether there was a sweep.
func (c *contender) seconds(when *calendar, begin time.Time) (sweeping, quiet []round, err error) {
	first := int(time.Since(begin)/time.Second) + 1
	for i := first; i < first+120; i++ {
		if i%30 == 0 {
			if err := c.connect(); err != nil {
				return nil, nil, err
			}
		}
		// A request on its way when the second ends is waited for, so it
		// begins a little late and ends a little early.
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second)))
		r, err := c.measure(980 * time.Millisecond)
		if err != nil {
			return nil, nil, err
		}
		switch is, sure := when.at(i); {
		case sure && is:
			sweeping = append(sweeping, r)
		case sure:
			quiet = append(quiet, r)
		}
	}
	if len(sweeping) == 0 || len(quiet) == 0 {
		return nil, nil, errors.New("no second is known to be of either kind")
	}
	return sweeping, quiet, nil
}
