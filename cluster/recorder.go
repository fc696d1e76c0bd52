package cluster

import (
	"sync"
	"sync/atomic"

	"tracker/proto"
	"tracker/store"
)

// recorderLen is how many records a reactor can have waiting: with batches each
// second, and one at once whenever half of it is taken, some 200,000 a second.
const recorderLen = 1 << 13

// A Recorder takes down what is new in a reactor's announces. It belongs to the
// reactor; its memory is fixed, and what does not fit is counted and not sent.
type Recorder struct {
	node    *Node
	mu      sync.Mutex // held for nanoseconds
	in, out []entry
	dropped atomic.Uint64
}

// An entry is a record to be sent.
type entry struct {
	infohash proto.Infohash
	peer     proto.Peer
	flags    mark
	minute   store.Minute
}

// recorderBytes is what a recorder takes.
const recorderBytes = 2 * recorderLen * 48

func newRecorder(n *Node) *Recorder {
	return &Recorder{node: n, in: make([]entry, 0, recorderLen), out: make([]entry, 0, recorderLen)}
}

// Announced is called by the reactor after each announce to the store, which
// answered a at now. It never waits for anybody but, for nanoseconds, who takes
// away what is there, and allocates nothing.
//
// Told are new peers, changes of state, stops of known peers, downloads, and
// renewals that cross a boundary. While the node is joining every stop is told:
// it may be of a peer that it has not heard of yet.
func (r *Recorder) Announced(q *store.Query, a *store.Answer, now store.Minute) {
	if local := r.node.cfg.Local; local != nil && local(q.Peer.Compact()) {
		return
	}
	seeder := q.Seeder
	if a.Refused != store.NotRefused {
		if !a.Known {
			return
		}
		seeder = a.WasSeeder() // it stayed what it was
	}
	var flags mark
	if seeder {
		flags = markSeeder
	}
	switch {
	case q.Event == proto.EventStopped:
		if !a.Known && r.node.complete.Load() {
			return
		}
		flags |= markStopped
	case a.Completed:
		flags |= markCompleted
	case a.Known && a.WasSeeder() == seeder && !r.node.renews(q, now, a.Age):
		return
	}
	if a.Known && a.WasSeeder() == seeder && flags&(markStopped|markCompleted) == 0 {
		flags |= renewal
	}
	r.mu.Lock()
	full := len(r.in) == cap(r.in)
	if !full {
		r.in = append(r.in, entry{q.Infohash, q.Peer, flags, now})
	}
	half := len(r.in) == cap(r.in)/2
	r.mu.Unlock()
	if full {
		r.dropped.Add(1)
	}
	if half {
		r.node.wake()
	}
}

// renewal marks an entry that changes nothing; it is not sent.
const renewal mark = 1

// take returns what is there. It is good until the next call.
func (r *Recorder) take() []entry {
	r.mu.Lock()
	r.in, r.out = r.out[:0], r.in
	r.mu.Unlock()
	return r.out
}

// renews reports whether a renewal at now of a peer last heard of age minutes ago
// is to be told.
func (n *Node) renews(q *store.Query, now, age store.Minute) bool {
	if age == 0 {
		return false
	}
	m := n.clock.shared(now)
	hash := peerHash(&q.Infohash, q.Peer.Compact())
	return m-boundary(hash, m, n.period) < uint32(age)
}
