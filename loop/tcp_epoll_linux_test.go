//go:build !386 && !s390x

package loop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tracker/stats"
)

// TestAcceptFails has the process run out of descriptors while a client waits
// to be accepted. It is served when there are some again, and meanwhile the
// reactor does not spin.
func TestAcceptFails(t *testing.T) {
	said := make(chan string, 100)
	s := serveTest(t, Config{
		TCPReactors: 1, TCP: TransportBatches, IdleLimit: 500 * time.Millisecond,
		Listen: []Addr{addr("tcp 127.0.0.1:0")},
		Logf: func(format string, args ...any) {
			if line := fmt.Sprintf(format, args...); strings.HasPrefix(line, "accept: ") {
				select {
				case said <- line:
				default:
					t.Errorf("it is said too often")
				}
			}
		},
	})
	client := rawConn(t, unix.AF_INET)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	sa, _, err := sockaddr(s.Addrs()[0].AddrPort)
	if err == nil {
		err = unix.Connect(client, sa)
	}
	if err == nil {
		_, err = unix.Write(client, []byte(dont))
	}
	if err != nil {
		t.Error(err)
	} else {
		<-said
		<-said // it has tried again
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(client, make([]byte, 100)); n < len(statusOK) {
		t.Errorf("read %d bytes, %v", n, err)
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

// TestHalfClosedReadsLate is [TestReadsLate] with a client that has said that
// it says nothing more. It is not to be mistaken for one that is gone.
func TestHalfClosedReadsLate(t *testing.T) {
	s, to := serveSlowly(t)
	const n = 25
	for i, last := range []string{longRequest, keep} {
		c := dialTest(t, "tcp", to)
		io.WriteString(c, strings.Repeat(longRequest, n-1)+last)
		c.(*net.TCPConn).CloseWrite()
		s.waitFor(t, stats.HTTPAnnounces, uint64((i+1)*n))
		r := bufio.NewReader(c)
		for range n {
			readResponse(t, r)
		}
		readEnd(t, r)
	}
}
