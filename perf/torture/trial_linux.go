package main

import (
	"fmt"
	"runtime"
	"time"

	"tracker/perf"
)

// A stage is one kind of torture.
type stage struct {
	key, title string
	own        func(*options) setting // of a process of its own; nil: the one all share
	prepare    func(*trial) error     // before the witness begins; nil: nothing
	run        func(*trial) error
	judge      func(*trial) // of the witness, once it has ended; nil: it got every answer
}

// A trial is one stage at one subject, and what came of it.
type trial struct {
	*subject
	o     *options
	scale *scale
	stage *stage

	said   []string // what the stage wants to be known
	faults []string // what must not be

	lanes         []tally
	cpu           time.Duration
	others        time.Duration // CPU time of programs that are neither the tracker nor we
	drops         uint64
	before, after perf.Status
	balance       balance
	peak          int64 // bytes, the most seen while it ran
}

// say notes something that the table has to say.
func (t *trial) say(format string, args ...any) {
	t.said = append(t.said, fmt.Sprintf(format, args...))
}

// must notes a fault, unless ok.
func (t *trial) must(ok bool, format string, args ...any) {
	if !ok {
		t.faults = append(t.faults, fmt.Sprintf(format, args...))
	}
}

// run runs the stage with the witness beside it. Its error is that of the
// machine, or of a tracker that is no more.
func (t *trial) run() error {
	var err error
	if t.before, err = t.Status(); err != nil {
		return err
	}
	drops, err := t.Drops()
	if err != nil {
		return err
	}
	cpu, err := t.CPU()
	if err != nil {
		return err
	}
	if t.stage.prepare != nil {
		if err := t.stage.prepare(t); err != nil {
			return err
		}
	}
	others, err := t.Others()
	if err != nil {
		return err
	}
	peak := t.watch()
	t.witness.begin()
	err = t.stage.run(t)
	t.lanes = t.witness.end()
	t.peak = peak()
	if err != nil {
		return err
	}
	now, err := t.CPU()
	if err != nil {
		return err
	}
	t.cpu = now - cpu
	if sum, err := t.Others(); err == nil {
		t.others = sum - others
	}
	if now, err := t.Drops(); err == nil {
		t.drops = now - min(drops, now)
	}
	if t.stage.judge != nil {
		t.stage.judge(t)
	} else {
		t.judgeLanes(false)
	}
	return t.settle()
}

// watch looks at the resident set until the function it returns is called,
// which returns the most that was seen.
func (t *trial) watch() (peak func() int64) {
	stop, most := make(chan struct{}), make(chan int64)
	go func() {
		var sum int64
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			if st, err := t.Status(); err == nil {
				sum = max(sum, st.RSS)
			}
			select {
			case <-tick.C:
			case <-stop:
				most <- sum
				return
			}
		}
	}()
	return func() int64 { close(stop); return <-most }
}

// settleLimit is how long a tracker may take to give back what it had for
// clients that are gone.
const settleLimit = 10 * time.Second

// settle waits until the tracker has no more descriptors than before.
func (t *trial) settle() (err error) {
	for deadline := time.Now().Add(settleLimit); ; time.Sleep(50 * time.Millisecond) {
		if t.after, err = t.Status(); err != nil {
			return err
		}
		if t.after.Files <= t.before.Files || time.Now().After(deadline) {
			break
		}
	}
	t.must(t.after.Files <= t.before.Files, "%d descriptors, %d before", t.after.Files, t.before.Files)
	return nil
}

// flood runs f on a thread of its own on the CPU of what floods.
func (t *trial) flood(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with us
		if t.o.loadCPU >= 0 {
			if err := perf.Pin(t.o.loadCPU); err != nil {
				done <- err
				return
			}
		}
		done <- f()
	}()
	return <-done
}

// judgeLanes asserts that the witness got every answer, and each of them right.
// In a stage where datagrams may be lost, they have to be answered in the end;
// and in the short form, where it asks again so soon that a busy machine makes
// it.
func (t *trial) judgeLanes(datagramsMayBeLost bool) {
	datagramsMayBeLost = datagramsMayBeLost || t.o.quick
	for i, l := range t.witness.lanes {
		y := &t.lanes[i]
		t.must(y.asked > 0, "%s: nothing was asked", l.name)
		t.must(y.wrong == 0, "%s: %d of %d answers are wrong: %s", l.name, y.wrong, y.asked, y.example)
		t.must(y.lost == 0, "%s: %d of %d not answered: %s", l.name, y.lost, y.asked, y.example)
		t.must(datagramsMayBeLost || y.first == y.answered, "%s: %d of %d only when asked again", l.name, y.answered-y.first, y.asked)
	}
}
