package loop

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tracker/stats"
)

// An order is an answer that takes too long for an event loop: whatever has to
// look at all torrents, and what is long.
type order struct {
	page    stats.Request
	numbers stats.NumbersRequest // instead of the page, unless it is zero
	profile profile              // instead of either, if it has a name
	scrape  bool                 // it is a full scrape
	gzip    bool                 // the client can decode it
	family  stats.Family
	who     netip.Prefix // whom it is counted against; the zero Prefix: nobody
	fd      int          // of the connection, ours alone
}

// A desk is where orders are answered, by a few goroutines that live as long as
// the server.
//
//	event loop    request ─► order ─► dup ─► queue ─► the event loop closes its descriptor
//	                                           │
//	clerk                                      └─► write, write, …, close
//
// What is short, and asked for by a page that somebody looks at, does not stand
// behind what is long: it has a queue and a clerk of its own, who is less
// patient.
//
// A connection is taken away from its event loop for good: another descriptor
// for it is made, and the loop closes its own, which ends nothing as long as
// ours is open. A clerk may then block on it. It stays counted in the quota
// until it is closed.
//
// What a client can cost is bounded: a clerk holds a batch of the store and a
// chunk of the answer, and gives up at the first error, when nothing is taken
// within stall, or when the whole has taken longLimit. More orders than
// queueLen wait for nobody, more than maxAsked of one client, and more than a
// quarter of the connections that there may be: they are turned down.
type desk struct {
	ledger  *ledger
	quota   *quota
	wall    func() time.Time
	stall   time.Duration
	orders  chan order
	short   chan order // those of them that are isShort
	now     func() time.Duration
	scrapes scrapers

	walk    sync.Mutex              // for the largest torrents
	largest atomic.Pointer[largest] // nil until somebody has asked

	mu     sync.Mutex
	open   map[*os.File]bool    // being written to
	asked  map[netip.Prefix]int // orders of each client that are not done
	taken  int64                // orders that are not done
	closed bool
	studio studio // orders for profiles are there, and not in the two before
}

// Limits of the desk. opentracker too gives a long answer 15 minutes in all.
const (
	clerks     = 4 // unless the configuration wants fewer
	queueLen   = 16
	maxAsked   = 2 // at once for one client, who might read very slowly
	maxNumbers = 5 // the same, if it wants numbers; a page that is looked at asks for three at once
	stallLimit = 30 * time.Second
	longLimit  = 15 * time.Minute
	shortLimit = 10 * time.Second
	// maxUnasked is how many bytes that the client sent behind its request are
	// thrown away at the end; closing with input unread would be a reset.
	maxUnasked = 64 << 10
)

func newDesk(l *ledger, q *quota, cfg *Config) *desk {
	return &desk{
		ledger: l,
		quota:  q,
		wall:   cfg.Wall,
		stall:  cfg.stall,
		orders: make(chan order, queueLen),
		short:  make(chan order, queueLen),
		now:    cfg.Now,
		open:   map[*os.File]bool{},
		asked:  map[netip.Prefix]int{},
		studio: studio{orders: make(chan order, 1)},
	}
}

// isShort reports whether o is made without a look at every torrent, and not
// long.
func (o *order) isShort() bool { return o.numbers.History != stats.SpanNone }

// most returns how many orders a client may have at once that asks for o.
func (o *order) most() int {
	if o.numbers != (stats.NumbersRequest{}) {
		return maxNumbers
	}
	return maxAsked
}

// queue returns where o waits.
func (d *desk) queue(o *order) chan order {
	if o.isShort() {
		return d.short
	}
	return d.orders
}

// walksFor reports whether somebody would have to look at every torrent for o.
func (d *desk) walksFor(o *order) bool {
	return !o.isShort() && !(o.numbers.Top > 0 && d.largest.Load().fresh(d.now()))
}

// busy reports whether there is no room for o.
func (d *desk) busy(o *order) bool { q := d.queue(o); return len(q) == cap(q) }

// take takes o and its descriptor, if there is room for it and its client does
// not have as many already as it may. The desk's connections cannot be closed to make
// room for others, so it leaves most of them alone.
func (d *desk) take(o order) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.profile.name != "" {
		return d.studio.take(o)
	}
	if o.who.IsValid() && d.asked[o.who] >= o.most() || d.taken >= max(1, d.quota.limit/4) {
		return false
	}
	select {
	case d.queue(&o) <- o:
		d.asked[o.who]++
		d.taken++
		return true
	default:
		return false
	}
}

// busyWith returns how many orders are not done.
func (d *desk) busyWith() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, asked := range d.asked {
		n += asked
	}
	return n
}

// done notes that o is off the desk.
func (d *desk) done(o *order) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.profile.name != "" {
		d.studio.done()
		return
	}
	d.taken--
	if d.asked[o.who]--; d.asked[o.who] == 0 {
		delete(d.asked, o.who)
	}
}

// clerk answers those of queue until closed.
func (d *desk) clerk(queue <-chan order, closed <-chan struct{}) {
	for {
		select {
		case <-closed:
			return
		case o := <-queue:
			d.answer(&o)
		}
	}
}

// close ends the answers being written. It is called once all shall end.
func (d *desk) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for f := range d.open {
		_ = f.SetWriteDeadline(time.Unix(1, 0))
	}
	d.studio.hurry()
}

// ends reports whether nothing more is to be written to f. d.mu is held.
func (d *desk) ends(f *os.File) bool { return d.closed || d.studio.closed && d.studio.posing == f }

// cut ends the answers being written and those waited for, and returns when
// there are none. No more may come meanwhile.
func (d *desk) cut() {
	d.close()
	for d.busyWith() > 0 || d.isProfiling() {
		time.Sleep(time.Millisecond)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed, d.studio.closed = false, false
}

// clear closes the connections nobody got to. It is called when nobody takes or
// answers orders any more.
func (d *desk) clear() {
	for {
		select {
		case o := <-d.orders:
			d.drop(&o)
		case o := <-d.short:
			d.drop(&o)
		case o := <-d.studio.orders:
			d.drop(&o)
		default:
			return
		}
	}
}

// drop closes the connection of o unanswered.
func (d *desk) drop(o *order) {
	unix.Close(o.fd)
	d.quota.used.Add(-1)
	d.done(o)
}

// answer answers o and closes its connection.
func (d *desk) answer(o *order) {
	limit := longLimit
	if o.isShort() {
		limit = shortLimit
	}
	w := &patient{desk: d, file: os.NewFile(uintptr(o.fd), "connection"), end: time.Now().Add(limit)}
	defer d.done(o)
	defer d.quota.used.Add(-1)
	defer w.file.Close()
	d.mu.Lock()
	d.open[w.file] = true
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.open, w.file)
		d.mu.Unlock()
	}()
	if err := d.write(w, o); errors.Is(err, os.ErrDeadlineExceeded) {
		d.ledger.own.Inc(stats.TCPOverrun, o.family)
		w.abort()
	}
	w.discard()
}
