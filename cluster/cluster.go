// Package cluster shares announces between trackers, so that several have one
// swarm: clients may ask any of them, and one that dies takes nothing along.
//
// Every [Node] has everything in its own store and answers from that; no request
// ever waits for the network. What changes is told to the others through NATS
// servers, the brokers, which may be several, clustered, authenticated and
// encrypted. Without a configuration nothing of this runs, and the router's binary
// does not contain it.
//
// # Messages
//
//	PREFIX.v1.batch      all       what is new: batch.go
//	PREFIX.v1.hello      all       who is there, whose secret, what time: members.go
//	PREFIX.v1.digest     all       sums of what there is: digest.go
//	PREFIX.v1.ask.ID     one node  questions: join.go, digest.go
//	PREFIX.v1.to.ID      one node  answers: content.go
//
// An ID is random for each start. All have one frame with a version and a
// checksum, see message.go. Lengths and values are checked before anything is
// done; what cannot be right is counted and dropped.
//
// # What is told
//
//	reactor ─ store.Announce ─► Recorder ─► publisher ─► broker ─► inbox ─ store.Apply
//	                            buffer      a batch a second       or more
//
// A new peer, a change of state, a stop of a known peer, a download; and a renewal
// if a boundary lies between it and the one before. Boundaries are a third of the
// expiry apart and at a minute that depends on the peer, so that nothing has to be
// remembered to tell a peer at most that often, and everybody knows when. The
// recorder's buffer is fixed: when it is full, or there is no broker, records are
// counted and dropped, and the tracker serves on.
//
// What comes is applied with store.Apply, under the limits that announces are
// under, and not told again.
//
// # What wins
//
// The newest. Records tell seconds, stores know minutes. In one minute the last
// one counts if it comes in order, and a seeder if nobody knows the order. A stop is
// remembered, see stops.go, and undoes what is older; who knows of one tells it
// again to whoever still has the peer. Of downloads the larger count wins. Batches
// are numbered, so that none counts twice: see window.go.
//
// What is lost or comes in the wrong order is found by digests, every 30 seconds:
// see digest.go. Until then nodes may differ, and clients get some peers fewer or
// some that are gone.
//
// # Joining
//
// A node that starts takes over everything from the one that is complete for
// longest, while batches come in already: see join.go. One that was away, or that
// nobody heard of, does the same with a member that is back.
//
// # Trust
//
// Who may speak at the brokers is a tracker, and may say what it likes about peers.
// It cannot make a node take more memory than its ceiling: the store's limits
// hold, members, questions and queues are bounded, and everything fixed is counted
// into the store's bytes. Nor can it make one send without end: answers are told
// at a bounded rate and, for digests, a bounded amount a round.
//
// # What it is not
//
// Peers of a home network are not shared: what they are called there is nobody, or
// somebody else, at another node, and an address outside may be another tomorrow.
// A node with one neither tells nor takes such addresses, and sums none. One without
// has no such idea, and shares private addresses like any other.
//
// Lists of torrents are not shared. A node applies only torrents that it serves
// itself; if lists, limits or memory differ, digests go on differing, and what
// they cost is bounded as well. All nodes have to forget peers after the same time.
//
// How far this goes, and what breaks first, is told in SCALE.md.
package cluster

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// Levels of a Config.Logf, those of package loop.
const (
	Debug = iota
	Info
	Warning
	Error
)

// A Config says which brokers there are, and what is shared.
type Config struct {
	URLs        []*url.URL                                         // of the brokers; with user and password, if they want that
	Dial        func(network, address string) (net.Conn, error)    // nil: net.Dial
	TLS         *tls.Config                                        // nil: none, unless a URL says tls
	Credentials []byte                                             // content of a file with a JWT and a seed, or nil
	Subject     string                                             // what all subjects begin with; "": tracker
	Name        string                                             // of this node; "": that of the machine
	Store       *store.Store                                       //
	Allowed     func(*proto.Infohash) bool                         // torrents that are served; nil: all
	Local       func(compact []byte) bool                          // peers whose address means nothing elsewhere; nil: none
	Minute      func() store.Minute                                // the store's present, which begins with a minute of the wall clock
	Keys        Keys                                               // nil: connection ids are not shared
	Batch       time.Duration                                      // at most so long after an announce it is sent; 0: a second
	Waiting     int                                                // bytes of messages that wait to be taken in, 2 to 16 MB; 0: 16 MB
	Logf        func(level int, event, format string, args ...any) // nil: nobody is told
}

// Keys is what clients' connection ids are made with.
type Keys interface {
	// Secret returns what ids are made with now, and its clock in milliseconds.
	Secret() (secret [16]byte, clock int64)
	// Adopt makes ids with secret from now on. Those made before stay good for
	// as long as they would have been.
	Adopt(secret [16]byte, clock int64)
}

// Limits of a Config.
const (
	maxName = 64
	// defaultBatch is how long an announce waits for others.
	defaultBatch = time.Second
)

// goodbye is how long Stop waits for the last batch to leave, and for the client of
// the broker to be done.
const goodbye = 150 * time.Millisecond

// A Node is one tracker of a cluster.
type Node struct {
	cfg    Config
	pace   pace
	id     uint64
	clock  clock
	period uint32 // minutes
	stops  *stops
	conn   atomic.Pointer[nats.Conn]

	connected atomic.Bool
	complete  atomic.Bool
	count     counters

	sent      atomic.Uint64 // number of the last batch
	takenOver atomic.Uint64 // peers, in the join under way
	joining   atomic.Bool
	salt      atomic.Uint64 // of buckets
	requests  chan request

	mu                                    sync.Mutex // of what follows; never held while anything waits
	recorders                             []*Recorder
	retold                                []retold
	members                               map[uint64]*member
	greet                                 bool   // somebody is new: say hello soon
	returned                              uint64 // who was gone and is back, and has what we have not
	upSince                               time.Time
	rejectedAt, unreachableAt, troubledAt time.Time
	completed                             time.Time
	keys                                  keyring
	questions                             map[uint64]question
	asked                                 uint64
	digests                               digests

	bucketMu sync.Mutex // of digests.changed; taken under mu

	hearing sync.RWMutex // held for reading while a message is taken in
	deaf    bool         // none is any more

	wakeup  chan struct{}
	closed  chan struct{} // the client of the broker is done
	stop    chan struct{}
	running sync.WaitGroup
	charged int64
}

// counters are what Status tells.
type counters struct {
	batchesSent, batchesReceived, bytesSent, bytesReceived atomic.Uint64
	recordsSent, recordsReceived, recordsApplied           atomic.Uint64
	dropped, rejected, stale, conflicts, refused           atomic.Uint64
	repaired, joined                                       atomic.Uint64
}

// A pace says how often things are done. Tests have a quicker one.
type pace struct {
	hello    time.Duration // between two
	gone     time.Duration // not heard of for so long
	alone    time.Duration // nobody is there
	patience time.Duration // for an answer
	digest   time.Duration // between two
	settle   time.Duration // until what was under way is there
}

var usualPace = pace{
	hello: 2 * time.Second, gone: 10 * time.Second, alone: 3 * time.Second,
	patience: 3 * time.Second, digest: 30 * time.Second, settle: 3 * time.Second,
}

// Start begins to share. It does not wait for the network: brokers may come and
// go. An error says what of the configuration can never work.
func Start(c Config) (*Node, error) { return start(c, usualPace) }

func start(c Config, p pace) (*Node, error) {
	n, err := newNode(c, p)
	if err != nil {
		return nil, err
	}
	for _, run := range []func(){n.publish, n.keep, n.compare, n.answer} {
		n.running.Add(1)
		go func() {
			defer n.running.Done()
			run()
		}()
	}
	go n.connect()
	return n, nil
}

// newNode returns a node that does nothing by itself.
func newNode(c Config, p pace) (*Node, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	var seed [16]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, err
	}
	n := &Node{
		cfg:    c,
		pace:   p,
		id:     binary.LittleEndian.Uint64(seed[:]) | 1,
		period: period(c.Store.Expire()),
		stops:  newStops(binary.LittleEndian.Uint64(seed[8:])),
		wakeup: make(chan struct{}, 1),
		stop:   make(chan struct{}),
		closed: make(chan struct{}),

		requests:  make(chan request, maxRequests),
		members:   map[uint64]*member{},
		questions: map[uint64]question{},
		keys:      keyring{keys: c.Keys},
		digests:   newDigests(),
	}
	n.clock.minute = c.Minute
	n.clock.read()
	n.charge(stopsBytes + digestBytes + n.waitingBytes())
	return n, nil
}

// complete fills in what is not said.
func (c *Config) complete() error {
	if len(c.URLs) == 0 {
		return errors.New("no broker")
	}
	if c.Subject == "" {
		c.Subject = "tracker"
	}
	if c.Name == "" {
		c.Name, _ = os.Hostname()
	}
	if c.Name == "" || len(c.Name) > maxName || !printable(c.Name) {
		return fmt.Errorf("%q cannot be a name: 1 to %d letters, without blanks", c.Name, maxName)
	}
	if c.Batch == 0 {
		c.Batch = defaultBatch
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: writeLimit}).Dial
	}
	if c.Waiting == 0 {
		c.Waiting = maxWaiting
	}
	c.Waiting = max(minWaiting, min(c.Waiting, maxWaiting))
	if c.Credentials != nil {
		if _, err := nkeys.ParseDecoratedUserNKey(c.Credentials); err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
		if _, err := nkeys.ParseDecoratedJWT(c.Credentials); err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
	}
	if c.Logf == nil {
		c.Logf = func(int, string, string, ...any) {}
	}
	return nil
}

// log tells the operator something.
func (n *Node) log(level int, event, format string, args ...any) {
	n.cfg.Logf(level, event, format, args...)
}

// charge counts n bytes into what the store takes.
func (n *Node) charge(bytes int64) {
	n.charged += bytes
	n.cfg.Store.Charge(bytes)
}

// Recorder returns what a reactor tells its announces to. Each needs its own,
// before it serves.
func (n *Node) Recorder() *Recorder {
	r := newRecorder(n)
	n.mu.Lock()
	n.recorders = append(n.recorders[:len(n.recorders):len(n.recorders)], r)
	n.charge(recorderBytes)
	n.mu.Unlock()
	return r
}

// Stop sends what is left, says goodbye and waits for everything to end. Then the
// store is not touched any more.
func (n *Node) Stop() {
	close(n.stop)
	n.running.Wait()
	if c := n.conn.Load(); c != nil {
		if n.connected.Load() {
			c.FlushTimeout(goodbye) // or the others find out
		}
		c.Close()
		select {
		case <-n.closed:
		case <-time.After(goodbye):
		}
	}
	n.hearing.Lock() // until what was under way is done
	n.deaf = true
	n.hearing.Unlock()
	n.cfg.Store.Charge(-n.charged)
}

// Status returns what is to be told of the cluster.
func (n *Node) Status() stats.Cluster {
	c := &n.count
	s := stats.Cluster{
		Name: n.cfg.Name, Connected: n.connected.Load(), Complete: n.complete.Load(), Joined: c.joined.Load(),
		BatchesSent: c.batchesSent.Load(), BatchesReceived: c.batchesReceived.Load(),
		BytesSent: c.bytesSent.Load(), BytesReceived: c.bytesReceived.Load(),
		RecordsSent: c.recordsSent.Load(), RecordsReceived: c.recordsReceived.Load(), RecordsApplied: c.recordsApplied.Load(),
		Dropped: c.dropped.Load(), Rejected: c.rejected.Load(), Stale: c.stale.Load(),
		Conflicts: c.conflicts.Load(), Refused: c.refused.Load(), Repaired: c.repaired.Load(),
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.recorders {
		s.Dropped += r.dropped.Load()
	}
	n.memberStatus(&s)
	return s
}
