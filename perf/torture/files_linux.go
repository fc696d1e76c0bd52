package main

import "time"

// Numbers of the stage of descriptors.
const (
	fewFiles  = 64
	manyConns = 200
	// comebacks are how many clients a second connect again that the tracker
	// has closed.
	comebacks = 500
	// outOfFilesCPU is the share of a processor that being out of descriptors
	// may take. A tracker that polls for one takes all of it.
	outOfFilesCPU = 0.25
)

func filesSetting(*options) setting { return setting{files: fewFiles} }

// judgeFiles asserts that there are descriptors for the witness, whoever has to
// give one up for it, and that datagrams need none. In the short form, on a
// machine that is busy with other tests, the clients that come back can be
// faster than the witness.
func judgeFiles(t *trial) {
	if t.o.quick {
		for i, l := range t.witness.lanes {
			if l.http {
				t.lanes[i].lost = 0
			}
		}
	}
	t.judgeLanes(false)
}

// outOfFiles has more clients connect than there are descriptors. Each sends a
// part of a request and waits; if it is closed, it comes back.
func outOfFiles(t *trial) error {
	conns := make([]slowConn, manyConns)
	for i := range conns {
		if err := conns[i].open(t.Addr, hostile[i]); err != nil {
			return err
		}
	}
	defer func() {
		for i := range conns {
			conns[i].close()
		}
	}()
	before, err := t.CPU()
	if err != nil {
		return err
	}
	most, again := 0, 0
	begin := time.Now()
	tick := time.NewTicker(time.Second / comebacks)
	defer tick.Stop()
	for i := 0; time.Since(begin) < t.scale.short; i = (i + 1) % len(conns) {
		<-tick.C
		c := &conns[i]
		if c.trickle(); c.fd < 0 {
			if err := c.open(t.Addr, hostile[i]); err != nil {
				return err
			}
			again++
		}
		if st, err := t.Status(); err == nil && i%16 == 0 {
			most = max(most, st.Files)
		}
	}
	now, err := t.CPU()
	if err != nil {
		return err
	}
	share := (now - before).Seconds() / time.Since(begin).Seconds()
	t.say("%d descriptors in use, %d clients connected again, %.1f %% of a processor", most, again, 100*share)
	t.must(share < outOfFilesCPU, "%.0f %% of a processor while out of descriptors", 100*share)
	for i := range conns {
		conns[i].close()
	}
	left := time.Now()
	if _, err := get(t.Addr, hostile[0], "/scrape?info_hash="+escape(witnessHash[:]), left.Add(t.scale.patience)); err != nil {
		t.must(false, "not served after they left: %v", err)
		return nil
	}
	t.say("served %d ms after they left", time.Since(left).Milliseconds())
	return nil
}
