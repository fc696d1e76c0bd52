package cluster

import (
	"tracker/proto"
	"tracker/store"
)

// An inbox is where what came from others is made ready for the store. It
// belongs to one goroutine.
type inbox struct {
	node     *Node
	changes  []store.Change
	hashes   []uint64
	whens    []uint32
	late     bool   // they have no order, or others of the sender were here before
	repair   bool   // they come by reconciling or joining
	applied  uint64 // peers
	received uint64 // records since the last apply
}

// inboxLen is how many records are handed to the store at once.
const inboxLen = 512

func newInbox(n *Node) *inbox {
	return &inbox{
		node:    n,
		changes: make([]store.Change, 0, inboxLen),
		hashes:  make([]uint64, 0, inboxLen),
		whens:   make([]uint32, 0, inboxLen),
	}
}

// add adds a record, and applies what there is if that is enough.
func (in *inbox) add(ih *proto.Infohash, compact []byte, m mark, when uint32) {
	n := in.node
	in.received++
	if n.cfg.Allowed != nil && !n.cfg.Allowed(ih) || n.cfg.Local != nil && n.cfg.Local(compact) {
		return
	}
	in.changes = append(in.changes, store.Change{
		Infohash:  *ih,
		Peer:      proto.CompactPeer(compact),
		Seeder:    m&markSeeder != 0,
		Stopped:   m&markStopped != 0,
		Completed: m&markCompleted != 0 && n.complete.Load(), // who joins is told the count
		Late:      in.late,
		Minute:    n.clock.local(when),
	})
	in.hashes = append(in.hashes, peerHash(ih, compact))
	in.whens = append(in.whens, when)
	if len(in.changes) == cap(in.changes) {
		in.apply()
	}
}

// apply hands what there is to the store, and looks what became of it.
func (in *inbox) apply() {
	n := in.node
	in.sift()
	n.cfg.Store.Apply(in.changes, n.clock.minute())
	var applied, stale, conflicts, refused uint64
	now, salt := n.clock.seconds(), n.bucketSalt()
	n.bucketMu.Lock()
	for i := range in.changes {
		c := &in.changes[i]
		switch c.Done {
		case store.Added, store.Turned, store.Removed, store.Renewed:
			applied++
		case store.Stale:
			stale++
		case store.Conflicted:
			conflicts++
		case store.NotStored:
			refused++
		}
		if c.Done.Changed() || c.Completed {
			n.digests.changed[salt.bucketOf(&c.Infohash)] = now
			if in.repair {
				n.count.repaired.Add(1)
			}
		}
	}
	n.bucketMu.Unlock()
	in.applied += applied
	n.count.recordsReceived.Add(in.received)
	in.received = 0
	n.count.recordsApplied.Add(applied)
	n.count.stale.Add(stale)
	n.count.conflicts.Add(conflicts)
	n.count.refused.Add(refused)
	in.changes, in.hashes, in.whens = in.changes[:0], in.hashes[:0], in.whens[:0]
}

// sift leaves out what is older than a stop, or a stop older than a return, and
// notes the others.
func (in *inbox) sift() {
	n, to := in.node, 0
	n.stops.Lock()
	defer n.stops.Unlock()
	n.stops.touch(in.hashes)
	for i := range in.changes {
		c, hash, when := &in.changes[i], in.hashes[i], in.whens[i]
		ok := true
		if c.Stopped {
			ok = n.stops.stopped(hash, when)
		} else if stopped := n.stops.heard(hash, in.first(when)); stopped != 0 {
			if ok = c.Completed; ok {
				c.Gone = true // its download counts all the same
			}
			if in.repair {
				n.tellAgain(&c.Infohash, &c.Peer, stopped)
			}
		}
		if !ok {
			n.count.stale.Add(1)
			continue
		}
		if to != i {
			in.changes[to] = *c
		}
		to++
	}
	in.changes = in.changes[:to]
}

// first returns when to take a peer for heard of. Who reconciles knows the minute
// as a rule, and tells its first second: a stop in it counts for newer.
func (in *inbox) first(when uint32) uint32 {
	if in.repair && when%60 == 0 {
		return when - 1
	}
	return when
}
