package cluster

import (
	"time"

	"tracker/proto"
)

// A retold is a stop to be told again, because somebody seems not to know.
type retold struct {
	infohash proto.Infohash
	peer     proto.Peer
	when     uint32
}

// retoldBytes is what one takes, with room for others that slices are grown by.
const retoldBytes = 64

// A publisher makes batches of what the recorders have. It belongs to one
// goroutine.
type publisher struct {
	node  *Node
	batch batch
	msg   []byte

	hashes []uint64
}

// publish sends batches until the node stops: every so often, and at once when
// one is full.
func (n *Node) publish() {
	p := publisher{node: n}
	p.batch.begin(n.clock.seconds())
	ticker := time.NewTicker(n.cfg.Batch)
	defer ticker.Stop()
	for {
		select {
		case <-n.stop:
			p.collect()
			p.flush()
			return
		case <-n.wakeup:
			p.collect()
		case <-ticker.C:
			p.collect()
			p.flush()
		}
	}
}

// wake makes the publisher collect soon.
func (n *Node) wake() {
	select {
	case n.wakeup <- struct{}{}:
	default:
	}
}

// collect takes what the recorders have, and sends batches that are full.
func (p *publisher) collect() {
	n := p.node
	now := n.clock.seconds()
	n.mu.Lock()
	recorders, again := n.recorders, n.retold
	n.retold = nil
	n.mu.Unlock()
	for _, r := range recorders {
		entries := r.take()
		p.note(entries, now)
		n.changed(entries, now)
		for i := range entries {
			e := &entries[i]
			p.add(&e.infohash, e.peer.Compact(), e.flags, n.clock.second(now, e.minute))
		}
	}
	for i := range again {
		p.add(&again[i].infohash, again[i].peer.Compact(), markStopped, again[i].when)
	}
}

// note notes who stopped and who came back.
func (p *publisher) note(entries []entry, now uint32) {
	n := p.node
	p.hashes = p.hashes[:0]
	for i := range entries {
		p.hashes = append(p.hashes, peerHash(&entries[i].infohash, entries[i].peer.Compact()))
	}
	n.stops.Lock()
	defer n.stops.Unlock()
	n.stops.touch(p.hashes)
	for i, hash := range p.hashes {
		if when := n.clock.second(now, entries[i].minute); entries[i].flags&markStopped != 0 {
			n.stops.stopped(hash, when)
		} else {
			n.stops.heard(hash, when)
		}
	}
}

func (p *publisher) add(ih *proto.Infohash, compact []byte, flags mark, when uint32) {
	if p.batch.full() {
		p.flush()
	}
	p.batch.add(ih, compact, flags, when)
}

// flush sends the batch, if there is anything in it, and begins another. What
// cannot be sent is counted: the others will find out by comparing digests.
func (p *publisher) flush() {
	n, records := p.node, p.batch.records()
	if records > 0 {
		h := header{kind: kindBatch, sender: n.id, number: n.sent.Add(1), clock: n.clock.now()}
		p.msg = seal(p.batch.appendTo(appendHeader(p.msg[:0], &h)))
		if n.send(n.subject("batch"), p.msg) {
			n.count.batchesSent.Add(1)
			n.count.recordsSent.Add(uint64(records))
		} else {
			n.count.dropped.Add(uint64(records))
		}
	}
	p.batch.begin(n.clock.seconds())
}

// tellAgain has a stop told again, or counts it if too many are.
func (n *Node) tellAgain(ih *proto.Infohash, peer *proto.Peer, when uint32) {
	n.mu.Lock()
	if len(n.retold) < n.maxRetold() {
		n.retold = append(n.retold, retold{*ih, *peer, when})
	} else {
		n.count.dropped.Add(1)
	}
	n.mu.Unlock()
}
