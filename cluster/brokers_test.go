package cluster

import (
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// brokers are real nats-servers, clustered, on ports of the loopback.
type brokers struct {
	t      testing.TB
	client []int // their ports
	routes []int
	cmds   []*exec.Cmd
}

// startBrokers starts n of them and waits until they take clients.
func startBrokers(t testing.TB, n int) *brokers {
	t.Helper()
	b := &brokers{t: t, client: freePorts(t, n), routes: freePorts(t, n), cmds: make([]*exec.Cmd, n)}
	for i := range n {
		b.start(i)
	}
	t.Cleanup(func() {
		for i := range b.cmds {
			b.kill(i)
		}
	})
	return b
}

// start starts broker i, which does not run.
func (b *brokers) start(i int) {
	b.t.Helper()
	path, err := exec.LookPath("nats-server")
	if err != nil {
		b.t.Fatal("nats-server is not installed: apt-get install nats-server")
	}
	args := []string{"-a", "127.0.0.1", "-p", fmt.Sprint(b.client[i]), "-n", fmt.Sprint("broker", i)}
	if len(b.client) > 1 {
		var others []string
		for k, port := range b.routes {
			if k != i {
				others = append(others, fmt.Sprintf("nats://127.0.0.1:%d", port))
			}
		}
		args = append(args, "--cluster_name", "trackers", "--cluster", fmt.Sprintf("nats://127.0.0.1:%d", b.routes[i]),
			"--routes", strings.Join(others, ","))
	}
	b.cmds[i] = exec.Command(path, args...)
	if err := b.cmds[i].Start(); err != nil {
		b.t.Fatal(err)
	}
	waitFor(b.t, 10*time.Second, fmt.Sprint("broker ", i), func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.client[i]))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// kill ends broker i at once.
func (b *brokers) kill(i int) {
	if b.cmds[i] != nil {
		b.cmds[i].Process.Kill()
		b.cmds[i].Wait() // it was killed
		b.cmds[i] = nil
	}
}

// url returns the address of broker i.
func (b *brokers) url(i int) *url.URL {
	u, err := url.Parse(fmt.Sprintf("nats://127.0.0.1:%d", b.client[i]))
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// urls returns all addresses, i's first.
func (b *brokers) urls(i int) (all []*url.URL) {
	for k := range b.client {
		all = append(all, b.url((i+k)%len(b.client)))
	}
	return all
}

// freePorts returns n ports that nobody listens on.
func freePorts(t testing.TB, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// waitFor waits until ok returns true.
func waitFor(t testing.TB, most time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(most); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not after %v", what, most)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
