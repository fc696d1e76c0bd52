package main

import (
	"errors"
	"net/netip"
	"runtime"
	"time"

	"tracker/perf"
)

// A contender is one server of a scenario, running, with what sends to it.
type contender struct {
	*run
	program *program
	cpus    cpuList // of the server; none for any
	loads   cpuList // of the generators, one a CPU; none for one generator anywhere

	srv  *perf.Server
	gens []lane
}

// A lane is one generator and what it sends. Several draw from the same
// clients.
type lane struct {
	perf.Generator
	work *perf.Workload
}

// apart is how many requests lie between two lanes in the sequence that both
// draw from: more than any lane sends.
const apart = 1 << 24

// start starts the server and announces every client to it, over UDP if it
// has that, since the wire does not matter for what is stored.
func (c *contender) start(s *scenario, list string) (err error) {
	c.srv, err = c.program.command(s, list, c.cpus).Start()
	if err != nil {
		return err
	}
	if len(c.loads) > 0 {
		if err := perf.Pin(c.loads[0]); err != nil {
			return err
		}
	}
	if !c.Floor {
		if err := c.fill(s); err != nil {
			return err
		}
	}
	// All generators together keep the server as busy as one would, and one of
	// two CPUs twice as much.
	lanes := min(max(1, len(c.loads)), s.limits.Window)
	limits := s.limits
	limits.Window = max(1, limits.Window*max(1, len(c.cpus))/lanes)
	limits.Rate /= float64(lanes)
	for i := range lanes {
		w := s.work
		if err := w.Init(); err != nil {
			return err
		}
		for range i * apart {
			var r perf.Request
			w.Next(&r)
		}
		g, err := s.generator(c.srv.Addr, perf.Sources4(int(w.Sources)))
		if err != nil {
			return err
		}
		*g.Bounds() = limits
		c.gens = append(c.gens, lane{g, &w})
	}
	return nil
}

// fill announces every client once.
func (c *contender) fill(s *scenario) error {
	w := s.work
	if err := w.Init(); err != nil {
		return err
	}
	g, err := filler(c.srv.Addr, !c.program.udp, perf.Sources4(int(w.Sources)))
	if err != nil {
		return err
	}
	defer g.Close()
	return perf.Fill(g, &w)
}

// filler returns a generator whose every request is answered in the end.
func filler(at netip.AddrPort, http bool, sources []netip.Addr) (perf.Generator, error) {
	if http {
		h, err := perf.OpenHTTP(at, sources)
		if err != nil {
			return nil, err
		}
		h.Limits = perf.Limits{Window: httpWindow}
		return h, nil
	}
	u, err := perf.OpenUDP(at, sources)
	if err != nil {
		return nil, err
	}
	u.Limits, u.Resend = perf.Limits{Window: udpWindow, Timeout: 200 * time.Millisecond}, true
	return u, nil
}

// close ends the server and closes what sends to it.
func (c *contender) close() {
	for _, l := range c.gens {
		l.Close()
	}
	c.gens = nil
	if c.srv != nil {
		c.srv.Stop()
	}
}

// connect gets new connection ids, which some trackers forget in two minutes.
func (c *contender) connect() error {
	for _, l := range c.gens {
		if u, ok := l.Generator.(*perf.UDP); ok {
			if err := u.Connect(); err != nil {
				return err
			}
		}
	}
	return nil
}

// round puts the server under load: for a tenth of the time to warm the
// caches the others have filled, then for the measurement.
func (c *contender) round(slice time.Duration) error {
	if err := c.connect(); err != nil {
		return err
	}
	if _, _, err := c.load(slice / 10); err != nil {
		return err
	}
	r, err := c.measure(slice)
	if err != nil {
		return err
	}
	c.Rounds = append(c.Rounds, r)
	c.Memory, err = c.srv.Memory()
	return err
}

// measure puts the server under load and returns what came of it.
func (c *contender) measure(slice time.Duration) (round, error) {
	before, err := c.srv.CPU()
	if err != nil {
		return round{}, err
	}
	res, own, err := c.load(slice)
	if err != nil {
		return round{}, err
	}
	after, err := c.srv.CPU()
	if err != nil {
		return round{}, err
	}
	if res.Answered == 0 {
		return round{}, errors.New("nothing was answered")
	}
	us := func(q float64) float64 { return float64(res.Latency.Quantile(q).Nanoseconds()) / 1e3 }
	per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / float64(res.Answered) }
	return round{
		CPU: per(after - before), Generator: per(own), Busy: own.Seconds() / res.Elapsed.Seconds() / float64(len(c.gens)), PerSecond: res.PerSecond(),
		P50: us(0.5), P99: us(0.99), P999: us(0.999),
		Lost:  float64(res.Lost+res.Refused) / float64(res.Sent),
		Bytes: float64(res.Bytes) / float64(res.Answered+res.Refused),
	}, nil
}

// load runs all generators for a time and returns the sum of their results
// and of the CPU time they took.
func (c *contender) load(slice time.Duration) (*perf.Result, time.Duration, error) {
	if len(c.gens) == 1 {
		return c.gens[0].load(slice)
	}
	type outcome struct {
		res *perf.Result
		own time.Duration
		err error
	}
	done := make(chan outcome)
	for i, l := range c.gens {
		go func() {
			runtime.LockOSThread() // and never unlock: the thread ends with its affinity
			o := outcome{err: perf.Pin(c.loads[i])}
			if o.err == nil {
				o.res, o.own, o.err = l.load(slice)
			}
			done <- o
		}()
	}
	var sum perf.Result
	var own time.Duration
	var errs error
	for range c.gens {
		o := <-done
		if errs = errors.Join(errs, o.err); o.err == nil {
			sum.Merge(o.res)
			own += o.own
		}
	}
	return &sum, own, errs
}

// load runs one generator on the calling thread.
func (l *lane) load(slice time.Duration) (*perf.Result, time.Duration, error) {
	l.Bounds().For = slice
	before, err := perf.ThreadCPU()
	if err != nil {
		return nil, 0, err
	}
	res, err := l.Run(func(r *perf.Request) bool { l.work.Next(r); return true })
	if err != nil {
		return nil, 0, err
	}
	after, err := perf.ThreadCPU()
	return res, after - before, err
}
