//go:build linux

package e2e

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"
)

// TestClusterTransfer sees a file travel between two clients that each know
// another tracker, for every client, over HTTP and UDP.
func TestClusterTransfer(t *testing.T) {
	makeNetwork(t)
	hub := namespace("tracker")
	broker := start(t, inside(hub, need(t, "nats-server", "nats-server"), "-a", "127.0.0.1", "-p", "4222"))
	ports := []uint16{trackerPort, trackerPort + 1}
	var trackers []*server
	for i, port := range ports {
		conf := filepath.Join(t.TempDir(), "tracker.conf")
		write(t, conf, fmt.Appendf(nil, "listen.tcp_udp [::]:%d\ncluster.url nats://127.0.0.1\ncluster.name tracker-%d\n", port, i))
		cmd := inside(hub, tracker(t), "-d", workDir, "-f", conf)
		s := &server{process: start(t, cmd), addr: netip.AddrPortFrom(family4.host(1), port)}
		if err := waitPorts(s.process, port); err != nil {
			t.Fatalf("%v\n%s", err, &s.out)
		}
		trackers = append(trackers, s)
	}
	if broker.ended() {
		t.Fatalf("no nats-server\n%s", &broker.out)
	}
	port := uint16(21000)
	t.Run("by", func(t *testing.T) {
		for _, c := range clients {
			for _, scheme := range []string{"http", "udp"} {
				port++
				x := &transfer{client: c, scheme: scheme, family: family4, port: port}
				t.Run(c.name+"/"+scheme, func(t *testing.T) { t.Parallel(); x.between(t, ports) })
			}
		}
	})
	for _, s := range trackers {
		s.stopTracker(t)
	}
}

// between moves the file from a client of the tracker at the first port to one of
// that at the second.
func (x *transfer) between(t *testing.T, ports []uint16) {
	content := payload(uint64(x.port))
	var sides [2]*side
	var ih [20]byte
	for i, role := range []string{"seeder", "leecher"} {
		var torrent []byte
		torrent, ih = metainfo(fmt.Sprintf("%s://%s:%d/announce", x.scheme, trackerName, ports[i]), content)
		sides[i] = x.side(t, role, 2+i, torrent)
	}
	write(t, filepath.Join(sides[0].dir, payloadName), content)
	at := func(i int) counts {
		return scrapeFrom(t, namespace("tracker"), netip.AddrPortFrom(family4.host(1), ports[i]), ih)
	}
	deadline := time.Now().Add(transferLimit)
	seeding := start(t, x.client.run(t, sides[0]))
	if !await(deadline, seeding, func() bool { return at(1).complete == 1 }) {
		t.Fatalf("the second tracker did not learn of the seeder within %v; the first has %+v", transferLimit, at(0))
	}
	leeching := start(t, x.client.run(t, sides[1]))
	arrived := filepath.Join(sides[1].dir, payloadName)
	if !await(deadline, leeching, func() bool { return holds(arrived, content) }) {
		t.Fatalf("the file did not arrive within %v", transferLimit)
	}
	want := counts{complete: 2, downloaded: 1}
	if !await(deadline, leeching, func() bool { return at(0) == want && at(1) == want }) {
		t.Errorf("afterwards the trackers have %+v and %+v, want %+v", at(0), at(1), want)
	}
}
