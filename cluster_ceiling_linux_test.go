package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestClusterCeiling fills a tracker under a ceiling, and then has a member that
// means harm say nonsense as fast as it can, in messages of several lengths, the
// longest that a server takes among them, with headers and addresses for answers,
// on every subject that a tracker listens to. It takes no more memory than it may,
// and answers meanwhile.
func TestClusterCeiling(t *testing.T) {
	port := startBroker(t)
	// A tracker that starts alone says hello before it says that it is complete.
	m := newMember(t, port)
	t.Setenv("GOGC", fmt.Sprint(gcPercent)) // as main sets it
	p := startTracker(t, "-f", confFile(t, "cluster.url nats://127.0.0.1:"+port,
		fmt.Sprintf("limit.memory %dm", underTest()), "listen.tcp 127.0.0.1:0", "listen.udp 127.0.0.1:0"))
	tcp, udp := p.listens()
	p.late.Reset(floodLimit)
	awaitMates(t, tcp, 0)
	old := oldPeer{id: connectUDP(t, udp), to: udp}
	old.announces(t, 1, 0)
	if err := flood(udp, floodLen()/2, 1); err != nil {
		t.Fatal(err)
	}
	full, id := p.resident("VmRSS")/1024, ""
	select {
	case id = <-m.met:
	case <-time.After(patience):
		t.Fatal("it did not say hello")
	}
	subjects := []string{"batch", "hello", "digest", "ask." + id, "to." + id}
	lines := "NATS/1.0\r\n" + strings.Repeat("a:\r\n", 200_000) + "\r\n"
	for _, said := range []nonsense{
		{body: strings.Repeat("x", 1<<20)},
		{body: strings.Repeat("x", 64<<10)},
		{body: strings.Repeat("x", 1000)},
		{},
		{headers: lines},
		{headers: "x\r\n\r\n"},
		{reply: strings.Repeat("r", 3900)},
	} {
		n, begun := 0, time.Now()
		for time.Since(begun) < 2*time.Second {
			for range 10 {
				m.says(subjects[n%len(subjects)], said)
				n++
			}
		}
		old.announces(t, 1, 0)
		t.Logf("%d messages of %d bytes, %d of headers, answers to %d: at most %.2f MB, now %.2f; full it was %.2f",
			n, len(said.body), len(said.headers), len(said.reply), p.resident("VmHWM")/1024, p.resident("VmRSS")/1024, full)
	}
	if peak := p.resident("VmHWM") / 1024; peak > float64(underTest()) && !race {
		t.Errorf("it took %.2f MB", peak)
	}
	until(t, floodLimit/2, "it has nothing more to refuse", func() bool {
		before := get(t, tcp, "/metrics")
		time.Sleep(100 * time.Millisecond)
		return rejected(before) > 100 && rejected(before) == rejected(get(t, tcp, "/metrics"))
	})
	old.announces(t, 0, 1)
}

// rejected returns how many messages were refused, of metrics.
func rejected(metrics string) (n int) {
	_, rest, _ := strings.Cut(metrics, "\ntracker_cluster_rejected_total ")
	fmt.Sscanf(rest, "%d", &n) // 0 where there is no such line
	return n
}

// A member speaks as one of several trackers with a NATS server, in that one's own
// words.
type member struct {
	t   *testing.T
	c   net.Conn
	met chan string // the id of the first tracker that said hello
}

// newMember returns a member that waits for a tracker.
func newMember(t *testing.T, port string) *member {
	t.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{t, c, make(chan string, 1)}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(floodLimit))
	if _, err := io.WriteString(c, "CONNECT {\"verbose\":false,\"echo\":false,\"headers\":true}\r\nSUB tracker.v1.hello 1\r\nPING\r\n"); err != nil {
		t.Fatal(err)
	}
	subscribed := make(chan struct{})
	go m.listen(subscribed)
	select {
	case <-subscribed:
	case <-time.After(patience):
		t.Fatal("the server does not answer")
	}
	return m
}

// listen takes what the server says until it is gone.
func (m *member) listen(subscribed chan<- struct{}) {
	in := bufio.NewReader(m.c)
	for {
		line, err := in.ReadString('\n')
		length := 0
		switch {
		case err != nil:
			return
		case strings.HasPrefix(line, "PONG"):
			close(subscribed)
		case strings.HasPrefix(line, "PING"):
			io.WriteString(m.c, "PONG\r\n") // or the next write fails
		case strings.HasPrefix(line, "-ERR"):
			m.t.Errorf("the server says %q", line)
		}
		if k, _ := fmt.Sscanf(line, "MSG tracker.v1.hello 1 %d", &length); k != 1 || length < 16 {
			continue
		}
		hello := make([]byte, length+len("\r\n"))
		if _, err := io.ReadFull(in, hello); err != nil {
			return
		}
		id := slices.Clone(hello[8:16])
		slices.Reverse(id)
		select {
		case m.met <- fmt.Sprintf("%x", id):
		default:
		}
	}
}

// nonsense is a message that means nothing.
type nonsense struct{ headers, reply, body string }

// says says it.
func (m *member) says(subject string, said nonsense) {
	verb, lengths := "PUB", fmt.Sprint(len(said.body))
	if said.headers != "" {
		verb, lengths = "HPUB", fmt.Sprintf("%d %d", len(said.headers), len(said.headers)+len(said.body))
	}
	if _, err := fmt.Fprintf(m.c, "%s tracker.v1.%s %s %s\r\n%s%s\r\n", verb, subject, said.reply, lengths, said.headers, said.body); err != nil {
		m.t.Fatal(err)
	}
}
