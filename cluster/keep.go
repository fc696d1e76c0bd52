package cluster

import (
	"time"
)

// keep looks after the members, the clock and the secret, and joins, until the
// node stops.
func (n *Node) keep() {
	ticker := time.NewTicker(n.pace.hello / 4)
	defer ticker.Stop()
	last := time.Time{}
	for {
		select {
		case <-n.stop:
			n.sayBye()
			return
		case <-ticker.C:
		}
		n.clock.read()
		if n.clock.steppedBack() {
			n.forgetFuture()
		}
		if !n.connected.Load() {
			continue
		}
		n.mu.Lock()
		greet := n.greet
		n.greet = false
		if n.complete.Load() && n.first() == nil {
			if n.keys.begin(n); n.keys.rotate(n) {
				n.log(Info, "secret", "connection ids are made with a new secret")
			}
		}
		n.mu.Unlock()
		if greet || time.Since(last) >= n.pace.hello {
			n.sayHello()
			last = time.Now()
		}
		n.dropGone()
		n.joinIfNeeded()
	}
}

// forgetFuture has what was noted before the clock was put back be of the present: a
// stop of the future would keep its peer out until then.
func (n *Node) forgetFuture() {
	now := n.clock.seconds()
	n.stops.forgetFuture(now)
	n.bucketMu.Lock()
	for i, t := range n.digests.changed {
		n.digests.changed[i] = min(t, now)
	}
	n.bucketMu.Unlock()
}

// joinIfNeeded begins to take over what somebody else has, if n is not complete
// or was away from others. Only the keeper calls it.
func (n *Node) joinIfNeeded() {
	if n.joining.Load() {
		return
	}
	n.mu.Lock()
	from, lowest := n.donor()
	back := n.members[n.returned]
	n.returned = 0
	since := time.Since(n.upSince)
	n.mu.Unlock()
	switch {
	case n.complete.Load() && back == nil:
	case n.complete.Load():
		n.takeOver(back.id, back.name)
	case from != nil:
		n.takeOver(from.id, from.name)
	case lowest && since > n.pace.alone, since > 4*n.pace.alone:
		n.becomeComplete()
		n.log(Info, "joined", "nobody has anything to take over")
	}
}

// donor returns who has been complete for longest, or nil if nobody is, and
// whether n has the lowest id of all. n.mu is locked.
func (n *Node) donor() (from *member, lowest bool) {
	lowest = true
	for _, m := range n.members {
		if m.gone || m.name == "" {
			continue
		}
		lowest = lowest && n.id < m.id
		if m.complete && !m.failed && (from == nil || m.completeFor > from.completeFor) {
			from = m
		}
	}
	return from, lowest
}

// takeOver takes over what a member has, in a goroutine of its own.
func (n *Node) takeOver(id uint64, name string) {
	n.joining.Store(true)
	n.running.Add(1)
	go func() {
		defer n.running.Done()
		defer n.joining.Store(false)
		begin := time.Now()
		n.takenOver.Store(0)
		ok := n.joinFrom(id)
		took := time.Since(begin).Round(time.Millisecond)
		n.count.joined.Add(n.takenOver.Load())
		switch first := !n.complete.Load(); {
		case !ok:
			n.log(Warning, "joined", "%s did not tell all it has: %d peers in %v", name, n.takenOver.Load(), took)
			n.mu.Lock()
			if m := n.members[id]; m != nil {
				m.failed = true // until it says hello again
			}
			n.mu.Unlock()
		case first:
			n.becomeComplete()
			n.log(Info, "joined", "%d peers of %s in %v", n.takenOver.Load(), name, took)
		default:
			n.log(Info, "joined", "%d peers of %s in %v, after it was away", n.takenOver.Load(), name, took)
		}
	}()
}

// becomeComplete notes that n has what others have.
func (n *Node) becomeComplete() {
	n.mu.Lock()
	n.completed = time.Now()
	n.complete.Store(true)
	if n.first() == nil {
		n.keys.begin(n)
	}
	n.greet = true
	n.mu.Unlock()
}
