package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asTracker is the environment variable that makes the test binary the
// tracker.
const asTracker = "TRACKER_TEST_AS_TRACKER"

func TestMain(m *testing.M) {
	if os.Getenv(asTracker) != "" {
		repeatMost = 1000
		if race {
			leastSecond *= 10
		}
		if os.Getenv(asOther) != "" {
			shareMemory = false
		}
		if n, err := strconv.Atoi(os.Getenv(asGreedy)); err == nil {
			receiveBuffer = n
		}
		if os.Getenv(asHasty) != "" {
			helloLimit, readyLimit, takeLimit = time.Second/2, time.Second/2, time.Second/2
			layoutSlack = hastySlack
		}
		os.Exit(run(os.Args[1:]))
	}
	if os.Getenv(asPrisoner) != "" {
		os.Exit(prisoner())
	}
	os.Exit(m.Run())
}

// Variables that make that tracker one whose memory means something else, one
// that does not wait for long, or one that wants so many bytes of queue.
const (
	asGreedy = "TRACKER_TEST_RECEIVE_BUFFER"

	asOther = "TRACKER_TEST_OTHER_MEMORY"
	asHasty = "TRACKER_TEST_HASTY"
)

// hastySlack is the layoutSlack of one that does not wait for long.
const hastySlack = 64 << 10

// asPrisoner is the one that makes it what prisoner is.
const asPrisoner = "TRACKER_TEST_AS_PRISONER"

// prisoner is what a system has to try in a cell and a sandbox.
var prisoner func() int

// patience is how long a test waits for what should be there at once.
const patience = 10 * time.Second

// A process is a tracker that was started.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	lines *bufio.Reader
	late  *time.Timer // kills it
}

// startTracker starts a tracker, which is killed at the end of the test.
func startTracker(t testing.TB, args ...string) *process {
	t.Helper()
	return start(t, exec.Command(os.Args[0], args...))
}

// start starts a tracker that has been prepared, in the same way.
func start(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	cmd.Env = append(os.Environ(), asTracker+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop(); cmd.Process.Kill(); cmd.Wait() })
	return &process{t, cmd, bufio.NewReader(stderr), late}
}

// asideLines are what a tracker says in any case, or when it is started as
// root. Tests that are not about that do not care.
var asideLines = []string{"tracker: memory: ", "tracker: root given up: ", "tracker: user nobody may not search ", "tracker: sandbox: ", "tracker: self-check: "}

// says returns the next line of the tracker, which must begin with prefix,
// without it.
func (p *process) says(prefix string) string {
	p.t.Helper()
	line, err := p.lines.ReadString('\n')
	for slices.ContainsFunc(asideLines, func(skip string) bool {
		return strings.HasPrefix(line, skip) && !strings.HasPrefix(prefix, skip) && !strings.HasPrefix(skip, prefix)
	}) {
		line, err = p.lines.ReadString('\n')
	}
	rest, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), prefix)
	if !ok {
		p.t.Fatalf("tracker said %q (%v), want %q", line, err, prefix)
	}
	return rest
}

// signal sends a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// ends checks that the tracker ends with that code, and has nothing to say
// before.
func (p *process) ends(code int) {
	p.t.Helper()
	rest, err := io.ReadAll(p.lines)
	if len(rest) > 0 || err != nil {
		p.t.Errorf("tracker said %q (%v)", rest, err)
	}
	p.cmd.Wait()
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Errorf("%v, want exit code %d", p.cmd.ProcessState, code)
	}
}

// announces reports whether an announce for the torrent of 20 times ih is
// answered without a failure.
func announces(t *testing.T, to string, ih byte) bool {
	t.Helper()
	return !strings.Contains(get(t, to, announcePath(ih, 6881)), "failure")
}

// announcePath returns the path of an announce for the torrent of 20 times ih.
func announcePath(ih byte, port int) string {
	return fmt.Sprintf("/announce?info_hash=%s&port=%d&left=1", strings.Repeat(string(ih), 20), port)
}

// get returns the body of what a tracker answers to a request for path.
func get(t *testing.T, to, path string) string {
	t.Helper()
	body, err := tryGet(to, path)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// tryGet is get for goroutines that may not end the test.
func tryGet(to, path string) (string, error) {
	c, err := net.Dial("tcp", to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\n\r\n", path)
	answer, err := io.ReadAll(c)
	head, body, ok := strings.Cut(string(answer), "\r\n\r\n")
	if err != nil || !ok || !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") {
		return "", fmt.Errorf("%s: answer %q, %w", path, answer, err)
	}
	return body, nil
}

// until waits until what is true, and fails if that takes too long.
func until(t *testing.T, limit time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !is(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

func TestServesAndStops(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		port := "0"
		for range 3 { // the second and third on the port of the first, at once
			p := startTracker(t, "-i", "127.0.0.1", "-p", port, "-P", port)
			tcp := p.says("tracker: listening on tcp ")
			p.says("tracker: listening on udp 127.0.0.1:")
			if !announces(t, tcp, 'a') {
				t.Errorf("an announce is refused")
			}
			open, err := net.Dial("tcp", tcp) // a connection that lingers
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			p.signal(s)
			p.ends(0)
			_, port, _ = net.SplitHostPort(tcp)
		}
	}
}

// TestInUse checks that a second tracker does not share the port of the first
// in silence.
func TestInUse(t *testing.T) {
	first := startTracker(t, "-i", "127.0.0.1", "-p", "0", "-P", "0")
	for _, flag := range []string{"-p", "-P"} {
		network := map[string]string{"-p": "tcp", "-P": "udp"}[flag]
		at := first.says("tracker: listening on " + network + " ")
		_, port, _ := net.SplitHostPort(at)
		second := startTracker(t, "-i", "127.0.0.1", flag, port)
		second.says("tracker: listen " + network + " " + at + ": address already in use")
		second.ends(exitSystem)
	}
	first.signal(syscall.SIGTERM)
	first.ends(0)
}

func TestMistakes(t *testing.T) {
	p := startTracker(t, "-p", "port")
	p.says(`tracker: -p "port": `)
	p.says("Usage: tracker ")
	p.ends(1)
	p = startTracker(t, "-i", "192.0.2.1", "-p", "9") // not an address of this machine; a port nobody else has
	p.says("tracker: listen tcp 192.0.2.1:9: cannot assign requested address")
	p.ends(exitSystem)
}

// TestSignalsThatDoNotEnd checks that neither a terminal that goes away nor
// nobody listening ends a tracker, and that HUP reads the lists again.
func TestSignalsThatDoNotEnd(t *testing.T) {
	list := filepath.Join(t.TempDir(), "whitelist")
	write := func(ih byte) {
		t.Helper()
		if err := os.WriteFile(list, fmt.Appendf(nil, "%x\n", bytes.Repeat([]byte{ih}, 20)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write('a')
	p := startTracker(t, "-w", list, "-i", "127.0.0.1", "-p", "0")
	if os.Getuid() == 0 {
		p.says("tracker: whitelist " + list + ": not in here, so the one outside of the chroot is used")
	}
	p.says("tracker: whitelist " + list + ": 1 torrent")
	tcp := p.says("tracker: listening on tcp ")
	if !announces(t, tcp, 'a') || announces(t, tcp, 'b') {
		t.Errorf("the whitelist is not obeyed")
	}
	write('b')
	p.signal(syscall.SIGPIPE)
	p.signal(syscall.SIGHUP)
	until(t, patience, "the whitelist was read again", func() bool { return announces(t, tcp, 'b') })
	p.signal(syscall.SIGINT)
	p.cmd.Wait()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%v", p.cmd.ProcessState)
	}
}

// TestSummary checks the line that USR1 asks for.
func TestSummary(t *testing.T) {
	p := startTracker(t, "-i", "127.0.0.1", "-p", "0")
	tcp := p.says("tracker: listening on tcp ")
	announces(t, tcp, 'a')
	announces(t, tcp, 'b')
	p.signal(syscall.SIGUSR1)
	line := p.says("tracker: 2 torrents, 0 seeders, 2 leechers; up ")
	if _, counts, _ := strings.Cut(line, "; "); counts != "2 announces, 2 TCP connections, 0 UDP connects" {
		t.Errorf("got %q", line)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestManyHUP checks that signals that come faster than they are obeyed do not
// push out the one that ends the tracker.
func TestManyHUP(t *testing.T) {
	p := startTracker(t, "-i", "127.0.0.1", "-p", "0")
	p.says("tracker: listening on tcp ")
	for range 100 {
		p.signal(syscall.SIGHUP)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

func TestExpire(t *testing.T) {
	for interval, want := range map[time.Duration]int{
		30 * time.Minute: 50, 5 * time.Minute: 9, 4600 * time.Second: 127,
	} {
		if got := expire(interval); int(got) != want {
			t.Errorf("%v: %d minutes, want %d", interval, got, want)
		}
	}
}
