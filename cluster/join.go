package cluster

import (
	"sync"
	"time"

	"tracker/proto"
	"tracker/store"
)

// A question for everything is asked in parts of the other's store, each chunk by
// chunk: an answer has the place to go on from, so the other keeps nothing, and
// what is lost is asked again.
//
//	ask    0  number of parts   1
//	       1  this part         1
//	       2  zero              2
//	       4  cursor           16   flag 1: none yet, from the beginning of the part
//
//	chunk  0  cursor           16   flag 1: there is no more in this part
//	      16  content
const (
	askLen   = 4 + store.CursorLen
	flagFrom = 1
	flagLast = 1

	joinParts = 4 // chunks under way
	maxParts  = 64
	askTries  = 5
)

// A chunk is an answer that came.
type chunk struct {
	cursor [store.CursorLen]byte
	last   bool
}

// A question waits for its chunk.
type question struct {
	from   uint64 // who was asked
	answer chan chunk
}

// joinFrom takes over everything that a member has, and reports whether it
// told all of it.
func (n *Node) joinFrom(id uint64) bool {
	var wait sync.WaitGroup
	var mu sync.Mutex
	ok := true
	for part := range joinParts {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if !n.joinPart(id, byte(part)) {
				mu.Lock()
				ok = false
				mu.Unlock()
			}
		}()
	}
	wait.Wait()
	return ok
}

// joinPart takes over a part.
func (n *Node) joinPart(id uint64, part byte) bool {
	var cursor [store.CursorLen]byte
	for flags := byte(flagFrom); ; flags = 0 {
		c, ok := n.ask(id, part, flags, cursor)
		if !ok || c.last {
			return ok
		}
		cursor = c.cursor
	}
}

// ask asks for a chunk until it is there.
func (n *Node) ask(id uint64, part, flags byte, cursor [store.CursorLen]byte) (c chunk, ok bool) {
	q := question{from: id, answer: make(chan chunk, 1)}
	n.mu.Lock()
	n.asked++
	number := n.asked
	n.questions[number] = q
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.questions, number)
		n.mu.Unlock()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for range askTries {
		h := header{kind: kindAsk, flags: flags, sender: n.id, number: number, clock: n.clock.now()}
		b := appendHeader(nil, &h)
		b = append(b, joinParts, part, 0, 0)
		b = append(b, cursor[:]...)
		n.send(n.to("ask", id), seal(b))
		timer.Reset(n.pace.patience)
		select {
		case c = <-q.answer:
			return c, true
		case <-n.stop:
			return c, false
		case <-timer.C:
		}
	}
	return c, false
}

// heardChunk takes in a chunk that was asked for.
func (n *Node) heardChunk(in *inbox, h *header, body []byte) bool {
	if len(body) < store.CursorLen {
		return false
	}
	n.mu.Lock()
	q, ok := n.questions[h.number]
	n.mu.Unlock()
	if !ok || q.from != h.sender {
		return true // asked twice, and answered before
	}
	in.late, in.repair, in.applied = true, true, 0
	c := chunk{cursor: [store.CursorLen]byte(body), last: h.flags&flagLast != 0}
	if !parseContent(body[store.CursorLen:], n.clock.seconds(), in.torrent, in.add) {
		return false
	}
	in.apply()
	n.takenOver.Add(in.applied)
	select {
	case q.answer <- c:
	default:
	}
	return true
}

// torrent takes in how often a torrent was downloaded.
func (in *inbox) torrent(ih *proto.Infohash, downloaded uint32, idle store.Minute) {
	n := in.node
	if n.cfg.Allowed != nil && !n.cfg.Allowed(ih) {
		return
	}
	n.cfg.Store.Load(ih, downloaded, idle, n.clock.minute())
}

// A request is a question of another.
type request struct {
	header
	body []byte
}

// heardRequest puts a question where it waits, unless too many do.
func (n *Node) heardRequest(h *header, body []byte) bool {
	if !(h.kind == kindAsk && len(body) == askLen || h.kind == kindWant && possibleWant(body)) {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	m := n.meet(h.sender)
	if m == nil {
		return false
	}
	if m.asked >= 2*joinParts {
		return true // it will ask again
	}
	select {
	case n.requests <- request{*h, append([]byte(nil), body...)}:
		m.asked++
	default:
	}
	return true
}

// maxRequests is how many questions wait.
const maxRequests = 64

// answerRate is how many bytes a second are told to who asks.
const answerRate = 32 << 20

// answer answers questions until the node stops.
func (n *Node) answer() {
	a := answerer{node: n, content: content{node: n}}
	for {
		select {
		case <-n.stop:
			return
		case r := <-n.requests:
			a.answer(r)
		}
	}
}

// An answerer has the memory of answers.
type answerer struct {
	node    *Node
	content content
	visitor store.Visitor
	debt    time.Duration
}

// answer answers one question.
func (a *answerer) answer(r request) {
	n := a.node
	n.mu.Lock()
	if m := n.members[r.sender]; m != nil {
		m.asked--
	}
	n.mu.Unlock()
	if r.kind == kindAsk {
		a.chunk(&r)
	} else {
		a.want(&r)
	}
}

// send sends the content, and waits as long as its length is worth.
func (a *answerer) send(to uint64) int {
	n := a.node
	msg := a.content.end()
	n.send(n.to("to", to), msg)
	if a.debt += time.Duration(len(msg)) * time.Second / answerRate; a.debt > 2*time.Millisecond {
		select {
		case <-time.After(a.debt):
		case <-n.stop:
		}
		a.debt = 0
	}
	return len(msg)
}

// chunk answers a question for everything.
func (a *answerer) chunk(r *request) {
	n := a.node
	parts, part := int(r.body[0]), int(r.body[1])
	if parts == 0 || parts > maxParts || part >= parts {
		n.reject("a question for part %d of %d", part, parts)
		return
	}
	begin := n.cfg.Store.SplitCursors(parts)
	c, last := store.MakeCursor(r.body[4:]), part >= len(begin)-1
	if r.flags&flagFrom != 0 && part < len(begin) {
		c = begin[part]
	}
	over := part >= len(begin)
	h := header{kind: kindChunk, sender: n.id, number: r.number, clock: n.clock.now()}
	msg := appendHeader(a.content.msg[:0], &h)
	msg = append(msg, make([]byte, store.CursorLen)...)
	a.content.begin(msg)
	for !over && !a.content.full() {
		over = !n.cfg.Store.Visit(&c, n.clock.minute(), &a.visitor, nil, a.content.add) || !last && c.Beyond(begin[part+1])
	}
	if over {
		a.content.msg[6] |= flagLast
	}
	c.Append(a.content.msg[headerLen:headerLen])
	a.send(r.sender)
}
