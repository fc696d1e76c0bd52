package loop

import (
	"bufio"
	"io"
	"net"
	"testing"
)

// TestFewFiles checks that a server with hardly any descriptors serves more
// clients than it has, each of whom wants its connection to be kept: the limit
// of connections keeps it from ever lacking one.
func TestFewFiles(t *testing.T) {
	server := startChild(t, 64, 0)
	var held []net.Conn
	for range 200 {
		c := dialTest(t, "tcp", server.tcp)
		io.WriteString(c, keep)
		readResponse(t, bufio.NewReader(c))
		held = append(held, c)
	}
	connect(t, dialTest(t, "udp", server.udp))
	kept := 0
	for _, c := range held {
		io.WriteString(c, keep)
		if _, err := c.Read(make([]byte, 100)); err == nil {
			kept++
		}
	}
	if kept < 10 || kept > 32 {
		t.Errorf("%d connections are kept at once, want 10 to 32", kept)
	}
	line, n := server.counts(t)
	t.Logf("%d are kept; %s", kept, line)
	if n["refused"]+n["lacking"]+n["restarts"]+n["cut"] > 0 || n["evicted"] < 100 {
		t.Errorf("counted: %s", line)
	}
}

// TestFit shows that many processors and few descriptors still make a tracker.
func TestFit(t *testing.T) {
	for _, files := range []int{32, 64, 128, 1024, 1 << 20} {
		c, addrs := census{64, 64}, census{1, 1}
		c.fit(files, addrs)
		if c.tcp < 1 || c.tcp != c.udp || files >= 1<<20 && c.tcp != 64 || files <= 64 && c.tcp > 4 {
			t.Errorf("%d files: %d reactors", files, c.tcp)
		}
	}
}

func TestMaxConns(t *testing.T) {
	const files = 10_000
	room, err := maxConns(files, 0, 2)
	if err != nil || room < 100 {
		t.Fatalf("room for %d connections, %v", room, err)
	}
	if n, err := maxConns(files, 50, 2); n != 50 || err != nil {
		t.Errorf("asked for 50, got %d, %v", n, err)
	}
	if n, err := maxConns(files, 1<<20, 2); n != room || err != nil {
		t.Errorf("asked for too many, got %d, %v, want %d", n, err, room)
	}
	if _, err := maxConns(files, 0, 1<<20); err == nil {
		t.Errorf("there is room with more event loops than descriptors")
	}
}
