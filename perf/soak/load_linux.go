package main

import (
	"fmt"
	"runtime"
	"time"

	"tracker/perf"
)

// measuredFor is how long it takes to find out how much the tracker can do,
// over each transport.
const measuredFor = 3 * time.Second

// share is how much of what the tracker can do is sent, over each of UDP and
// HTTP.
const share = 0.25

// A lane is one transport's part of the load. It belongs to its goroutine
// until that ends.
type lane struct {
	name  string
	gen   perf.Generator
	work  perf.Workload
	rate  float64
	total perf.Result
}

// lanes opens both lanes, and fills the tracker over the first.
func (o *options) lanes(srv *perf.Server) (udp, http *lane, err error) {
	udp, http = &lane{name: "UDP", rate: o.rate}, &lane{name: "HTTP", rate: o.httpRate, work: perf.Workload{Seed: 0}}
	for _, l := range []*lane{udp, http} {
		if err := l.work.Init(); err != nil {
			return nil, nil, err
		}
	}
	sources := perf.Sources4(int(udp.work.Sources))
	u, err := perf.OpenUDP(srv.Addr, sources)
	if err != nil {
		return nil, nil, err
	}
	u.Limits, u.Resend = perf.Limits{Window: 192}, true
	if err := perf.Fill(u, &udp.work); err != nil {
		u.Close()
		return nil, nil, fmt.Errorf("filling: %w", err)
	}
	u.Resend = false
	h, err := perf.OpenHTTP(srv.Addr, sources)
	if err != nil {
		u.Close()
		return nil, nil, err
	}
	udp.gen, http.gen = u, h
	for _, l := range []*lane{udp, http} {
		if err := l.measure(); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return udp, http, nil
}

// measure finds the lane's rate, if none is given.
func (l *lane) measure() error {
	if l.rate > 0 {
		return nil
	}
	*l.gen.Bounds() = perf.Limits{Window: 192, For: measuredFor}
	res, err := l.gen.Run(l.next)
	if err == nil {
		l.rate = share * res.PerSecond()
	}
	return err
}

func (l *lane) next(r *perf.Request) bool { l.work.Next(r); return true }

// run sends the lane's load for that long, in pieces: between them connection
// ids are made anew, as clients do, and the generator catches up.
func (l *lane) run(length time.Duration) error {
	const piece = time.Minute
	for end := time.Now().Add(length); time.Now().Before(end); {
		if u, ok := l.gen.(*perf.UDP); ok {
			if err := u.Connect(); err != nil {
				return err
			}
		}
		*l.gen.Bounds() = perf.Limits{
			Rate: l.rate, For: min(piece, time.Until(end)), Window: int(min(2*l.rate+1, 1<<16)), Timeout: 2 * time.Second,
		}
		res, err := l.gen.Run(l.next)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		l.total.Merge(res)
	}
	return nil
}

// onThread runs f on a thread of its own, bound to cpu unless that is
// negative, and returns where its error will be.
func onThread(cpu int, f func() error) <-chan error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with us
		if cpu >= 0 {
			if err := perf.Pin(cpu); err != nil {
				done <- err
				return
			}
		}
		done <- f()
	}()
	return done
}
