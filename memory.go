package main

import (
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tracker/config"
	"tracker/store"
)

// A ceiling keeps the whole process below limit.memory.
//
//	0                                                             limit
//	├── program, Go heap, stacks ──┬── allowance ──┬── the store ───┤
//	        the rest, as measured      may grow         its budget
//
// Nearly all memory is the store's, which knows exactly what it has and never
// takes more than it may, whether another process can go on with it or not. Of
// the rest nobody can say beforehand how large it
// gets: connections, lists, the collector's garbage, pages of the program that
// are read for the first time. So the resident size of the process is measured
// every second, and what is not the store's, and an allowance for what may come
// until the next look, is taken off what the store may have. What it has by then
// is not taken back: peers expire, and until then no new ones come in.
//
// Go's own limit follows, so that it would rather collect more often than go
// beyond the ceiling, and gives back what it has collected.
//
// Who takes another tracker's place has all that the other one's store held at
// once, and counts it at once, although the system counts a page only when it is
// first looked at. If it is more than this ceiling allows, nobody new is stored
// until there is less. For the moment in which there are both, each is below its
// own ceiling; what they share is there once, and the rest of both.
type ceiling struct {
	limit int64 // bytes; 0 means none
	from  string
	store *store.Store
	meter *meter
	first int64 // what was not the store's in the beginning
	rest  int64 // the same at its highest, which fades
	goes  int64 // Go's limit; 0 while it has none
	looks int   // one a second
	swept int   // at which everything was last collected for want of memory

	resident atomic.Int64 // of the whole, as last measured
	asked    sync.Mutex   // of the meter, while there is no limit

	ending, ended chan struct{} // of keeping it
}

// Shares of what there is that the default limit takes: a cgroup is there for
// us, except for what the kernel keeps for its sockets; a machine has others to
// feed, a small one above all the kernel.
const (
	machineShare = 2 // a half
	cgroupShare  = 4 // all but a quarter
)

// newCeiling returns the ceiling that the configuration asks for. It opens what
// is out of reach later.
func newCeiling(memory int64, s *store.Store) *ceiling {
	c := &ceiling{limit: memory, from: "limit.memory", store: s, meter: openMeter()}
	if memory == config.MemoryAuto {
		c.limit, c.from = defaultCeiling(machineMemory(), cgroupMemory(), addressSpace)
	}
	return c
}

// memory returns how many bytes the process has, as last measured or, if nobody
// else measures, now, and its limit, 0 for none. Any goroutine may call it.
func (c *ceiling) memory() (resident, limit int64) {
	if c.limit > 0 {
		return c.resident.Load(), c.limit
	}
	c.asked.Lock()
	defer c.asked.Unlock()
	return c.meter.read(c.store.Bytes(), c.store.Memory() >= 0).resident, 0
}

// addressSpace is how many bytes a process can map in all. With 32 bits that is
// 2 GB on MIPS and no more than twice as much on any other CPU: a machine can
// have more memory than a program can use.
const addressSpace = math.MaxInt64 >> (32 * (1 - ^uint(0)>>63))

// addressShare is the share of it that the default limit takes: much else is
// mapped that is not memory, or not yet, above all by Go.
const addressShare = 2

// defaultCeiling returns a limit and where it comes from, for a machine and a
// cgroup with so many bytes, 0 being unknown, or none, and so many addresses.
func defaultCeiling(machine, cgroup, addresses int64) (limit int64, from string) {
	limit, from = machine/machineShare, "half of the machine's "+size(machine)
	if share := cgroup - cgroup/cgroupShare; cgroup > 0 && (share < limit || machine == 0) {
		limit, from = share, "three quarters of the cgroup's "+size(cgroup)
	}
	if share := addresses / addressShare; share < limit {
		limit, from = share, "half of what 32 bits can address for sure"
	}
	return limit, from
}

// size returns a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n < 100<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n < 10<<30:
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
}

// begin tells the operator of the ceiling, and the store what it may have.
func (c *ceiling) begin() {
	if c.limit == 0 {
		logf(info, "memory", "memory: no limit")
		return
	}
	logf(info, "memory", "memory: at most %v (%v)", bytesAs("limit_bytes", c.limit), as("from", c.from))
	if room := c.look(); room < c.limit/8 {
		logf(warning, "memory", "memory: the program alone takes %v, which leaves %v for peers; raise limit.memory", bytesAs("program_bytes", c.rest), bytesAs("peers_bytes", max(room, 0)))
	}
}

// keep looks at the memory every second until end is called.
func (c *ceiling) keep() {
	if c.limit == 0 {
		return
	}
	c.ending, c.ended = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(c.ended)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-c.ending:
				return
			case <-ticker.C:
				c.look()
			}
		}
	}()
}

// end ends what keep began, if it did.
func (c *ceiling) end() {
	if c.ending != nil {
		close(c.ending)
		<-c.ended
	}
}

// Shares of the limit for what is not the store's.
const (
	// connShare is what connections may take if all of them are in the middle
	// of a long request.
	connShare = 16
	connBytes = 8 << 10 // bytes of such a connection, with the collector's share
	// listingShare is what long answers, lists that are read anew and snapshots
	// may take; listingMost, in bytes, is as much as they ever need.
	listingShare = 16
	listingMost  = 16 << 20
	clerkLen     = 16 << 20 // bytes of the limit for each long answer at once
	// moreShare, and moreLeast in bytes, are what may come within a second and
	// is nothing of the kind, above the most there was.
	moreShare = 64
	moreLeast = 1 << 20
)

// allowance returns how much of a limit what is not the store's may need, if it
// was first in the beginning and has been as much as rest since.
func allowance(limit, first, rest int64) int64 {
	more := moreLeast + limit/moreShare
	return more + max(rest, first+limit/connShare+min(limit/listingShare, listingMost))
}

// connections returns how many connections the ceiling has room for, if nobody
// says how many there may be; 0 means any number.
func (c *ceiling) connections() int { return int(c.limit / connShare / connBytes) }

// clerks returns how many long answers may be written at once; 0 means as many
// as usual.
func (c *ceiling) clerks() int {
	if c.limit == 0 {
		return 0
	}
	return int(max(1, min(c.limit/clerkLen, 4)))
}

// fadeShare: a peak of the rest is forgotten by so much every second, so in some
// minutes.
const fadeShare = 128

// look measures, and tells the store and Go what they may have. It returns what
// the store may have.
func (c *ceiling) look() int64 {
	c.looks++
	used := c.store.Bytes()
	m := c.meter.read(used, c.store.Memory() >= 0)
	c.resident.Store(m.resident)
	c.rest = max(m.rest, c.rest-c.rest/fadeShare)
	if c.first == 0 {
		c.first = c.rest
	}
	room := min(c.limit-allowance(c.limit, c.first, c.rest), used+m.mappable)
	c.store.SetMemory(max(room, 0))

	// Half of what is free is Go's, and no less than it collects at anyway.
	free := c.limit - m.rest - used
	goes := max(m.goTotal+free/2, m.goLive+m.goLive/2+moreLeast)
	if c.goes == 0 && goes/farOff < m.goTotal || c.goes > 0 && (goes < c.goes || goes > c.goes+c.goes/8) {
		c.goes = goes
		debug.SetMemoryLimit(goes)
	}
	garbage := m.goTotal - m.goLive - m.goLive/2
	scarce := free < moreLeast || room-used < c.limit/moreShare && garbage > moreLeast+c.limit/moreShare
	if scarce && c.looks-c.swept >= sweepEvery {
		c.swept = c.looks
		debug.FreeOSMemory()
	}
	return room
}

// farOff is how many times what Go has a limit for it must be to make no
// difference. Such a limit is not set: to set one has Go start a thread for each
// processor, which cost 0.4 MB on a machine that has two and nothing to do.
const farOff = 16

// sweepEvery is how often all garbage is collected and given back at the most,
// when memory is scarce and there is some to be had.
const sweepEvery = 10 // seconds
