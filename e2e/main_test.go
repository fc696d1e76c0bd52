//go:build linux

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startLimit and stopLimit bound how long a program may take to open its
	// sockets and to end after SIGTERM. Both take milliseconds; the rest is for
	// a machine that runs all tests at once.
	startLimit = 20 * time.Second
	stopLimit  = 20 * time.Second

	// parallelTests is how many tests run at the same time. They wait for
	// clients far more than they compute, so it is not the number of cores.
	parallelTests = 16

	// pollEvery is the pause between two looks at something that is awaited.
	pollEvery = 20 * time.Millisecond
)

// workDir holds what outlives one test: the tracker's binary.
var workDir string

func TestMain(m *testing.M) {
	var err error
	if workDir, err = os.MkdirTemp("", "tracker-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Chmod(workDir, 0o755) // a tracker that gave up root still reads its lists
	sweepNamespaces()
	flag.Parse()
	flag.Set("test.parallel", fmt.Sprint(parallelTests))
	code := m.Run()
	os.RemoveAll(workDir)
	os.Exit(code)
}

// build makes the tracker the way the Makefile does, once for all tests.
var build = sync.OnceValues(func() (string, error) {
	noticeSources()
	path := filepath.Join(workDir, "tracker")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s", "-o", path, "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd, err, out)
	}
	return path, nil
})

// noticeSources looks at every source file of the tracker. "go test" sees that,
// and asks for it before it takes a result from its cache: it does not see what
// the build reads.
func noticeSources() {
	filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		switch {
		case err != nil:
			return nil // the build will say so
		case d.IsDir() && len(name) > 2 && name[0] == '.':
			return filepath.SkipDir // .git changes all the time
		case filepath.Ext(name) == ".go" || filepath.Ext(name) == ".gz" || name == "go.mod" || name == "go.sum":
			os.Stat(path)
		}
		return nil
	})
}

// tracker returns the path of the built ./tracker.
func tracker(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// need returns the path of a program of Debian's, or fails with the name of
// the package that has it.
func need(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is needed: apt-get install %s", program, debianPackage)
	}
	return path
}

// A process is a program a test started. Its output is kept for the case of a
// failure.
type process struct {
	cmd  *exec.Cmd
	out  output
	done chan struct{} // closed when the program has ended
	err  error         // of cmd.Wait, valid once done is closed
}

// An output collects what a program writes.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs cmd until the test ends. Whatever is left of it then is killed,
// with its children, and its output shown if the test failed.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = stopLimit // a grandchild that keeps our pipe open does not keep us
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // ESRCH if all have ended: good
		<-p.done
		if t.Failed() {
			t.Logf("%v wrote:\n%s", cmd, &p.out)
		}
	})
	return p
}

// ended reports whether the program is no more.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// A server is a running tracker, ours or another.
type server struct {
	*process
	addr   netip.AddrPort
	probes int // how often goesOn asked
}

// startServer runs path with args on a free port of 127.0.0.1, TCP and UDP,
// and returns when both sockets are open. Asking it whether it is ready would
// be simpler, but would also be counted in its statistics.
func startServer(t *testing.T, path string, args ...string) *server {
	t.Helper()
	for try := 1; ; try++ {
		addr := freePort(t)
		port := fmt.Sprint(addr.Port())
		p := start(t, exec.Command(path, append([]string{"-i", "127.0.0.1", "-p", port, "-P", port}, args...)...))
		err := waitPorts(p, addr.Port())
		if err == nil {
			return &server{process: p, addr: addr}
		}
		if try == 3 { // another program may have been quicker with the port, but not thrice
			t.Fatalf("%v: %v\n%s", p.cmd, err, &p.out)
		}
	}
}

// startTracker starts ours and has it stop as it should when the test ends:
// alive until then, and with exit code 0 after SIGTERM.
func startTracker(t *testing.T, args ...string) *server {
	t.Helper()
	s := startServer(t, tracker(t), args...)
	t.Cleanup(func() { s.stopTracker(t) })
	return s
}

func (s *server) stopTracker(t *testing.T) {
	t.Helper()
	if s.ended() {
		t.Errorf("the tracker ended on its own: %v\n%s", s.err, &s.out)
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(stopLimit):
		t.Errorf("the tracker still runs %v after SIGTERM\n%s", stopLimit, &s.out)
		return
	}
	if s.err != nil {
		t.Errorf("after SIGTERM: %v, want exit code 0\n%s", s.err, &s.out)
	}
}

// waitPorts waits until p listens on port over TCP and UDP.
func waitPorts(p *process, port uint16) error {
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(pollEvery) {
		if p.ended() {
			return errors.Join(errors.New("ended at once"), p.err)
		}
		pid := p.cmd.Process.Pid
		if tcpListens(pid, port) && udpBound(pid, port) {
			return nil
		}
	}
	return fmt.Errorf("not listening on port %d after %v", port, startLimit)
}
