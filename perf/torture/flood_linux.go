package main

import (
	"math"
	"time"

	"tracker/perf"
)

// Floods are announces of the canonical workload, all from one /24.

// measuredFor is how long the tracker's capacity is measured.
const measuredFor = 3 * time.Second

// floodWindow is how many announces are outstanding while the capacity is
// measured: fewer than the 256 that the default receive buffer holds.
const floodWindow = 192

// openFlood returns a generator of hostile datagrams and their workload.
func openFlood(t *trial) (*perf.UDP, *perf.Workload, error) {
	work := &perf.Workload{Sources: uint32(len(hostile))}
	if err := work.Init(); err != nil {
		return nil, nil, err
	}
	u, err := perf.OpenUDP(t.Addr, hostile)
	return u, work, err
}

// flood70 floods with 70 % of what the tracker can do: the witness must not
// notice.
func flood70(t *trial) error {
	u, work, err := openFlood(t)
	if err != nil {
		return err
	}
	defer u.Close()
	return t.flood(func() error {
		next := func(r *perf.Request) bool { work.Next(r); return true }
		u.Limits = perf.Limits{Window: floodWindow, For: min(measuredFor, t.scale.flood)}
		full, err := u.Run(next)
		if err != nil {
			return err
		}
		u.Limits = perf.Limits{Window: 1 << 14, For: t.scale.flood, Rate: 0.7 * full.PerSecond()}
		res, err := u.Run(next)
		if err != nil {
			return err
		}
		t.say("capacity %.0f a second, flooded with %.0f; %d of these %d not answered", full.PerSecond(), u.Rate, res.Lost+res.Refused, res.Sent)
		return nil
	})
}

// httpConns are how many connections the flood over HTTP has open.
const httpConns = 256

// floodHTTP floods with connections, as many as the tracker can do.
func floodHTTP(t *trial) error {
	work := perf.Workload{Sources: uint32(len(hostile))}
	if err := work.Init(); err != nil {
		return err
	}
	h, err := perf.OpenHTTP(t.Addr, hostile)
	if err != nil {
		return err
	}
	defer h.Close()
	h.Limits = perf.Limits{Window: httpConns, For: t.scale.flood}
	return t.flood(func() error {
		res, err := h.Run(func(r *perf.Request) bool { work.Next(r); return true })
		if err != nil {
			return err
		}
		t.say("%.0f connections a second, %d of %d not answered", res.PerSecond(), res.Lost+res.Refused, res.Sent)
		return nil
	})
}

// A balance is what a flood is made of, to be compared with what the tracker
// and the system say about it.
type balance struct {
	flood             *perf.UDP
	work              *perf.Workload
	sent              uint64
	received, dropped uint64 // before
}

// prepareUDP makes the flood's connections, and looks at the counters while
// nobody sends anything.
func prepareUDP(t *trial) (err error) {
	b := &t.balance
	if b.flood, b.work, err = openFlood(t); err != nil {
		return err
	}
	if b.received, err = t.received(); err != nil {
		return err
	}
	b.dropped, err = t.Drops()
	return err
}

// floodUDP floods with datagrams as fast as the system sends them. What came
// of it is judged when the witness has asked again for what it lost.
func floodUDP(t *trial) error {
	b := &t.balance
	defer b.flood.Close()
	length := 2 * t.scale.flood
	return t.flood(func() (err error) {
		b.sent, err = b.flood.Blast(b.work.Next, length)
		t.say("%.0f datagrams a second", float64(b.sent)/length.Seconds())
		return err
	})
}

// budgetLines are the budgets of requests a second that tracker.conf.example
// shows. The witness keeps to them.
var budgetLines = []string{"limit.rate.address 50", "limit.rate.prefix 500"}

func budgetSetting(*options) setting { return setting{conf: budgetLines} }

// received returns how many datagrams the tracker says it has received.
func (s *subject) received() (uint64, error) { return s.number("overall") }

// judgeFlood asserts that each datagram which the tracker did not receive was
// dropped by the kernel at the tracker's sockets, and was counted there; that
// the witness lost no larger share of its announces than the flood did; and
// that all of them were answered in the end.
func judgeFlood(t *trial) {
	t.judgeLanes(true)
	sent := t.balance.sent
	for i, l := range t.witness.lanes {
		if !l.http {
			sent += t.lanes[i].sent
		}
	}
	received, dropped, err := t.count(sent)
	if err != nil {
		t.must(false, "statistics: %v", err)
		return
	}
	unexplained := int64(sent - received - dropped)
	t.say("sent %d = %d received + %d dropped by the kernel + %d", sent, received, dropped, unexplained)
	t.must(unexplained == 0, "%d datagrams neither received nor counted as dropped", unexplained)
	share := 1 - float64(dropped)/float64(sent)
	y := &t.lanes[0]
	had := float64(y.first) / float64(y.asked)
	t.say("%.1f %% of the flood was received; the witness was answered %.1f %% at once, all but %d of %d in the end",
		100*share, 100*had, y.lost, y.asked)
	// Four standard deviations, of as many draws as the witness has made.
	noise := 4 * math.Sqrt(share*(1-share)/float64(y.asked))
	t.must(had >= share-noise, "the witness was answered %.1f %% at once, but %.1f %% of the flood was received", 100*had, 100*share)
}

// count returns how many datagrams the tracker has received since the flood
// began, and how many were dropped, once these are all that were sent: some
// may be queued yet.
func (t *trial) count(sent uint64) (received, dropped uint64, err error) {
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if received, err = t.received(); err != nil {
			return 0, 0, err
		}
		if dropped, err = t.Drops(); err != nil {
			return 0, 0, err
		}
		received, dropped = received-t.balance.received, dropped-t.balance.dropped
		if received+dropped == sent || time.Now().After(deadline) {
			return received, dropped, nil
		}
	}
}
