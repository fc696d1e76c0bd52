package cluster

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"tracker/proto"
	"tracker/store"
)

// A churn announces, completes and stops peers of both families, at any node, as
// clients of several trackers do.
type churn struct {
	rnd      *rand.Rand
	torrents int
	peers    int // of each torrent and family that may be there
}

// newChurn returns a small one.
func newChurn(seed uint64) *churn {
	return &churn{rnd: rand.New(rand.NewPCG(seed, 2)), torrents: 1000, peers: 20}
}

// step makes one announce at a node.
func (c *churn) step(x *tester) {
	i := int(float64(c.torrents) * c.rnd.Float64() * c.rnd.Float64() * c.rnd.Float64()) // some are larger
	q := store.Query{Infohash: torrent(i), NumWant: 5, Seeder: c.rnd.IntN(3) == 0}
	if k := c.rnd.IntN(c.peers); c.rnd.IntN(3) > 0 {
		q.Peer = peer4(i*c.peers + k)
	} else {
		q.Peer = peer6(i*c.peers + k)
	}
	switch r := c.rnd.IntN(20); {
	case r < 5:
		q.Event = proto.EventStopped
	case r < 7:
		q.Event, q.Seeder = proto.EventCompleted, true
	case r < 12:
		q.Event = proto.EventStarted
	}
	x.announce(&q)
}

// run makes steps at random nodes, spread over a time.
func (c *churn) run(d time.Duration, rate int, nodes ...*tester) {
	const slice = 10 * time.Millisecond
	ticker := time.NewTicker(slice)
	defer ticker.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-ticker.C {
		for range rate * int(slice) / int(time.Second) {
			c.step(nodes[c.rnd.IntN(len(nodes))])
		}
	}
}

// churnSize is how much there is of it.
func churnSize(t *testing.T) (torrents, rate int, d time.Duration) {
	if testing.Short() || raced {
		return 2000, 2000, time.Second
	}
	return 10_000, 10_000, 4 * time.Second
}

// TestChurn looks whether three nodes have the same after a seeded churn, and
// after a broker was killed, a node was killed and joined again, and a partition
// was healed, with churn going on all the while.
func TestChurn(t *testing.T) {
	torrents, rate, d := churnSize(t)
	b := startBrokers(t, 3)
	var nodes []*tester
	for i := range 3 {
		nodes = append(nodes, startNode(t, fmt.Sprint("node", i), b.urls(i), nil))
	}
	for _, x := range nodes {
		x.ready()
	}
	c := churn{rnd: rand.New(rand.NewPCG(1, 2)), torrents: torrents, peers: 20}
	c.run(d, rate, nodes...)
	sameContent(t, nodes...)

	b.kill(2)
	c.run(d, rate, nodes...)
	b.start(2)
	sameContent(t, nodes...)

	nodes[1].kill()
	c.run(d, rate, nodes[0], nodes[2])
	nodes[1] = startNode(t, "node1", b.urls(1), nil)
	c.run(d, rate, nodes[0], nodes[2])
	nodes[1].ready()
	c.run(d/4, rate, nodes...)
	sameContent(t, nodes...)
}

// kill ends a node as a crash does: nothing is sent, nobody is told.
func (x *tester) kill() {
	x.conn.Load().Close()
	x.end()
}

// TestPartition keeps one of two halves away from the other, with churn on both
// sides, until both took the other for gone, and heals that.
func TestPartition(t *testing.T) {
	torrents, rate, d := churnSize(t)
	b := startBrokers(t, 1)
	p := startProxy(t, b.url(0))
	x := startNode(t, "x", b.urls(0), nil).ready()
	y := startNode(t, "y", b.urls(0), nil).ready()
	z := startNode(t, "z", []*url.URL{p.url()}, nil).ready()
	c := churn{rnd: rand.New(rand.NewPCG(3, 4)), torrents: torrents, peers: 20}
	c.run(d, rate, x, y, z)
	for _, how := range []func(bool){p.pause, p.cut} {
		how(true)
		c.run(max(d, 2*quick.gone), rate, x, y, z)
		waitFor(t, 10*time.Second, "both sides miss each other", func() bool {
			return len(x.Status().Members) == 1 && (len(z.Status().Members) == 0 || !z.Status().Connected)
		})
		how(false)
		sameContent(t, x, y, z)
	}
}

// TestRelay has two nodes on subjects of their own, and what one says on its own is
// told to the other late, in another order and several times.
func TestRelay(t *testing.T) {
	torrents, rate, d := churnSize(t)
	b := startBrokers(t, 1)
	r := startRelay(t, b.url(0))
	x := startNode(t, "x", b.urls(0), func(c *Config) { c.Subject = "left" }).ready()
	y := startNode(t, "y", b.urls(0), func(c *Config) { c.Subject = "right" }).ready()
	c := churn{rnd: rand.New(rand.NewPCG(5, 6)), torrents: torrents, peers: 20}
	c.run(d, rate, x, y)
	sameContent(t, x, y)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.repeated < 5 || r.late < 5 {
		t.Errorf("only %d batches were repeated and %d late", r.repeated, r.late)
	}
}

// A relay passes messages on between two subjects.
type relay struct {
	conn           *nats.Conn
	mu             sync.Mutex
	rnd            *rand.Rand
	held           []*nats.Msg // batches to be passed on later
	repeated, late int
}

func startRelay(t testing.TB, at *url.URL) *relay {
	c, err := nats.Connect(at.String(), nats.NoEcho())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	r := &relay{conn: c, rnd: rand.New(rand.NewPCG(8, 8))}
	for from, to := range map[string]string{"left": "right", "right": "left"} {
		if _, err := c.Subscribe(from+".>", func(m *nats.Msg) {
			r.pass(&nats.Msg{Subject: to + m.Subject[len(from):], Data: m.Data})
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	return r
}

// startRelayBetween passes everything on between two brokers until it is ended.
func startRelayBetween(t testing.TB, a, b *url.URL) (end func()) {
	var conns [2]*nats.Conn
	for i, at := range []*url.URL{a, b} {
		c, err := nats.Connect(at.String(), nats.NoEcho())
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c
	}
	for i, c := range conns {
		if _, err := c.Subscribe("tracker.>", func(m *nats.Msg) { conns[1-i].Publish(m.Subject, m.Data) }); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		conns[0].Close()
		conns[1].Close()
	}
}

// pass passes a message on: a third of the batches later, some twice.
func (r *relay) pass(m *nats.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.HasSuffix(m.Subject, ".batch") {
		r.conn.PublishMsg(m)
		return
	}
	if r.rnd.IntN(3) == 0 {
		r.held = append(r.held, m)
		return
	}
	r.conn.PublishMsg(m)
	for len(r.held) > 0 && r.rnd.IntN(2) == 0 {
		r.late++
		r.conn.PublishMsg(r.held[0])
		r.held = r.held[1:]
	}
	if r.rnd.IntN(4) == 0 {
		r.repeated++
		r.conn.PublishMsg(m)
	}
}

// A proxy passes TCP connections on to a broker, or nothing of them.
type proxy struct {
	t       testing.TB
	to      string
	listen  net.Listener
	mu      sync.Mutex
	resume  sync.Cond
	paused  bool
	severed bool
	conns   map[net.Conn]bool
}

func startProxy(t testing.TB, to *url.URL) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, to: to.Host, listen: l, conns: map[net.Conn]bool{}}
	p.resume.L = &p.mu
	go p.accept()
	t.Cleanup(func() {
		l.Close()
		p.pause(false)
		p.cut(true)
	})
	return p
}

func (p *proxy) url() *url.URL { return &url.URL{Scheme: "nats", Host: p.listen.Addr().String()} }

func (p *proxy) accept() {
	for {
		from, err := p.listen.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.to)
		p.mu.Lock()
		refuse := p.severed || err != nil
		if !refuse {
			p.conns[from], p.conns[to] = true, true
		}
		p.mu.Unlock()
		if refuse {
			from.Close()
			continue
		}
		go p.pass(from, to)
		go p.pass(to, from)
	}
}

func (p *proxy) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	io.Copy(to, proxyReader{p, from}) // until one of them is closed
}

// A proxyReader reads nothing on while the proxy is paused.
type proxyReader struct {
	p *proxy
	net.Conn
}

func (r proxyReader) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.p.mu.Lock()
	for r.p.paused {
		r.p.resume.Wait()
	}
	r.p.mu.Unlock()
	return n, err
}

// pause keeps everything that is under way, or lets it go on.
func (p *proxy) pause(on bool) {
	p.mu.Lock()
	p.paused = on
	p.mu.Unlock()
	p.resume.Broadcast()
}

// cut closes everything and takes nothing new, or takes it again.
func (p *proxy) cut(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.severed = on
	if on {
		for c := range p.conns {
			c.Close()
		}
		clear(p.conns)
	}
}
