package cluster

import (
	"bytes"
	"net"
	"time"
)

// Bounds of Config.Waiting, in bytes. With the least, every queue has room for
// the longest message that it is for, and for some that are as long as usual.
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

	// besideBytes is what a message may take beside its own bytes: what the client
	// needs, and an address for answers, which nobody needs and the server lets be
	// so long. So much of a queue's bytes there must be for each, but it may have
	// waitLeast in any case.
	besideBytes = 256 + 4096
	waitLeast   = 32
)

// maxMessage is the length of the longest message there is: the digest, of all
// buckets, and content are.
const maxMessage = maxChunk + 1<<10

// beingRead is what a message may take while it comes in, and what is left of
// those before that were no message of ours. A server lets through what has a
// megabyte, unless its max_payload says something else.
const beingRead = 4 << 20

// waitingBytes is the memory that a node may need for what waits: as much again
// for what is beside it, and a quarter of all that for the garbage it leaves.
func (n *Node) waitingBytes() int64 { return int64(n.cfg.Waiting)*5/2 + beingRead }

// maxRetold is how many stops wait for the next batch to be told again: 2,048 with
// the shortest queues, 16,384 with the longest.
func (n *Node) maxRetold() int { return n.cfg.Waiting / waitShares * waitRetold / 2 / retoldBytes }

// readRate is how many times what may wait is read of a server in a second. The
// client of the broker makes a copy of every message before anybody can look at
// it: without a bound a member could have it make garbage faster than a collector
// that waits for a processor takes it away.
const readRate = 64

// A paced connection is read at a bounded rate. Whoever writes faster waits.
//
// It also says for the server that it knows nothing of headers, so that the client
// does not ask for them: messages of trackers have none, and what those of others
// take is counted nowhere. A server sends a client without headers no headers.
type paced struct {
	net.Conn
	rate    int       // bytes a second
	due     time.Time // when what was read should have come
	greeted bool      // the server's first line was read
}

// What the server says of headers in its first line, and what is made of it. The
// line is never encrypted.
var (
	withHeaders    = []byte(`"headers":true`)
	withoutHeaders = []byte(`"headers":null`)
)

// Read reads, and then waits if that came too early. One goroutine reads.
func (c *paced) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.greeted {
		line, _, whole := bytes.Cut(b[:n], []byte{'\n'})
		c.greeted = whole
		if at := bytes.Index(line, withHeaders); at >= 0 {
			copy(line[at:], withoutHeaders)
		}
	}
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
