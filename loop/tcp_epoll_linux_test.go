//go:build !386 && !s390x

package loop

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tracker/stats"
)

// listenForLack returns a function for Config.Logf that counts what is said of
// failures to accept.
func listenForLack(t *testing.T, said *atomic.Int32) Logf {
	return func(_ Level, _, format string, args ...any) {
		if line := fmt.Sprintf(format, args...); strings.HasPrefix(line, "accept: ") {
			said.Add(1)
			t.Log(line)
		}
	}
}

// limitFiles lowers the limit of descriptors until the function it returns is
// called, or the test ends.
func limitFiles(t *testing.T, n int) (restore func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = uint64(n)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	restore = func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(restore)
	return restore
}

// processTime returns the CPU time of this process so far.
func processTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAcceptFails has the process run out of descriptors while a client waits
// to be accepted and nobody can go. It is served at once when there are some
// again; meanwhile that costs next to no CPU time, and is said once.
func TestAcceptFails(t *testing.T) {
	var said atomic.Int32
	s := serveTest(t, Config{
		TCPReactors: 1, UDPReactors: 1, TCP: TransportBatches,
		Listen: []Addr{addr("tcp 127.0.0.1:0")},
		Logf:   listenForLack(t, &said),
	})
	client := rawConn(t, unix.AF_INET)
	restore := limitFiles(t, 3)
	connectRaw(t, client, s, dont)
	began, used := time.Now(), processTime(t)
	s.waitFor(t, stats.TCPAcceptErrors, 20)
	took := time.Since(began)
	used = processTime(t) - used
	t.Logf("20 failures in %v took %v of CPU time, %.2f %%", took, used, 100*used.Seconds()/took.Seconds())
	if used > took/10 || took < 10*acceptPause {
		t.Errorf("failing to accept keeps the processor busy")
	}
	restore()
	began = time.Now()
	if n, err := unix.Read(client, make([]byte, 100)); n < len(statusOK) {
		t.Errorf("read %d bytes, %v", n, err)
	}
	t.Logf("served %v after there were descriptors again", time.Since(began))
	if said.Load() != 1 {
		t.Errorf("said %d times", said.Load())
	}
}

// connectRaw connects fd to s and says in.
func connectRaw(t *testing.T, fd int, s *Server, in string) {
	t.Helper()
	sa, _, err := sockaddr(s.Addrs()[0].AddrPort)
	if err == nil {
		err = unix.Connect(fd, sa)
	}
	if err == nil {
		_, err = unix.Write(fd, []byte(in))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestLackMakesRoom has the process run out of descriptors below the limit of
// connections. Clients that come get those of connections that are idle.
func TestLackMakesRoom(t *testing.T) {
	const n = 5
	var said atomic.Int32
	s := serveTest(t, Config{
		TCPReactors: 1, UDPReactors: 1, TCP: TransportBatches,
		Listen: []Addr{addr("tcp 127.0.0.1:0")},
		Logf:   listenForLack(t, &said),
	})
	var clients [2 * n]int
	for i := range clients {
		clients[i] = rawConn(t, unix.AF_INET)
	}
	answered := func(fd int) bool {
		got, _ := unix.Read(fd, make([]byte, 1000))
		return got >= len(statusOK)
	}
	most := 0
	for _, fd := range clients[:n] {
		connectRaw(t, fd, s, keep)
		if !answered(fd) {
			t.Fatal("no answer")
		}
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range open {
		fd, _ := strconv.Atoi(f.Name())
		most = max(most, fd) // that is used
	}
	for fd := 0; fd <= most; { // now all below are used
		var err error
		if fd, err = dup(0); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
	}
	limitFiles(t, most+1)
	for i, fd := range clients[n:] {
		connectRaw(t, fd, s, keep)
		if !answered(fd) {
			t.Errorf("newcomer %d gets no answer", i)
		}
		if got, err := unix.Read(clients[i], make([]byte, 1)); got != 0 || err != nil {
			t.Errorf("the oldest connection is not closed: %d, %v", got, err)
		}
	}
	s.waitFor(t, stats.TCPEvicted, n)
	if totals := s.Totals(); totals.Sum(stats.TCPAcceptErrors) != n || said.Load() != 1 {
		t.Errorf("%d failures counted, %d told", totals.Sum(stats.TCPAcceptErrors), said.Load())
	}
}

// TestLack shows how often a lack is told.
func TestLack(t *testing.T) {
	var l lack
	var said []string
	logf := func(_ Level, _, format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	for now := range int64(100_000) {
		l.feel(now, unix.EMFILE, logf)
	}
	if len(said) != 2 || !strings.Contains(said[1], "too many open files; 60000 times") {
		t.Errorf("said %q", said)
	}
}

// rawConn returns a socket of its own until the end of the test, which gives
// up reading after a while.
func rawConn(t *testing.T, family int) int {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	tv := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestSilentIsDeferred checks that a connection on which nothing was said yet
// is not accepted, and is when something is.
func TestSilentIsDeferred(t *testing.T) {
	s := serveTest(t, Config{TCPReactors: 1, Listen: []Addr{addr("tcp 127.0.0.1:0")}})
	if n, err := unix.GetsockoptInt(s.listeners[0].fds[0], unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT); err != nil || n == 0 {
		t.Logf("connections are not deferred here: %d, %v", n, err)
		return
	}
	began := time.Now()
	silent := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
	other := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
	io.WriteString(other, dont)
	readResponse(t, bufio.NewReader(other)) // so silent has been seen, if at all
	totals := s.Totals()
	if n := totals.Sum(stats.TCPAccepts); n != 1 && time.Since(began) < time.Second {
		t.Errorf("%d connections accepted, want 1", n)
	}
	io.WriteString(silent, dont)
	readResponse(t, bufio.NewReader(silent))
}

// TestEndIsInAnswer checks that a client that asks once gets the answer and
// the end of the connection in the same packet, as far as it can tell: both
// are there when it first finds anything.
func TestEndIsInAnswer(t *testing.T) {
	s := serveTest(t, Config{TCPReactors: 1, Listen: []Addr{addr("tcp 127.0.0.1:0")}})
	sa, family, err := sockaddr(s.Addrs()[0].AddrPort)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		fd := rawConn(t, family)
		if err := unix.Connect(fd, sa); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(fd, []byte(dont)); err != nil {
			t.Fatal(err)
		}
		ev := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
		if n, err := unix.Poll(ev, int(patience.Milliseconds())); n != 1 {
			t.Fatalf("no answer, %v", err)
		}
		if ev[0].Revents&unix.POLLRDHUP == 0 {
			t.Errorf("the answer came without the end")
		}
	}
}

// TestBoundSending checks that what is set for a listener holds for connections:
// the kernel neither keeps much that a client does not take, nor for long.
func TestBoundSending(t *testing.T) {
	s := serveTest(t, Config{TCPReactors: 1, Listen: []Addr{addr("tcp 127.0.0.1:0")}})
	l := s.listeners[0].fds[0]
	for _, want := range []struct{ option, value int }{
		{unix.TCP_NOTSENT_LOWAT, maxQueued},
		{unix.TCP_USER_TIMEOUT, int(stallLimit.Milliseconds())},
	} {
		if got, err := unix.GetsockoptInt(l, unix.IPPROTO_TCP, want.option); got != want.value || err != nil {
			t.Errorf("option %d is %d (%v), want %d", want.option, got, err, want.value)
		}
	}

	// What is not taken is thrown away by the kernel, too.
	fd, err := bindSocket(binding{addr: addr("tcp 127.0.0.1:0")}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Listen(fd, 1); err != nil {
		t.Fatal(err)
	}
	boundSending(fd)
	at, err := localAddr(fd)
	if err != nil {
		t.Fatal(err)
	}
	sa, _, _ := sockaddr(at)
	client := rawConn(t, unix.AF_INET)
	if err := unix.Connect(client, sa); err != nil {
		t.Fatal(err)
	}
	conn, _, err := unix.Accept(fd)
	if err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(conn, true)
	if got, err := unix.GetsockoptInt(conn, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); got == 0 || err != nil {
		t.Errorf("a connection has no time limit: %v", err)
	}
	sent := 0
	for {
		n, err := unix.Write(conn, make([]byte, 64<<10))
		if err != nil {
			break
		}
		sent += n
	}
	unsent, _ := unix.IoctlGetInt(conn, unix.TIOCOUTQ)
	t.Logf("the kernel took %d KB for a client that does not read, and has %d KB of it", sent>>10, unsent>>10)
	abort(conn)
	unix.Close(conn)
	for n := 1; n > 0; {
		n, err = unix.Read(client, make([]byte, 64<<10))
	}
	if err != unix.ECONNRESET {
		t.Errorf("the client is told %v, want a reset", err)
	}
}

// TestPauseWhileRung pauses reactors that are always being told to do something,
// and newcomers are served in between.
func TestPauseWhileRung(t *testing.T) {
	s := serveTest(t, Config{TCPReactors: 2, Listen: []Addr{addr("tcp 127.0.0.1:0")}})
	end := make(chan struct{})
	var ringing sync.WaitGroup
	for _, r := range s.quota.reactors {
		ringing.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
					r.wake()
				}
			}
		})
	}
	c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
	r := bufio.NewReader(c)
	for range 200 {
		s.Pause()
		io.WriteString(c, keep)
		s.Resume()
		readResponse(t, r)
	}
	close(end)
	ringing.Wait()
}
