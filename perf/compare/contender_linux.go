package main

import (
	"errors"
	"net/netip"
	"time"

	"tracker/perf"
)

// A contender is one server of a scenario and what was measured of it.
type contender struct {
	name, path, list string
	env              []string
	peer, floor      bool // ratios are to these

	srv    *perf.Server
	gen    perf.Generator
	work   perf.Workload
	rounds []round
	memory perf.Memory
}

// A round is what one slice of load gave.
type round struct {
	cpu            float64 // µs of the server's CPU time per answer
	perSecond      float64
	p50, p99, p999 float64 // µs
	lost           float64 // share of the requests, 0 to 1
}

// start starts the server and announces every client to it, over UDP, since
// the wire does not matter for what is stored.
func (c *contender) start(o *options, s scenario) (err error) {
	c.work = s.work
	if err := c.work.Init(); err != nil {
		return err
	}
	sources := perf.Sources4(int(c.work.Sources))
	c.srv, err = perf.Command{
		Path: c.path, Addr: netip.MustParseAddr("127.0.0.1"), Whitelist: c.list, Env: c.env,
		Probe: s.work.Torrents - 1, CPU: o.serverCPU,
	}.Start()
	if err != nil {
		return err
	}
	if o.loadCPU >= 0 {
		if err := perf.Pin(o.loadCPU); err != nil {
			return err
		}
	}
	u, err := perf.OpenUDP(c.srv.Addr, sources)
	if err != nil {
		return err
	}
	u.Limits, u.Resend = perf.Limits{Window: udpWindow, Timeout: 200 * time.Millisecond}, true
	c.gen = u
	if err := perf.Fill(u, &c.work); err != nil {
		return err
	}
	u.Limits, u.Resend = s.limits, false
	if s.http {
		u.Close()
		h, err := perf.OpenHTTP(c.srv.Addr, sources)
		if err != nil {
			return err
		}
		h.Limits, h.KeepAlive, h.Depth = s.limits, s.keepAlive, s.depth
		c.gen = h
	}
	return nil
}

// close ends the server and closes what sends to it.
func (c *contender) close() {
	if c.gen != nil {
		c.gen.Close()
	}
	if c.srv != nil {
		c.srv.Stop()
	}
}

// round puts the server under load: for a tenth of the time to warm the
// caches the others have filled, then for the measurement.
func (c *contender) round(o *options) error {
	next := func(r *perf.Request) bool { c.work.Next(r); return true }
	c.gen.Bounds().For = o.slice / 10
	if _, err := c.gen.Run(next); err != nil {
		return err
	}
	c.gen.Bounds().For = o.slice
	before, err := c.srv.CPU()
	if err != nil {
		return err
	}
	res, err := c.gen.Run(next)
	if err != nil {
		return err
	}
	after, err := c.srv.CPU()
	if err != nil {
		return err
	}
	if res.Answered == 0 {
		return errors.New("nothing was answered")
	}
	us := func(q float64) float64 { return float64(res.Latency.Quantile(q).Nanoseconds()) / 1e3 }
	c.rounds = append(c.rounds, round{
		cpu:       float64((after - before).Nanoseconds()) / 1e3 / float64(res.Answered),
		perSecond: res.PerSecond(),
		p50:       us(0.5), p99: us(0.99), p999: us(0.999),
		lost: float64(res.Lost+res.Refused) / float64(res.Sent),
	})
	c.memory, err = c.srv.Memory()
	return err
}
