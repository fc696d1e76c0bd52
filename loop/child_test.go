package loop

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// childVar is the environment variable that makes the test binary a server in a
// process of its own. It says with what file limit, 0 being none, and how many
// torrents.
const childVar = "LOOP_TEST_CHILD"

func TestMain(m *testing.M) {
	var files unix.Rlimit
	var torrents int
	if _, err := fmt.Sscan(os.Getenv(childVar), &files.Cur, &torrents); err != nil {
		os.Exit(m.Run())
	}
	files.Max = files.Cur
	os.Exit(serveAsChild(files, torrents))
}

// childCounts are what a child says it has counted.
var childCounts = []struct {
	name string
	k    stats.Counter
}{
	{"accepted", stats.TCPAccepts},
	{"refused", stats.TCPRefused},
	{"expired", stats.TCPExpired},
	{"trickled", stats.TCPTrickled},
	{"overrun", stats.TCPOverrun},
	{"evicted", stats.TCPEvicted},
	{"cut", stats.TCPCut},
	{"crowded", stats.TCPCrowded},
	{"lacking", stats.TCPAcceptErrors},
	{"busy", stats.HTTPBusy},
	{"restarts", stats.EngineRestarts},
}

// serveAsChild serves until its standard input ends. For each line there it says
// what it has counted so far.
func serveAsChild(files unix.Rlimit, torrents int) int {
	debug.SetGCPercent(25) // as the program does
	st := fullStore(torrents)
	var found store.Answer
	for port := range uint16(200) { // of a torrent with a long answer
		q := store.Query{Peer: proto.MakePeer(client4.Addr(), port+1)}
		copy(q.Infohash[:], strings.Repeat("a", 20))
		st.Announce(&q, 0, store.NewRand(1), &found)
	}
	if files.Cur > 0 {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	s, err := Run(Config{
		Listen:      []Addr{addr("tcp 127.0.0.1:0"), addr("udp 127.0.0.1:0")},
		TCPReactors: 2,
		Store:       st,
		Logf:        func(_ Level, _, format string, args ...any) { fmt.Printf(format+"\n", args...) },
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer s.Stop()
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		totals := s.Totals()
		line := fmt.Sprint("open ", s.quota.used.Load())
		for _, c := range childCounts {
			line += fmt.Sprintf(", %s %d", c.name, totals.Sum(c.k))
		}
		fmt.Println(line)
	}
	return 0
}

// A child is a server in a process of its own.
type child struct {
	*exec.Cmd
	in       io.Writer
	out      *bufio.Reader
	tcp, udp string   // where it listens
	said     []string // of failures to accept
}

// startChild starts a server that lives no longer than the test.
func startChild(t *testing.T, files, torrents int) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0])}
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", childVar, files, torrents))
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	c.in, c.out = in, bufio.NewReader(out)
	c.tcp, c.udp = c.hear(t, "listening on tcp "), c.hear(t, "listening on udp ")
	return c
}

// hear returns what follows prefix on the next line that c says.
func (c *child) hear(t *testing.T, prefix string) string {
	t.Helper()
	line, err := c.out.ReadString('\n')
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), prefix)
	if !ok {
		t.Fatalf("said %q, %v", line, err)
	}
	return rest
}

// counts returns what c has counted, as a line and by name.
func (c *child) counts(t *testing.T) (line string, of map[string]int) {
	t.Helper()
	io.WriteString(c.in, "\n")
	line = c.hear(t, "")
	for strings.HasPrefix(line, "accept: ") {
		c.said = append(c.said, line)
		line = c.hear(t, "")
	}
	of = map[string]int{}
	for _, part := range strings.Split(line, ", ") {
		var name string
		var n int
		fmt.Sscan(part, &name, &n)
		of[name] = n
	}
	return line, of
}
