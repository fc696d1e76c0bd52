package cluster

import (
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"tracker/proto"
	"tracker/store"
)

// A meteredConn counts the bytes that a node writes and reads, as they are on the
// wire but for TCP and below.
type meteredConn struct {
	net.Conn
	out, in *atomic.Int64
}

func (c meteredConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.out.Add(int64(n))
	return n, err
}

func (c meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.in.Add(int64(n))
	return n, err
}

// TestWireBytes measures what a shared record takes on the wire, with batches,
// the protocol of the brokers, and hellos, both where it is sent and where it is
// received.
func TestWireBytes(t *testing.T) {
	const records = 50_000
	b := startBrokers(t, 1)
	for _, test := range []struct {
		family string
		peer   func(int) proto.Peer
		most   float64
	}{{"IPv4", peer4, 40}, {"IPv6", peer6, 52}} {
		var sent, received, unused atomic.Int64
		meter := func(out, in *atomic.Int64) func(*Config) {
			return func(c *Config) {
				c.Dial = func(network, address string) (net.Conn, error) {
					conn, err := net.Dial(network, address)
					return meteredConn{conn, out, in}, err
				}
			}
		}
		x := startNode(t, "x", b.urls(0), meter(&sent, &unused)).ready()
		y := startNode(t, "y", b.urls(0), meter(&unused, &received)).ready()
		sent.Store(0)
		received.Store(0)
		for i := range records {
			x.announce(&store.Query{Infohash: torrent(i), Peer: test.peer(i)})
			for i%1000 == 999 && i-int(x.Status().RecordsSent) > recorderLen/2 {
				time.Sleep(time.Millisecond) // as fast as it goes, but no faster
			}
		}
		waitFor(t, 10*time.Second, "all are there", func() bool { return y.Status().RecordsReceived >= records })
		out, in := float64(sent.Load())/records, float64(received.Load())/records
		t.Logf("%s: %.1f bytes a record sent, %.1f received, in %d batches", test.family, out, in, x.Status().BatchesSent)
		if out > test.most || in > test.most {
			t.Errorf("%s: %.1f bytes a record sent, %.1f received, at most %.0f are allowed", test.family, out, in, test.most)
		}
		x.Stop()
		y.Stop()
	}
}

// TestJoinMillion measures how long a node takes to have a million peers.
func TestJoinMillion(t *testing.T) {
	peers := 1_000_000
	if testing.Short() || raced {
		peers = 100_000
	}
	b := startBrokers(t, 3)
	x := startNode(t, "x", b.urls(0), nil).ready()
	fill(x.store, peers)
	begin := time.Now()
	y := startNode(t, "y", b.urls(1), nil).ready()
	took := time.Since(begin)
	if got, want := y.totals(), x.totals(); got != want {
		t.Errorf("totals are %+v, want %+v", got, want)
	}
	s := y.Status()
	t.Logf("%d peers joined in %v, %.1f bytes each", peers, took.Round(time.Millisecond), float64(s.BytesReceived)/float64(peers))
	if took > 10*time.Second {
		t.Errorf("joining took %v, at most 10 s are allowed", took)
	}
}

// fill puts so many peers into a store, two to a torrent, one in four IPv6.
func fill(s *store.Store, peers int) {
	changes := make([]store.Change, 0, inboxLen)
	for i := range peers {
		p := peer4(i)
		if i%4 == 3 {
			p = peer6(i)
		}
		changes = append(changes, store.Change{Infohash: torrent(i / 2), Peer: p, Minute: wallMinute(), Seeder: i%3 == 0})
		if len(changes) == cap(changes) || i == peers-1 {
			s.Apply(changes, wallMinute())
			changes = changes[:0]
		}
	}
}

// BenchmarkBatch is what a record costs whom it is told to, from the bytes of its
// batch to the store, with a million torrents of two peers. One in 20 is a stop, as
// many are new, one in 50 changes its state; the others are renewals.
func BenchmarkBatch(b *testing.B) {
	n := testNode(b)
	n.complete.Store(true)
	m := newMouth(n)
	const torrents = 1 << 20
	fill(n.cfg.Store, 2*torrents)
	rnd := rand.New(rand.NewPCG(1, 2))
	var spent time.Duration
	var records, number int
	var out batch
	for b.Loop() {
		out.begin(n.clock.seconds())
		for !out.full() {
			i := rnd.IntN(2 * torrents)
			ih, p, flags := torrent(i/2), peer4(i), mark(0)
			if i%4 == 3 {
				p = peer6(i)
			}
			if (i%3 == 0) != (rnd.IntN(50) == 0) {
				flags = markSeeder
			}
			if rnd.IntN(20) == 0 {
				flags = markStopped
			}
			out.add(&ih, p.Compact(), flags, n.clock.seconds())
		}
		number++
		h := header{kind: kindBatch, sender: 9, number: uint64(number), clock: wall()}
		msg := seal(out.appendTo(appendHeader(nil, &h)))
		begin := time.Now()
		m.say(0, msg)
		spent += time.Since(begin)
		records += out.records()
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(records), "ns/record")
}

// BenchmarkRecorder is what an announce costs more: one that is told, and a
// renewal that is not.
func BenchmarkRecorder(b *testing.B) {
	n := testNode(b)
	r := n.Recorder()
	for _, test := range []struct {
		name string
		a    store.Answer
	}{{"told", store.Answer{}}, {"renewal", store.Answer{Known: true, Age: 1}}} {
		b.Run(test.name, func(b *testing.B) {
			q := store.Query{Infohash: torrent(1), Peer: peer4(1)}
			for i := 0; b.Loop(); i++ {
				if i%recorderLen == 0 {
					r.take()
				}
				r.Announced(&q, &test.a, 100)
			}
		})
	}
}

// BenchmarkPublish is what a record costs who tells it, from the recorder to the
// bytes of its batch.
func BenchmarkPublish(b *testing.B) {
	n := testNode(b)
	r := n.Recorder()
	p := publisher{node: n}
	p.batch.begin(n.clock.seconds())
	var a store.Answer
	q := store.Query{}
	var spent time.Duration
	records := 0
	for b.Loop() {
		for range recorderLen {
			records++
			q.Infohash, q.Peer = torrent(records), peer4(records)
			r.Announced(&q, &a, n.clock.minute())
		}
		begin := time.Now()
		p.collect()
		p.flush()
		spent += time.Since(begin)
	}
	b.ReportMetric(float64(spent.Nanoseconds())/float64(records), "ns/record")
}

// BenchmarkDigest is what a round costs a node for each of its peers, before
// anything differs.
func BenchmarkDigest(b *testing.B) {
	n := testNode(b)
	const peers = 1_000_000
	fill(n.cfg.Store, peers)
	sums := make([]uint64, maxBuckets)
	var v store.Visitor
	for b.Loop() {
		n.sum(uint64(n.clock.now()/n.pace.digest.Milliseconds()), sums, &v)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*peers), "ns/peer")
}
