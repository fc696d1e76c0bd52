package loop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tracker/stats"
	"tracker/store"
)

// fewFiles is the environment variable that makes the test binary a server
// with a file limit of 64.
const fewFiles = "LOOP_TEST_FEW_FILES"

func TestMain(m *testing.M) {
	if os.Getenv(fewFiles) == "" {
		os.Exit(m.Run())
	}
	os.Exit(serveWithFewFiles())
}

// serveWithFewFiles serves until its standard input ends, and then says what
// it counted.
func serveWithFewFiles() int {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		fmt.Println(err)
		return 1
	}
	s, err := Run(Config{
		Listen:      []Addr{addr("tcp 127.0.0.1:0"), addr("udp 127.0.0.1:0")},
		TCPReactors: 2,
		Store:       store.New(store.Options{}),
		Logf:        func(format string, args ...any) { fmt.Printf(format+"\n", args...) },
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	io.Copy(io.Discard, os.Stdin)
	totals := s.Totals()
	fmt.Println("restarts", totals.Sum(stats.EngineRestarts), "refused", totals.Sum(stats.TCPRefused),
		"errors", totals.Sum(stats.TCPAcceptErrors))
	s.Stop()
	return 0
}

// TestFewFiles checks that a server with hardly any descriptors serves more
// clients than it has, each of whom wants its connection to be kept: the limit
// of connections keeps it from ever lacking one.
func TestFewFiles(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fewFiles+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewReader(out)
	where := func(prefix string) string {
		line, err := lines.ReadString('\n')
		to, ok := strings.CutPrefix(strings.TrimSpace(line), prefix)
		if !ok {
			t.Fatalf("said %q, %v", line, err)
		}
		return to
	}
	tcp, udp := where("listening on tcp "), where("listening on udp ")

	var held []net.Conn
	for range 200 {
		c := dialTest(t, "tcp", tcp)
		io.WriteString(c, keep)
		readResponse(t, bufio.NewReader(c))
		held = append(held, c)
	}
	connect(t, dialTest(t, "udp", udp))
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
	in.Close()
	if line, _ := lines.ReadString('\n'); line != "restarts 0 refused 0 errors 0\n" {
		t.Errorf("said %q", line)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
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
