package cluster

import (
	"sync/atomic"
	"time"

	"tracker/store"
)

// A clock is the wall clock that the members agree on, in milliseconds since
// 1970, and what the store's minutes are on it. Machines that keep their time
// agree without us; a member whose clock is off by more than maxDrift follows the
// one with the lowest id. A step of it expires nobody: stamps are minutes of the
// store, which only ever goes on, and only what they are told as changes.
type clock struct {
	shift atomic.Int64  // milliseconds that are added to this machine's clock
	delta atomic.Uint32 // minutes that are added to the store's
	known atomic.Bool   // delta was set

	seen   int64 // the time of the keeper's last look, in milliseconds
	seenAt time.Time

	minute func() store.Minute
}

// maxDrift is how far apart clocks may be, in milliseconds: what is said is
// delayed by that much anyway.
const maxDrift = 2000

// possibleClock reports whether a member's clock can be right. A machine that
// believes it is 1970 takes over another's clock before it is heard.
func possibleClock(ms int64) bool {
	const year = 365 * 24 * 3600 * 1000
	return ms > 50*year && ms < 130*year
}

// wall returns this machine's clock, in milliseconds.
func wall() int64 { return time.Now().UnixMilli() }

// now returns the time that the members agree on, in milliseconds.
func (c *clock) now() int64 { return wall() + c.shift.Load() }

// seconds is now in seconds, as records tell it.
func (c *clock) seconds() uint32 { return uint32(c.now() / 1000) }

// read looks how the store's minutes lie on the clock. They begin with those of
// this machine's clock or a little later, so that is looked at in the middle of
// one.
func (c *clock) read() {
	t := wall()
	if s := t / 1000 % 60; c.known.Load() && (s < 25 || s > 35) {
		return
	}
	shift := c.shift.Load()
	if shift < 0 {
		shift -= 30_000
	} else {
		shift += 30_000
	}
	c.delta.Store(uint32(t/60_000+shift/60_000) - uint32(c.minute()))
	c.known.Store(true)
}

// adjust moves the clock by some milliseconds.
func (c *clock) adjust(by int64) {
	c.shift.Add(by)
	c.known.Store(false)
	c.read()
}

// steppedBack reports whether the clock was put back since the last call. Only the
// keeper calls it.
func (c *clock) steppedBack() bool {
	now, at := c.now(), time.Now()
	back := !c.seenAt.IsZero() && now-c.seen < at.Sub(c.seenAt).Milliseconds()-maxDrift
	c.seen, c.seenAt = now, at
	return back
}

// shared returns the members' number of a minute of the store.
func (c *clock) shared(m store.Minute) uint32 { return uint32(m) + c.delta.Load() }

// local returns the store's number of the minute in which the second when is.
func (c *clock) local(when uint32) store.Minute { return store.Minute(when/60 - c.delta.Load()) }

// second returns a second of the store's minute m that is as near to now, in
// seconds, as can be: so that all have the same minute for what happened in m.
func (c *clock) second(now uint32, m store.Minute) uint32 {
	first := c.shared(m) * 60
	return min(max(now, first), first+59)
}
