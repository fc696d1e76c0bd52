package main

import (
	"bufio"
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"
)

// processes is what -only calls the idle process and the collector.
const processes = "process"

// A process is what was learnt of a server outside the scenarios.
type process struct {
	Key, Title string
	Idle       int64    // resident bytes after the first announce, free to use every CPU
	GCUDP      *float64 // the collector's share of CPU time, 0 to 1; nil if unknown
	GCHTTP     *float64
}

// allProcesses looks at every program. Others that do not start are left out.
func (o *options) allProcesses() error {
	list, end, err := o.held.WriteWhitelist(small.Torrents)
	if err != nil {
		return err
	}
	defer end()
	for _, p := range o.programs {
		if p.key == listed {
			continue
		}
		r, err := o.process(p, list)
		switch {
		case err == nil:
			o.report.Processes = append(o.report.Processes, r)
		case p.key == ours:
			return err
		default:
			o.skip(p.title+", idle", err)
		}
	}
	return nil
}

// process starts p three times: to leave it alone, and, if it is written in
// Go, under full load of either wire with the collector's trace turned on. The
// trace has the CPU time of each collection, which is held against that of the
// process over the whole load.
func (o *options) process(p *program, list string) (r process, err error) {
	r = process{Key: p.key, Title: p.title}
	udp := &scenario{limits: fullUDP, work: small}
	http := &scenario{http: true, limits: fullHTTP, work: small}
	idle := udp
	if !p.udp {
		idle = http
	}
	if r.Idle, err = idleRSS(p, idle, list); err != nil || p.key != ours && p.key != "chihaya" {
		return r, err
	}
	if r.GCUDP, err = o.collector(p, udp, list); err == nil {
		r.GCHTTP, err = o.collector(p, http, list)
	}
	return r, err
}

// idleRSS starts p as it starts by itself and waits until its resident set
// stands still.
func idleRSS(p *program, s *scenario, list string) (int64, error) {
	srv, err := p.command(s, list, nil).Start()
	if err != nil {
		return 0, err
	}
	defer srv.Stop()
	var last int64
	for range 20 {
		m, err := srv.Memory()
		if err != nil || m.RSS == last {
			return m.RSS, err
		}
		last = m.RSS
		time.Sleep(500 * time.Millisecond)
	}
	return last, nil
}

// collector returns the share of CPU time that the collector of p takes under
// the load of s.
func (o *options) collector(p *program, s *scenario, list string) (*float64, error) {
	traced := *p
	traced.trace = true
	c := o.contender(&traced, p.key, p.title)
	began := time.Now()
	if err := c.start(s, list); err != nil {
		c.close()
		return nil, err
	}
	from := time.Since(began)
	before, err := c.srv.CPU()
	if err == nil {
		_, _, err = c.load(5 * o.slice / 2)
	}
	after, err2 := c.srv.CPU()
	c.close()
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	share := float64(collections(c.srv.Said(), from)) / float64(after-before)
	return &share, nil
}

// collections adds up the CPU time of all collections in a trace that ended
// more than from after the process began: phases without the idle part, which
// takes only time that nobody wants.
//
//	gc 1 @0.012s 2%: 0.02+0.39+0.01 ms clock, 0.02+0.11/0.35/0.12+0.01 ms cpu, 4->4->0 MB, …
func collections(trace []byte, from time.Duration) (sum time.Duration) {
	for lines := bufio.NewScanner(bytes.NewReader(trace)); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 9 || f[0] != "gc" || !strings.HasPrefix(f[2], "@") {
			continue
		}
		at, err := time.ParseDuration(f[2][1:])
		if err != nil || at < from {
			continue
		}
		phases := strings.FieldsFunc(f[7], func(r rune) bool { return r == '+' || r == '/' })
		for i, text := range phases {
			ms, err := strconv.ParseFloat(text, 64)
			if err == nil && !(len(phases) == 5 && i == 3) {
				sum += time.Duration(ms * float64(time.Millisecond))
			}
		}
	}
	return sum
}
