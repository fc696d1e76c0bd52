//go:build linux

package e2e

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Several trackers that share their announces by way of several NATS servers,
// each a program of its own on loopback:
//
//	nats 0 ─── nats 1 ─── nats 2     a cluster
//	  │          │          │
//	  │          │        proxy      which can be cut
//	  │          │          │
//	node 0     node 1     node 2     each knows the others' servers, too, but node 2

const (
	// batchTime is what cluster.batch is by default. What is announced to one has
	// to be known everywhere within twice that.
	batchTime = time.Second
	// joinLimit is for nodes to find each other and take over what there is.
	joinLimit = 30 * time.Second
)

// agreeLimit is for nodes to know the same after something was lost: two rounds of
// comparing, every 30 s, and one in which what still moves is left out. Where very
// much was lost there is a bound on what is exchanged in a round.
var agreeLimit = flag.Duration("cluster-agree", 2*time.Minute, "how long trackers may take until they know the same")

// A broker is one NATS server.
type broker struct {
	*process
	run    func() *process
	client netip.AddrPort
}

// startBrokers starts n NATS servers that are one cluster.
func startBrokers(t *testing.T, n int) []*broker {
	t.Helper()
	program := need(t, "nats-server", "nats-server")
	var brokers []*broker
	var routes []string
	var among []netip.AddrPort
	for range n {
		brokers = append(brokers, &broker{client: freePort(t)})
		among = append(among, freePort(t))
		routes = append(routes, "nats://"+among[len(among)-1].String())
	}
	for i, b := range brokers {
		b.run = func() *process {
			return start(t, exec.Command(program, "-a", "127.0.0.1", "-p", fmt.Sprint(b.client.Port()),
				"-n", fmt.Sprintf("nats%d", i), "-cluster_name", "test", "-cluster", "nats://"+among[i].String(), "-routes", strings.Join(routes, ",")))
		}
		b.process = b.run()
	}
	for _, b := range brokers {
		b.awaitAnswers(t)
	}
	return brokers
}

// awaitAnswers waits until the server takes connections.
func (b *broker) awaitAnswers(t *testing.T) {
	t.Helper()
	if !await(time.Now().Add(startLimit), b.process, func() bool {
		c, err := net.Dial("tcp", b.client.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	}) {
		t.Fatalf("nats-server does not take connections\n%s", &b.out)
	}
}

// kill ends a program as a crash would.
func kill(t *testing.T, p *process) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.done
}

// A node is one tracker of a cluster.
type node struct {
	*server
	args []string
}

// startNode starts a tracker that shares by way of the servers at urls.
func startNode(t *testing.T, name string, urls []string, lines ...string) *node {
	t.Helper()
	conf := filepath.Join(t.TempDir(), name+".conf")
	text := "cluster.name " + name + "\n" + strings.Join(lines, "\n") + "\n"
	for _, u := range urls {
		text += "cluster.url " + u + "\n"
	}
	write(t, conf, []byte(text))
	n := &node{args: []string{"-d", workDir, "-f", conf}}
	n.server = startServer(t, tracker(t), n.args...)
	return n
}

// restart starts a tracker that has ended again, at the same address.
func (n *node) restart(t *testing.T) {
	t.Helper()
	port := fmt.Sprint(n.addr.Port())
	n.process = start(t, exec.Command(tracker(t), append([]string{"-i", "127.0.0.1", "-p", port, "-P", port}, n.args...)...))
	if err := waitPorts(n.process, n.addr.Port()); err != nil {
		t.Fatalf("%v\n%s", err, &n.out)
	}
}

// clusterNumbers are those of stats.json that these tests look at.
type clusterNumbers struct {
	Torrents, Peers, Seeders, Completed int
	Cluster                             struct {
		Connected, Complete bool
		Joined              int
		Members             []struct {
			Name       string
			LagSeconds float64 `json:"lag_seconds"`
		}
		Batches struct{ Sent, Received, Lost int }
		Bytes   struct{ Sent, Received int }
		Records struct{ Sent, Received, Applied, Dropped, Stale, Conflicts, Refused, Repaired int }
		// Rejected is for messages that could not be right.
		Rejected int
	}
}

// numbers asks a node how it is.
func (n *node) numbers(t *testing.T) (got clusterNumbers) {
	t.Helper()
	client := http.Client{Timeout: answerLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + n.addr.String() + "/stats.json")
	if err != nil {
		t.Fatalf("%v\n%s", err, &n.out)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

// awaitWhole waits until every node is complete and knows all the others.
func awaitWhole(t *testing.T, nodes []*node) {
	t.Helper()
	for _, n := range nodes {
		var got clusterNumbers
		if !await(time.Now().Add(joinLimit), n.process, func() bool {
			got = n.numbers(t)
			return got.Cluster.Connected && got.Cluster.Complete && len(got.Cluster.Members) == len(nodes)-1
		}) {
			t.Fatalf("after %v: %+v\n%s", joinLimit, got, &n.out)
		}
	}
}

// startCluster starts three servers and three nodes, of which the last speaks
// through a proxy.
func startCluster(t *testing.T) (brokers []*broker, nodes []*node, cut *cutter) {
	t.Helper()
	brokers = startBrokers(t, 3)
	cut = newCutter(t, brokers[2].client.String())
	url := func(i int) string { return "nats://" + brokers[i].client.String() }
	nodes = []*node{
		startNode(t, "node-0", []string{url(0), url(1), url(2)}),
		startNode(t, "node-1", []string{url(1), url(2), url(0)}),
		startNode(t, "node-2", []string{"nats://" + cut.addr()}),
	}
	awaitWhole(t, nodes)
	return brokers, nodes, cut
}

// knows reports whether a node hands out the peer at port of a torrent to a peer
// at port 1, which is stored by that.
func (n *node) knows(t *testing.T, ih [20]byte, port uint16) bool {
	t.Helper()
	c, err := net.Dial("tcp", n.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /announce?info_hash=%s&port=1&left=1&numwant=200&compact=1 HTTP/1.0\r\n\r\n", percent(ih[:]))
	c.SetDeadline(time.Now().Add(answerLimit))
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(answer), string(binary.BigEndian.AppendUint16([]byte{127, 0, 0, 1}, port)))
}

// TestClusterAnnounce announces peers to each node, over either wire, and sees
// them handed out by every other. A connection id got from one is good at all.
func TestClusterAnnounce(t *testing.T) {
	_, nodes, _ := startCluster(t)
	var slowest time.Duration
	for i, from := range nodes {
		// The id is of another node than the one that it is used at.
		cid := nodes[(i+1)%len(nodes)].askUDP(t, "127.0.0.1", connectRequest(1))[8:16]
		for j, ih := range [][20]byte{captureHash(10 + i), captureHash(20 + i)} {
			port := uint16(5000 + 10*i + j)
			if j == 0 {
				if answer := from.askUDP(t, "127.0.0.1", announcement(cid, ih, 2, 0, port)); answer[3] != 1 {
					t.Fatalf("node %d answers %x to an id of another", i, answer)
				}
			} else {
				from.askHTTP(t, "127.0.0.1", fmt.Sprintf("/announce?info_hash=%s&port=%d&left=0", percent(ih[:]), port))
			}
			began := time.Now()
			for k, to := range nodes {
				if to == from {
					continue
				}
				for !to.knows(t, ih, port) {
					if took := time.Since(began); took > 2*batchTime+startLimit {
						t.Fatalf("node %d does not know after %v what was announced to node %d", k, took, i)
					}
					time.Sleep(pollEvery)
				}
				slowest = max(slowest, time.Since(began))
			}
		}
	}
	t.Logf("the slowest was known everywhere after %v", slowest.Round(time.Millisecond))
	if slowest > 2*batchTime {
		t.Errorf("that is more than %v", 2*batchTime)
	}
	// A stop travels, too.
	cid := nodes[0].askUDP(t, "127.0.0.1", connectRequest(1))[8:16]
	nodes[1].askUDP(t, "127.0.0.1", announcement(cid, captureHash(10), 3, 0, 5000))
	if !await(time.Now().Add(startLimit), nodes[2].process, func() bool { return !nodes[2].knows(t, captureHash(10), 5000) }) {
		t.Error("node 2 still knows a peer that has left")
	}
	for _, n := range nodes {
		n.stopTracker(t)
	}
}

// A cutter is a proxy in front of a server that can be cut, as a network is.
type cutter struct {
	listener net.Listener
	to       string

	cmd   chan bool // true: cut, false: heal
	conns chan net.Conn
}

// newCutter starts one, until the test ends.
func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, to: to, cmd: make(chan bool), conns: make(chan net.Conn)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(c.cmd)
				return
			}
			c.conns <- conn
		}
	}()
	go c.run()
	return c
}

func (c *cutter) addr() string { return c.listener.Addr().String() }

// run passes on what arrives, and while it is cut takes connections that nothing
// comes of: nobody is told that the other side is gone.
func (c *cutter) run() {
	down := false
	var open []net.Conn
	for {
		select {
		case conn := <-c.conns:
			open = append(open, conn)
			if down {
				continue
			}
			there, err := net.Dial("tcp", c.to)
			if err != nil {
				conn.Close()
				continue
			}
			open = append(open, there)
			go func() { io.Copy(conn, there); conn.Close() }()
			go func() { io.Copy(there, conn); there.Close() }()
		case cut, ok := <-c.cmd:
			down = cut
			for _, conn := range open {
				conn.Close()
			}
			open = nil
			if !ok {
				return
			}
		}
	}
}

// cut and heal do what they say.
func (c *cutter) cut()  { c.cmd <- true }
func (c *cutter) heal() { c.cmd <- false }

// totals are how many peers there are, and how many of them have everything.
type totals struct{ peers, seeders int }

// totalsOf returns what every node has.
func totalsOf(t *testing.T, nodes []*node) (all []totals) {
	t.Helper()
	for _, n := range nodes {
		got := n.numbers(t)
		all = append(all, totals{got.Peers, got.Seeders})
	}
	return all
}

// awaitAgreed waits until every node has the same, and that is want, or up to
// ghosts peers more: such as have left when nobody could be told, within the
// second that they came in. It returns how long it took.
func awaitAgreed(t *testing.T, nodes []*node, want totals, ghosts int) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		all := totalsOf(t, nodes)
		more, seeders := all[0].peers-want.peers, all[0].seeders-want.seeders
		if len(slices.Compact(slices.Clone(all))) == 1 && more >= 0 && more <= ghosts && seeders >= 0 && seeders <= more {
			if more > 0 {
				t.Logf("%d peers are still known that have left", more)
			}
			return time.Since(began)
		}
		if time.Since(began) > *agreeLimit {
			t.Fatalf("after %v the nodes have %v, want %v", *agreeLimit, all, want)
		}
		time.Sleep(10 * pollEvery)
	}
}
