package loop

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"tracker/store"
)

// A Heritage is what a server goes on with of an earlier process, beside its
// sockets and what its store holds.
type Heritage struct {
	IDs ConnIDs
	// Earlier are ids of other secrets, the youngest first.
	Earlier []EarlierIDs
	// Clock is that of the store, if the store is that process's.
	Clock *StoreClock
	// Conns are open connections. The server owns their descriptors.
	Conns []Conn
}

// A StoreClock is where a store is in time: the minute it was told of last, when
// minute 0 began by the clock of the machine, and whether the sweep of that
// minute is under way.
type StoreClock struct {
	Minute   store.Minute
	Base     time.Duration
	Sweeping bool
}

// A Conn is a TCP connection between two reads, with all that is known of it.
type Conn struct {
	FD       int
	Src      netip.AddrPort
	Proxied  bool          // a PROXY header has to come first
	Metrics  bool          // it came to an address for metrics
	Asked    bool          // there has been a request
	Draining bool          // answered for the last time; input is thrown away
	Parting  bool          // what was written is the last, and it closes when all of that is on its way
	Quiet    time.Duration // since it came or last got on
	Age      time.Duration // since it began to wait for what it waits for
	Drained  int32         // bytes thrown away so far
	Partial  []byte        // of a request or PROXY header
	Rest     []byte        // of what has been read, to be looked at when all of Unsent is on its way
	Unsent   []byte        // of answers
}

// Pause has the server read nothing any more, neither datagrams nor connections
// nor requests. When it returns, all that was read has been answered, but for
// long answers, which end where they are, and nobody uses the store. What
// arrives waits in the sockets, for Resume or for another process. Pause and
// Resume are called in turn, after Run and not after Stop.
func (s *Server) Pause() {
	s.desk.endProfiles()
	close(s.paused)
	for _, u := range s.udp {
		u.wake()
	}
	for _, t := range s.transports() {
		t.halt()
	}
	s.reading.Wait()
	s.desk.cut()
}

// Resume goes on after Pause. Nobody has lost time by it.
func (s *Server) Resume() {
	before := s.clock.millis.Load()
	s.keeper.read()
	for _, t := range s.quota.reactors {
		t.postpone(s.clock.millis.Load() - before)
	}
	if err := s.join(); err != nil {
		s.cfg.Logf(Warning, "cluster", "serving on alone: %v", err)
	}
	s.read()
	for _, t := range s.transports() {
		t.resume()
	}
}

// A pauser is a transport with a goroutine of its own.
type pauser interface {
	halt()
	resume()
}

// transports returns those.
func (s *Server) transports() (all []pauser) {
	for _, t := range s.tcp {
		all = append(all, t)
	}
	for _, u := range s.gnetUDP {
		all = append(all, u)
	}
	return all
}

// read starts what Pause ends: batches of datagrams and the time.
func (s *Server) read() {
	s.paused = make(chan struct{})
	for _, u := range s.udp {
		u.rest()
		s.reading.Go(u.run)
	}
	paused := s.paused
	s.reading.Go(func() { s.keepTime(paused) })
}

// Heritage returns what the server has for another process to go on with. It
// must be paused. The descriptors stay the server's, and what is in memory is
// valid until it resumes.
func (s *Server) Heritage() *Heritage {
	h := &Heritage{
		IDs:     s.ConnIDs(),
		Earlier: s.mint.past(s.cfg.Now()),
		Clock:   &StoreClock{Minute: s.Minute(), Base: s.keeper.base, Sweeping: s.keeper.sweeping},
	}
	for _, t := range s.tcp {
		h.Conns = append(h.Conns, t.connections()...)
	}
	return h
}

// inheritFrom goes on with h, before anything is served.
func (s *Server) inheritFrom(h *Heritage) {
	s.mint.use(h.IDs, h.Earlier, s.cfg.Now())
	if c := h.Clock; c != nil {
		s.clock.minute.Store(uint32(c.Minute))
		s.keeper.base, s.keeper.sweeping = c.Base, c.Sweeping
	}
	s.keeper.read()
	if len(s.tcp) == 0 || len(h.Conns) == 0 {
		return
	}
	// The oldest first, as they stand in the lists. If there are too many, those
	// go who would have gone there.
	slices.SortStableFunc(h.Conns, func(a, b Conn) int { return cmp.Compare(b.Quiet, a.Quiet) })
	closed := 0
	for i := range h.Conns {
		if c := &h.Conns[i]; !s.tcp[i%len(s.tcp)].adopt(c) {
			unix.Close(c.FD)
			closed++
		}
	}
	if closed > 0 {
		s.cfg.Logf(Warning, "replace", "%d connections closed: gnet cannot go on with those of another process", closed)
	}
}

// Busy returns how many long answers are being written or waited for, which a
// pause would cut off.
func (s *Server) Busy() int { return s.desk.busyWith() }

// A brake has a goroutine wait where it says, until it may go on.
type brake struct {
	on   chan struct{} // holds one while the brake is on
	held chan struct{}
	free chan struct{}
}

func newBrake() brake { return brake{make(chan struct{}, 1), make(chan struct{}), make(chan struct{})} }

// put puts the brake on; hold is about to be called. wait waits for that.
func (b *brake) put()  { b.on <- struct{}{} }
func (b *brake) wait() { <-b.held }

// isOn reports whether the brake is on.
func (b *brake) isOn() bool { return len(b.on) > 0 }

// hold waits while the brake is on, or until closed.
func (b *brake) hold(closed <-chan struct{}) {
	if !b.isOn() {
		return
	}
	select {
	case b.held <- struct{}{}:
	case <-closed:
		return
	}
	select {
	case <-b.free:
	case <-closed:
	}
}

// release lets the goroutine go on that waits in hold.
func (b *brake) release() { <-b.on; b.free <- struct{}{} }

// adopted makes c, which is to be served through l, a connection of t. It has to
// be placed.
func (t *tcpReactor) adopted(l link, c *Conn) *conn {
	k := t.enter(l, c.Src, c.Proxied, c.Metrics)
	k.asked, k.draining, k.parting, k.drained = c.Asked, c.Draining, c.Parting, c.Drained
	t.requests.keep(k, c.Partial)
	if len(c.Rest) > 0 {
		k.rest = c.Rest
	}
	return k
}

// handedOn returns c, whose descriptor is fd, for another process, without what
// has not left.
func (c *conn) handedOn(fd int, now int64) Conn {
	return Conn{
		FD: fd, Src: c.src, Proxied: c.proxied, Metrics: c.metrics, Asked: c.asked, Draining: c.draining, Parting: c.parting,
		Quiet: time.Duration(now-c.since) * time.Millisecond, Age: time.Duration(now-c.began) * time.Millisecond,
		Drained: c.drained, Partial: c.partial, Rest: c.rest,
	}
}

// placeAdopted places k, which was adopted, as if it had been here for as long
// as c has waited elsewhere. It reports whether k is to be kept.
func (t *tcpReactor) placeAdopted(k *conn, c *Conn) bool {
	now := t.clock.millis.Load()
	if !t.placeAt(k, now-c.Quiet.Milliseconds()) {
		return false
	}
	k.began = now - c.Age.Milliseconds()
	return true
}
