package loop

import (
	"sync/atomic"
	"time"

	"tracker/store"
)

// tick is how often the clock is read when there is nothing else to do.
const tick = time.Second

// maxCatchUp is how many minutes are swept one by one after the machine was
// suspended. By then every peer there was has expired, whatever the interval:
// ages have 7 bits.
const maxCatchUp = 128

// Minute returns the present as a server with the default clock will count it
// when it starts: for what is put into its store before.
func Minute() store.Minute { return store.Minute(bootTime() / time.Minute) }

// A clock is what the reactors know of time. One goroutine sets it, everybody
// reads it, and nobody asks the system on the path of a request.
type clock struct {
	minute atomic.Uint32            // store.Minute
	millis atomic.Int64             // for the deadlines of connections
	keys   atomic.Pointer[connKeys] // of connection ids; not only that one sets it
}

// A timekeeper sets the clock and sweeps the store. It belongs to one
// goroutine.
//
// The store is shown every minute in turn and swept once for each, so that
// ages of 7 bits cannot be misread. Its minute therefore counts sweeps, and
// stays behind if the machine was suspended for longer than it matters.
type timekeeper struct {
	now   func() time.Duration // a monotonic clock, never the wall clock
	wall  func() time.Time     // whose minutes the store's begin with; nil: they begin when they do
	mint  *idMint
	clock *clock
	store *store.Store

	base     time.Duration // where minute 0 began
	aligned  time.Duration // when that was compared with the wall clock last
	sweeping bool          // a sweep has begun and not ended
	steps    int           // in this sweep so far
	pause    time.Duration // between two steps of this sweep
}

// Bounds on how a sweep is spread over its minute. A short sweep takes breaks
// of maxPause, a long one is done in about sweepSpan.
const (
	maxPause  = 5 * time.Millisecond
	sweepSpan = 30 * time.Second
)

// newTimekeeper sets c to the present and returns what keeps it there.
func newTimekeeper(now func() time.Duration, mint *idMint, c *clock, st *store.Store) *timekeeper {
	k := &timekeeper{now: now, mint: mint, clock: c, store: st, pause: maxPause}
	t := k.read()
	c.minute.Store(uint32(t / time.Minute))
	return k
}

// read sets all of the clock but the minute, and returns the time.
func (k *timekeeper) read() time.Duration {
	t := k.now()
	k.clock.millis.Store(t.Milliseconds())
	k.mint.refresh(t)
	return t
}

// followWall has minutes begin with those of wall from now on.
func (k *timekeeper) followWall(wall func() time.Time) {
	k.wall = wall
	k.align(k.now(), time.Minute)
}

// slewShare is which part of the time that has passed the minutes are moved by
// at most, to begin with those of the wall clock: however often and far that is
// set, a peer is remembered for nearly as long as it should.
const slewShare = 10

// align moves the beginning of minutes at t towards that of the wall clock's, by
// up to most. No minute that has begun is taken back.
func (k *timekeeper) align(t, most time.Duration) {
	k.aligned = t
	off := (t - k.base - time.Duration(k.wall().UnixNano())) % time.Minute // by how much ours are early
	switch {
	case off > time.Minute/2:
		off -= time.Minute
	case off <= -time.Minute/2:
		off += time.Minute
	}
	k.base += max(-most, min(off, most))
}

// step sets the clock, takes one step of a sweep if one is due, and returns
// how long to wait before the next call.
func (k *timekeeper) step() time.Duration {
	t := k.read()
	if k.wall != nil && t-k.aligned >= tick {
		k.align(t, (t-k.aligned)/slewShare)
	}
	behind := k.behind(t)
	if !k.sweeping {
		if behind == 0 {
			return k.untilNext(t)
		}
		k.clock.minute.Add(1)
		behind--
		k.sweeping, k.steps = true, 0
	}
	k.steps++
	if k.store.SweepStep(store.Minute(k.clock.minute.Load())) {
		k.sweeping = false
		k.pause = min(maxPause, sweepSpan/time.Duration(k.steps))
	}
	switch {
	case behind > 0:
		return 0
	case k.sweeping:
		return k.pause
	}
	return tick
}

// untilNext returns how long to wait at t, when there is nothing to do. Minutes
// of a wall clock begin when they do, and not a tick later.
func (k *timekeeper) untilNext(t time.Duration) time.Duration {
	if k.wall == nil {
		return tick
	}
	left := time.Duration(k.clock.minute.Load()+1)*time.Minute - (t - k.base)
	return max(time.Millisecond, min(tick, left))
}

// behind returns by how many minutes the store lags behind t. What exceeds
// [maxCatchUp] is forgotten.
func (k *timekeeper) behind(t time.Duration) int {
	n := int((t-k.base)/time.Minute) - int(k.clock.minute.Load())
	if lost := n - maxCatchUp; lost > 0 {
		k.base += time.Duration(lost) * time.Minute
		return maxCatchUp
	}
	return max(n, 0)
}
