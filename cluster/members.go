package cluster

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"tracker/stats"
	"tracker/store"
)

// maxMembers is how many others are known at once, those that are gone included.
const maxMembers = 64

// A member is another node that was heard of. The node's mutex guards it.
type member struct {
	id          uint64
	name        string // "" until it said hello
	window      window
	seen        time.Time
	lag         time.Duration
	received    uint64
	differing   int
	asked       int // questions of it that wait
	complete    bool
	completeFor time.Duration
	gone        bool
	failed      bool  // to tell all it has, since its last hello
	drifts      int   // hellos in a row that told another time
	drift       int64 // which, at the least delay
	driftedAt   time.Time
	served      uint32       // round in which it asked for buckets last
	looks       int          // times it did in that round
	room        int64        // bytes it may still be told in that round
	place       store.Cursor // from where on it is told then
}

// Hello is said every so often, and to who is new:
//
//	 0  number of the last batch   8
//	 8  complete for, in seconds   4   flag 1 says that it is
//	12  peers expire after         2   minutes
//	14  zero                       2
//	16  generation of the secret   8   0: it is nobody's but mine
//	24  id of who made it          8
//	32  secret                    16
//	48  its clock                  8   milliseconds
//	56  its age                    4   seconds
//	60  length of the name         1
//	61  name, printable ASCII
const helloLen = 61

const flagComplete = 1

// sayHello tells the others that n is there.
func (n *Node) sayHello() {
	n.mu.Lock()
	h := header{kind: kindHello, sender: n.id, clock: n.clock.now()}
	var completeFor uint32
	if n.complete.Load() {
		h.flags, completeFor = flagComplete, uint32(time.Since(n.completed)/time.Second)
	}
	b := appendHeader(nil, &h)
	b = binary.LittleEndian.AppendUint64(b, n.sent.Load())
	b = binary.LittleEndian.AppendUint32(b, completeFor)
	b = binary.LittleEndian.AppendUint16(b, uint16(n.cfg.Store.Expire()))
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = n.keys.append(b)
	b = append(b, byte(len(n.cfg.Name)))
	b = append(b, n.cfg.Name...)
	n.mu.Unlock()
	n.send(n.subject("hello"), seal(b))
}

// sayBye tells the others that n goes.
func (n *Node) sayBye() {
	h := header{kind: kindBye, sender: n.id, clock: n.clock.now()}
	n.send(n.subject("hello"), seal(appendHeader(nil, &h)))
}

// printable reports whether a name can be shown to anybody.
func printable(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '<' || r == '\\' })
}

// meet returns the member with that id, which may be new, or nil if there are too
// many. n.mu is locked.
func (n *Node) meet(id uint64) *member {
	if m := n.members[id]; m != nil {
		return m
	}
	if len(n.members) >= maxMembers {
		var oldest *member
		for _, m := range n.members {
			if m.gone && (oldest == nil || m.seen.Before(oldest.seen)) {
				oldest = m
			}
		}
		if oldest == nil {
			return nil
		}
		delete(n.members, oldest.id)
	}
	m := &member{id: id, seen: time.Now()}
	n.members[id] = m
	n.greet = true
	return m
}

// heardHello notes who is there.
func (n *Node) heardHello(h *header, body []byte) bool {
	if h.kind == kindBye && len(body) == 0 {
		n.leave(h.sender)
		return true
	}
	if h.kind != kindHello || len(body) < helloLen || len(body) != helloLen+int(body[60]) {
		return false
	}
	name := string(body[helloLen:])
	expire := binary.LittleEndian.Uint16(body[12:])
	if !possibleClock(h.clock) || name == "" || len(name) > maxName || !printable(name) || binary.LittleEndian.Uint16(body[14:]) != 0 || expire == 0 {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.meet(h.sender)
	if m == nil {
		return false
	}
	if m.name == "" || m.gone {
		n.log(Info, "member", "%s is there", name)
		if expire != uint16(n.cfg.Store.Expire()) {
			n.log(Warning, "member", "%s forgets peers after %d minutes and we after %d: they cannot have the same", name, expire, n.cfg.Store.Expire())
		}
	}
	if m.gone {
		m.gone, n.returned = false, m.id
	}
	m.failed = false
	m.name, m.seen, m.complete = name, time.Now(), h.flags&flagComplete != 0
	m.completeFor = time.Duration(binary.LittleEndian.Uint32(body[8:])) * time.Second
	n.follow(m, h.clock)
	if m.complete {
		n.keys.hear(n, m, body[16:60])
	}
	return true
}

// leave notes that a member said goodbye.
func (n *Node) leave(id uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if m := n.members[id]; m != nil && !m.gone {
		if m.name != "" {
			n.log(Info, "member", "%s has left", m.name)
		}
		m.gone = true // its numbering is kept: batches of it may still come
	}
}

// dropGone notes who was not heard of for too long.
func (n *Node) dropGone() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.members {
		if !m.gone && time.Since(m.seen) > n.pace.gone {
			m.gone = true
			if m.name != "" {
				n.log(Warning, "member", "%s is not heard of any more", m.name)
			}
		}
	}
}

// driftHellos is how many hellos in a row have to tell another time than ours
// before it is believed.
const driftHellos = 4

// follow moves the clock to that of the first of all members, if that is another.
// Of several hellos the one counts that was under way for the shortest time, and
// those that come all at once, as after a pause of the network, count as one. n.mu
// is locked.
func (n *Node) follow(m *member, clock int64) {
	off := clock - n.clock.now()
	if m != n.first() || off <= maxDrift && off >= -maxDrift {
		m.drifts = 0
		return
	}
	if m.drifts == 0 || off > m.drift {
		m.drift = off
	}
	if m.drifts == 0 || time.Since(m.driftedAt) >= n.pace.hello/2 {
		m.drifts, m.driftedAt = m.drifts+1, time.Now()
	}
	if m.drifts < driftHellos && n.complete.Load() {
		return
	}
	n.log(Warning, "clock", "the clock of %s is %v from ours: taken over for what is shared", m.name, time.Duration(m.drift)*time.Millisecond)
	n.clock.adjust(m.drift)
	m.drifts = 0
}

// first returns the complete member with the lowest id, or nil if that is n or
// nobody. n.mu is locked.
func (n *Node) first() (first *member) {
	for _, m := range n.members {
		if m.complete && !m.gone && (first == nil || m.id < first.id) {
			first = m
		}
	}
	if first != nil && n.complete.Load() && n.id < first.id {
		return nil
	}
	return first
}

// arrived notes a batch of a member, and how it fits into its numbering.
func (n *Node) arrived(h *header) (arrival, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.meet(h.sender)
	if m == nil {
		return 0, false
	}
	m.seen = time.Now()
	m.lag = max(0, time.Duration(n.clock.now()-h.clock)*time.Millisecond)
	a := m.window.arrive(h.number)
	if a != repeated {
		m.received++
	}
	return a, true
}

// memberStatus returns what is told of the members.
func (n *Node) memberStatus(s *stats.Cluster) {
	for _, m := range n.members {
		s.Lost += m.window.lost
		if m.gone || m.name == "" {
			continue
		}
		s.Members = append(s.Members, stats.Member{
			Name: m.name, Lag: m.lag, Seen: time.Since(m.seen), Received: m.received, Lost: m.window.lost, Differing: m.differing,
		})
	}
	slices.SortFunc(s.Members, func(a, b stats.Member) int { return strings.Compare(a.Name, b.Name) })
}
