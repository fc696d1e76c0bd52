//go:build linux

package e2e

import (
	"crypto/sha1"
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// How long and how large the churn is. In CI it is short.
var (
	clusterChurn = flag.Duration("cluster-churn", 5*time.Second, "how long peers come and go in TestClusterChurn, each time")
	clusterPeers = flag.Int("cluster-peers", 4000, "how many there are then")
	clusterCut   = flag.Duration("cluster-cut", 8*time.Second, "how long a node is cut off")
	clusterRate  = flag.Int("cluster-rate", 5000, "how many announces a second there are then")
)

// churnTorrents is how many torrents the peers are in.
const churnTorrents = 2000

// A churner has peers come and go at several nodes, and remembers what there has
// to be. A peer stays with its node, and what has left does not come back, as a
// client would not within a second.
type churner struct {
	rnd   *rand.Rand
	ends  []*udpEnd
	there []member
	next  int // number of the next peer
	gone  int
}

// A member is a peer of a torrent.
type member struct {
	number int
	end    int
	seeder bool
}

// infohash and port are those of a peer: there are more peers than ports.
func (m member) infohash() [20]byte { return churnHashes[m.number%churnTorrents] }

// churnHashes are as infohashes are: what is compared is divided by them.
var churnHashes = func() (all [churnTorrents][20]byte) {
	for i := range all {
		all[i] = sha1.Sum(binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	return all
}()

func (m member) port() uint16 { return uint16(1 + m.number/churnTorrents) }

// A udpEnd announces to one node.
type udpEnd struct {
	t    *testing.T
	c    *net.UDPConn
	cid  []byte
	sent int
	in   []byte
}

// dialNode returns an end at a node, with a connection id of the node at from.
func dialNode(t *testing.T, to, from *node) *udpEnd {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to.addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &udpEnd{t: t, c: c, cid: from.askUDP(t, "127.0.0.1", connectRequest(1))[8:16], in: make([]byte, 4096)}
}

// inFlight is how many announces wait for an answer at once: few enough that no
// queue of the kernel overflows.
const inFlight = 64

// announce sends one, and takes answers when there are enough under way.
func (e *udpEnd) announce(m member, event uint32) {
	e.t.Helper()
	left := uint64(1)
	if m.seeder {
		left = 0
	}
	pkt := announcement(e.cid, m.infohash(), event, left, m.port())
	binary.BigEndian.PutUint32(pkt[92:], 0) // none are wanted
	if _, err := e.c.Write(pkt); err != nil {
		e.t.Fatal(err)
	}
	if e.sent++; e.sent == inFlight {
		e.settle()
	}
}

// settle waits for all answers.
func (e *udpEnd) settle() {
	e.t.Helper()
	for ; e.sent > 0; e.sent-- {
		e.c.SetReadDeadline(time.Now().Add(answerLimit))
		n, err := e.c.Read(e.in)
		if err != nil || n < 20 || e.in[3] != 1 {
			e.t.Fatalf("%d announces are not answered: %x, %v", e.sent, e.in[:max(n, 0)], err)
		}
	}
}

// step does one thing: a peer comes, goes, finishes or renews.
func (c *churner) step(most int) {
	i := 0
	if len(c.there) > 0 {
		i = c.rnd.IntN(len(c.there))
	}
	switch what := c.rnd.IntN(10); {
	case len(c.there) < most && (what < 7 || len(c.there) < most/2):
		m := member{number: c.next, end: c.next % len(c.ends), seeder: what%3 == 0}
		c.next++
		c.there = append(c.there, m)
		c.ends[m.end].announce(m, 2)
	case len(c.there) == 0:
	case what == 7 && !c.there[i].seeder:
		c.there[i].seeder = true
		c.ends[c.there[i].end].announce(c.there[i], 1)
	case what == 8:
		c.ends[c.there[i].end].announce(c.there[i], 0)
	default:
		c.ends[c.there[i].end].announce(c.there[i], 3)
		c.there[i] = c.there[len(c.there)-1]
		c.there = c.there[:len(c.there)-1]
		c.gone++
	}
}

// run goes on for a while.
func (c *churner) run(span time.Duration, most int) {
	began, done := time.Now(), 0
	for time.Since(began) < span {
		for ; done < int(time.Since(began).Seconds()*float64(*clusterRate)); done++ {
			c.step(most)
		}
		time.Sleep(pollEvery)
	}
	for _, e := range c.ends {
		e.settle()
	}
}

// totals returns what there has to be, as totalsOf has it.
func (c *churner) totals() totals {
	all := totals{peers: len(c.there)}
	for _, m := range c.there {
		if m.seeder {
			all.seeders++
		}
	}
	return all
}

// TestClusterChurn has peers come and go at all nodes, and all nodes have what
// they should: when all is well, when a server was killed, a node was killed and
// started anew, and when one was cut off and is not any more.
func TestClusterChurn(t *testing.T) {
	t.Parallel()
	brokers, nodes, cut := startCluster(t)
	c := &churner{rnd: rand.New(rand.NewPCG(1, 2))}
	dial := func() {
		c.ends = c.ends[:0]
		for i := range nodes {
			c.ends = append(c.ends, dialNode(t, nodes[i], nodes[(i+1)%len(nodes)]))
		}
	}
	dial()
	ghosts := 0
	agree := func(after string) {
		t.Helper()
		took := awaitAgreed(t, nodes, c.totals(), ghosts)
		t.Logf("%s: %d peers, %d have left; all agree after %v", after, len(c.there), c.gone, took.Round(time.Second/10))
	}
	for range 4 * *clusterPeers { // as fast as it goes
		c.step(*clusterPeers)
	}
	c.run(*clusterChurn, *clusterPeers)
	agree("churn")

	ghosts = max(1, *clusterPeers/1000)
	kill(t, brokers[0].process)
	c.run(*clusterChurn, *clusterPeers)
	agree("a server killed")
	brokers[0].process = brokers[0].run()

	kill(t, nodes[1].process) // nothing is under way: what was announced has been sent on
	nodes[1].restart(t)
	awaitWhole(t, nodes)
	dial()
	agree("a node killed and started anew")
	if got := nodes[1].numbers(t); got.Cluster.Joined < len(c.there)/2 {
		t.Errorf("it has taken over %d peers of %d", got.Cluster.Joined, len(c.there))
	}

	cut.cut()
	c.run(*clusterCut, *clusterPeers)
	if all := totalsOf(t, nodes); all[0] == all[2] {
		t.Errorf("a node that is cut off knows what others do: %v", all)
	}
	cut.heal()
	agree("cut off and healed")
	c.run(*clusterChurn, *clusterPeers)
	agree("churn after all that")
	for i, n := range nodes {
		got := n.numbers(t)
		t.Logf("node %d: %+v", i, got.Cluster)
		if got.Cluster.Rejected > 0 || len(got.Cluster.Members) != len(nodes)-1 {
			t.Errorf("node %d has rejected %d messages, and knows %v", i, got.Cluster.Rejected, got.Cluster.Members)
		}
	}
	for _, n := range nodes {
		n.stopTracker(t)
	}
}
