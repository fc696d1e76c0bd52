package perf

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// UDP sends requests over one socket to one tracker and takes its answers.
// Its exported fields may be changed between runs. It belongs to one
// goroutine.
type UDP struct {
	Limits
	Resend bool // send what is lost again until it is answered
	// Answer, if set, sees every answer to an announce or scrape: what
	// follows the transaction id, borrowed until it returns.
	Answer func(r *Request, body []byte)

	fd       int
	sources  []netip.Addr
	conns    []uint64 // connection id of each source
	in, out  *batch
	slots    []slot
	free     []uint32
	queue    []uint32 // slots to be sent
	lastScan int64    // ns
	lastGood int64    // ns, when the last answer came
	res      *Result
}

// slot is one outstanding request. Its index is the low half of the
// transaction id, its gen the high half.
type slot struct {
	req  Request
	due  int64 // ns, what latency counts from
	sent int64 // ns
	gen  uint16
	busy bool
}

// silence is how long a run goes on without a single answer.
const silence = 15 * time.Second

// OpenUDP returns a generator that sends to target, a loopback address, from
// sources, addresses of this machine of the same family. It makes their
// connections at once. It returns [ErrNotLoopback], [ErrSilent], or what the
// system said.
func OpenUDP(target netip.AddrPort, sources []netip.Addr) (*UDP, error) {
	if !target.Addr().IsLoopback() {
		return nil, fmt.Errorf("%w: %s", ErrNotLoopback, target)
	}
	u := &UDP{sources: sources, conns: make([]uint64, len(sources))}
	var err error
	if u.fd, err = openUDP(family(target.Addr()), netip.AddrPort{}, 20*time.Millisecond); err != nil {
		return nil, err
	}
	u.in = newBatch(maxDatagram, 0)
	u.out = newBatch(maxRequest, sourceSpace(target.Addr()))
	for i := range u.out.msgs {
		u.out.setName(i, target)
	}
	if err := u.Connect(); err != nil {
		u.Close()
		return nil, err
	}
	return u, nil
}

// Close releases the socket.
func (u *UDP) Close() { _ = unix.Close(u.fd) }

// Connect fetches a connection id for every source again.
func (u *UDP) Connect() error {
	c := UDP{
		fd: u.fd, sources: u.sources, conns: u.conns, in: u.in, out: u.out,
		Limits: Limits{Count: uint64(len(u.sources)), Window: 64, Timeout: 200 * time.Millisecond}, Resend: true,
	}
	var next uint32
	_, err := c.Run(func(r *Request) bool {
		*r = Request{Kind: Connect, Source: next}
		next++
		return true
	})
	return err
}

// Run implements [Generator]. It returns [ErrSilent], [ErrSource], or what the
// system said, and with each what was counted until then.
func (u *UDP) Run(next func(*Request) bool) (*Result, error) {
	u.reset()
	p := newPacer(&u.Limits, next)
	u.lastGood, u.lastScan = p.begin, p.begin
	for {
		now := nanotime()
		for len(u.free) > 0 && len(u.queue) < batchLen && u.take(&p, now) {
		}
		if err := u.flush(now); err != nil {
			return u.res, err
		}
		if !p.more && len(u.free) == len(u.slots) {
			break
		}
		if err := u.receive(u.wait(&p, now)); err != nil {
			return u.res, err
		}
	}
	u.res.Elapsed = time.Duration(nanotime() - p.begin)
	return u.res, nil
}

// reset prepares a run. Slots keep their gen, so that late answers to an
// earlier run are told apart.
func (u *UDP) reset() {
	u.Limits.init()
	if len(u.slots) != u.Window {
		u.slots = make([]slot, u.Window)
		for i := range u.slots {
			u.slots[i].gen = uint16(nanotime() >> 10)
		}
	}
	u.free, u.queue = u.free[:0], u.queue[:0]
	for i := range u.slots {
		u.slots[i].busy = false
		u.free = append(u.free, uint32(i))
	}
	u.res = new(Result)
}

// take fills a free slot with the next request that is due and queues it.
func (u *UDP) take(p *pacer, now int64) bool {
	i := u.free[len(u.free)-1]
	s := &u.slots[i]
	due, ok := p.take(now, &s.req)
	if !ok {
		return false
	}
	u.free = u.free[:len(u.free)-1]
	s.gen++
	s.busy, s.due = true, due
	u.queue = append(u.queue, i)
	return true
}

// flush sends up to a batch of what is queued.
func (u *UDP) flush(now int64) error {
	n := min(len(u.queue), batchLen)
	for i, slot := range u.queue[:n] {
		s := &u.slots[slot]
		if int(s.req.Source) >= len(u.sources) {
			return ErrSource
		}
		s.sent = now
		pkt := appendUDP(u.out.bufs[i][:0], &s.req, u.conns[s.req.Source], uint32(s.gen)<<16|slot)
		u.out.iovs[i].SetLen(len(pkt))
		u.out.setSource(i, u.sources[s.req.Source])
	}
	u.queue = u.queue[:copy(u.queue, u.queue[n:])]
	u.res.Sent += uint64(n)
	if err := u.out.send(u.fd, n); err != nil {
		return fmt.Errorf("sendmmsg: %w", err)
	}
	return nil
}

// wait returns the flags to receive with: not waiting while there is
// something to send. In open loop it sleeps until shortly before the next
// request is due or an answer is there; the last stretch is spun, since a
// thread is woken up to 50 µs late.
func (u *UDP) wait(p *pacer, now int64) int {
	const early = 150 * time.Microsecond
	if len(u.queue) > 0 {
		return unix.MSG_DONTWAIT
	}
	if !p.more || len(u.free) == 0 {
		return 0
	}
	if nap := min(p.untilDue(now)-early, 20*time.Millisecond); nap > 0 {
		ts := unix.NsecToTimespec(int64(nap))
		_, _ = unix.Ppoll([]unix.PollFd{{Fd: int32(u.fd), Events: unix.POLLIN}}, &ts, nil)
	}
	return unix.MSG_DONTWAIT
}

// receive takes a batch of answers and looks for lost requests.
func (u *UDP) receive(flags int) error {
	n, err := u.in.recv(u.fd, flags)
	if err != nil {
		return fmt.Errorf("recvmmsg: %w", err)
	}
	now := nanotime()
	for i := range n {
		u.answer(u.in.bufs[i][:u.in.msgs[i].n], now)
	}
	if n > 0 {
		u.lastGood = now
	}
	if now-u.lastScan < int64(u.Timeout)/8 {
		return nil
	}
	u.lastScan = now
	u.scan(now)
	if now-u.lastGood > int64(max(silence, 2*u.Timeout)) && len(u.free) < len(u.slots) {
		return ErrSilent
	}
	return nil
}

// answer takes one answer.
func (u *UDP) answer(pkt []byte, now int64) {
	if len(pkt) < 8 {
		u.res.Late++
		return
	}
	action, tid := be.Uint32(pkt), be.Uint32(pkt[4:])
	i := tid & 0xffff
	if int(i) >= len(u.slots) || !u.slots[i].busy || u.slots[i].gen != uint16(tid>>16) {
		u.res.Late++
		return
	}
	s := &u.slots[i]
	s.busy = false
	u.free = append(u.free, i)
	u.res.Bytes += uint64(len(pkt))
	if action != uint32(s.req.Kind) || len(pkt) < s.req.leastAnswer() {
		u.res.Refused++
		return
	}
	u.res.Answered++
	u.res.Latency.Add(time.Duration(now - s.due))
	if s.req.Kind == Connect {
		u.conns[s.req.Source] = be.Uint64(pkt[8:])
	} else if u.Answer != nil {
		u.Answer(&s.req, pkt[8:])
	}
}

// leastAnswer returns the shortest right answer to r in bytes.
func (r *Request) leastAnswer() int {
	switch r.Kind {
	case Connect:
		return 16
	case Scrape:
		return 8 + 12*int(r.Count)
	}
	return 20
}

// scan finds requests whose time is over. A resend keeps its transaction id:
// the answer to either will do.
func (u *UDP) scan(now int64) {
	for i := range u.slots {
		s := &u.slots[i]
		if !s.busy || now-s.sent < int64(u.Timeout) {
			continue
		}
		u.res.Lost++
		if u.Resend {
			s.sent = now
			u.queue = append(u.queue, uint32(i))
			continue
		}
		s.busy = false
		u.free = append(u.free, uint32(i))
	}
}
