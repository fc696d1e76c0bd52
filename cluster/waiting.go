package cluster

import (
	"net"
	"time"
)

// Bounds of Config.Waiting, in bytes. With the least, every queue has room for
// the longest messages that it is for.
const (
	minWaiting = 2 << 20
	maxWaiting = 16 << 20
)

// What waits is divided like this. A queue that is full takes nothing more: a
// batch that did not fit in is found missing by digests, and all else is said
// again.
const (
	waitBatches   = 10
	waitAnswers   = 10 // to all parts of a join, and what was wanted of some members
	waitDigests   = 6
	waitHellos    = 1
	waitQuestions = 1
	waitRetold    = 4 // stops to be told again: half of them are under way
	waitShares    = waitBatches + waitAnswers + waitDigests + waitHellos + waitQuestions + waitRetold

	// emptyBytes is the average length of messages of which a queue is full when
	// it has as many as it may have: each takes some 160 bytes beside its own.
	emptyBytes = 512
)

// maxMessage is the length of the longest message there is: the digest, of all
// buckets, and content are.
const maxMessage = maxChunk + 1<<10

// beingRead is what a message may take while it comes in, and what is left of
// those before that were no message of ours. A server lets through what has a
// megabyte, unless its max_payload says something else.
const beingRead = 4 << 20

// waitingBytes is the memory that a node may need for what waits: a third more
// for short messages, and a third more than that for the garbage it leaves.
func (n *Node) waitingBytes() int64 { return int64(n.cfg.Waiting)/9*16 + beingRead }

// maxRetold is how many stops wait to be told again: with the longest queues,
// those of half a minute at one a millisecond.
func (n *Node) maxRetold() int { return n.cfg.Waiting / waitShares * waitRetold / 2 / retoldBytes }

// readRate is how many times what may wait is read of a server in a second. The
// client of the broker makes a copy of every message before anybody can look at
// it: without a bound a member could have it make garbage faster than a collector
// that waits for a processor takes it away.
const readRate = 64

// A paced connection is read at a bounded rate. Whoever writes faster waits.
type paced struct {
	net.Conn
	rate int       // bytes a second
	due  time.Time // when what was read should have come
}

// Read reads, and then waits if that came too early. One goroutine reads.
func (c *paced) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	now := time.Now()
	if c.due.Before(now) {
		c.due = now
	}
	c.due = c.due.Add(time.Duration(n) * time.Second / time.Duration(c.rate))
	if early := c.due.Sub(now); early > time.Millisecond {
		time.Sleep(early)
	}
	return n, err
}
