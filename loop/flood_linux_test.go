//go:build !386 && !s390x

package loop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// rss returns what memory c has, in bytes.
func (c *child) rss(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.Process.Pid))
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 2 {
		t.Fatal(err)
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize()
}

// files returns how many descriptors c has open.
func (c *child) files(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

// cpu returns the CPU time of c so far, to 10 ms.
func (c *child) cpu(t *testing.T) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rested has c answer once, and returns how many descriptors it has open once the
// connection is closed on its side too.
func (c *child) rested(t *testing.T) int {
	t.Helper()
	if err := askOnce(c.tcp); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; {
		line, counted := c.counts(t)
		if counted["open"] == 0 {
			return c.files(t)
		}
		if time.Now().After(end) {
			t.Fatalf("a connection stays: %s", line)
		}
	}
}

// settle waits until c has no connections and no more descriptors than before.
func (c *child) settle(t *testing.T, files int) {
	t.Helper()
	for end := time.Now().Add(longPatience); ; time.Sleep(10 * time.Millisecond) {
		line, n := c.counts(t)
		if n["open"] == 0 && c.files(t) <= files {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d descriptors, %d before; %s", c.files(t), files, line)
		}
	}
}

// floodConn returns a blocking socket connected to c, from a loopback address
// chosen by i, so that there are ports for many. It has next to no room for an
// answer.
func (c *child) floodConn(t *testing.T, i int) int {
	t.Helper()
	to, err := net.ResolveTCPAddr("tcp", c.tcp)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 66, 0, byte(1 + i/2000)}})
	}
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte(to.IP.To4()), Port: to.Port})
	}
	if err != nil {
		t.Fatalf("connection %d: %v", i, err)
	}
	return fd
}

// floodLen returns n, or fewer if this process may not open so many descriptors.
func floodLen(t *testing.T, n int) int {
	files, err := raiseFileLimit()
	if err != nil {
		t.Fatal(err)
	}
	return min(n, files-300)
}

// A bystander is a well-behaved client that asks again and again, over a new
// connection each time, and measures how long the answers take.
type bystander struct {
	end    func()
	asking sync.WaitGroup
	took   []time.Duration
	failed int
	err    error
}

// watchFrom has a bystander ask until it is checked, or until the test is over.
func watchFrom(t *testing.T, to string) *bystander {
	ctx, end := context.WithCancel(t.Context())
	b := &bystander{end: end}
	t.Cleanup(b.asking.Wait)
	t.Cleanup(end)
	b.asking.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			began := time.Now()
			if err := askOnce(to); err != nil {
				b.failed++
				b.err = err
			}
			b.took = append(b.took, time.Since(began))
		}
	})
	return b
}

// askOnce asks and reads the whole answer.
func askOnce(to string) error {
	c, err := net.DialTimeout("tcp", to, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err = io.WriteString(c, dont); err != nil {
		return err
	}
	answer, err := io.ReadAll(bufio.NewReader(c))
	if err == nil && !strings.HasPrefix(string(answer), statusOK) {
		err = fmt.Errorf("got %q", answer)
	}
	return err
}

// check ends b and checks that it was always answered. It returns the latencies.
func (b *bystander) check(t *testing.T) string {
	t.Helper()
	b.end()
	b.asking.Wait()
	if b.failed > 0 {
		t.Errorf("a well-behaved client got no answer %d times of %d: %v", b.failed, len(b.took), b.err)
	}
	slices.Sort(b.took)
	n := len(b.took)
	return fmt.Sprintf("%d asks, p50 %v, p99 %v, most %v", n, b.took[n/2], b.took[n*99/100], b.took[n-1])
}

// TestTenThousandSlow has ten thousand clients that say a byte now and then. They
// take little memory and nobody's time, and are closed when theirs is over.
func TestTenThousandSlow(t *testing.T) {
	c := startChild(t, 0, 0)
	n := floodLen(t, 10_000)
	files := c.rested(t)
	memory, cpu := c.rss(t), c.cpu(t)
	b := watchFrom(t, c.tcp)
	began := time.Now()
	fds := make([]int, n)
	for i := range fds {
		fds[i] = c.floodConn(t, i)
		unix.Write(fds[i], []byte("GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.1\r\nUser-Agent: "))
	}
	peak := 0
	for end := time.Now().Add(patience); ; {
		line, counted := c.counts(t)
		if counted["open"] >= n {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d descriptors, %d before: %s", c.files(t), files, line)
		}
	}
	held := c.rss(t)
	t.Logf("%d slow connections after %v: RSS %d KB, %d KB before: %d bytes each", n, time.Since(began), held>>10, memory>>10, (held-memory)/n)
	tick := time.NewTicker(500 * time.Millisecond)
	for open := n; open > 0; <-tick.C { // until all of them are closed, whatever they say
		open = 0
		for i, fd := range fds {
			if fd < 0 {
				continue
			}
			if _, err := unix.SendmsgN(fd, []byte("x"), nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT); err != nil {
				unix.Close(fd)
				fds[i] = -1
				continue
			}
			open++
		}
		peak = max(peak, c.rss(t))
		if time.Since(began) > longPatience {
			t.Fatalf("%d are still open", open)
		}
	}
	t.Logf("all closed after %v; most RSS %d KB; meanwhile: %s", time.Since(began), peak>>10, b.check(t))
	c.settle(t, files)
	line, counted := c.counts(t)
	t.Logf("afterwards RSS %d KB, CPU %v; %s", c.rss(t)>>10, c.cpu(t)-cpu, line)
	if counted["trickled"] != n {
		t.Errorf("%d counted, want %d", counted["trickled"], n)
	}
	if !raced && (held-memory)/n > 1500 {
		t.Errorf("a slow connection costs %d bytes", (held-memory)/n)
	}
}

// TestAbandonedAnswers has two thousand clients at once ask for much and leave in
// the middle of it, with a reset, in peace, or without saying so at all.
func TestAbandonedAnswers(t *testing.T) {
	c := startChild(t, 0, manyTorrents)
	n := floodLen(t, 2_000)
	files, memory := c.rested(t), c.rss(t)
	fds := make([]int, n)
	peak := 0
	for i := range fds {
		fds[i] = c.floodConn(t, i)
		in := strings.Repeat(longRequest, 25) // as much as is kept for one
		if i%2 == 0 {
			in = "GET /scrape HTTP/1.1\r\n\r\n"
		}
		unix.Write(fds[i], []byte(in))
		peak = max(peak, c.rss(t))
	}
	for end := time.Now().Add(longPatience); ; {
		line, counted := c.counts(t)
		if peak = max(peak, c.rss(t)); counted["accepted"] > n {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("not all are accepted: %s", line)
		}
	}
	b := watchFrom(t, c.tcp)
	for i, fd := range fds {
		_, _, _ = unix.Recvfrom(fd, make([]byte, 1000), unix.MSG_DONTWAIT)
		if i%3 == 0 {
			abort(fd)
		}
		if i%3 < 2 {
			unix.Close(fd)
			fds[i] = -1
		}
		peak = max(peak, c.rss(t))
	}
	line, counted := c.counts(t)
	t.Logf("%d left: RSS %d KB, most %d KB, %d KB before; %s", n, c.rss(t)>>10, peak>>10, memory>>10, line)
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	t.Logf("meanwhile: %s", b.check(t))
	c.settle(t, files)
	t.Logf("afterwards RSS %d KB", c.rss(t)>>10)
	if counted["busy"]+counted["crowded"] == 0 {
		t.Errorf("counted: %s", line)
	}
	if !raced && peak-memory > 24<<20 {
		t.Errorf("%d KB for those who do not read", (peak-memory)>>10)
	}
}

// TestFilesRunOut lowers the limit of descriptors of a running server below what
// it has open while clients keep coming, all of whom want to stay, and raises it
// again.
func TestFilesRunOut(t *testing.T) {
	const last = 5 * time.Second
	c := startChild(t, 0, 0)
	askOnce(c.tcp)
	var was unix.Rlimit
	few := unix.Rlimit{Cur: 64, Max: 64}
	if err := unix.Prlimit(c.Process.Pid, unix.RLIMIT_NOFILE, nil, &was); err != nil {
		t.Fatal(err)
	}
	few.Max = was.Max
	if err := unix.Prlimit(c.Process.Pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	cpu, began := c.cpu(t), time.Now()
	asked := 0
	var held [200]int
	for i := range held {
		held[i] = -1
	}
	for ; time.Since(began) < last; asked++ {
		fd := c.floodConn(t, asked%2000)
		unix.Write(fd, []byte(keep))
		if n, err := unix.Read(fd, make([]byte, 1000)); n < len(statusOK) {
			t.Fatalf("client %d gets no answer: %v", asked, err)
		}
		if old := &held[asked%len(held)]; *old >= 0 {
			unix.Close(*old)
		}
		held[asked%len(held)] = fd
		time.Sleep(time.Millisecond)
	}
	used := c.cpu(t) - cpu
	line, n := c.counts(t)
	t.Logf("%d clients in %v took %v of CPU time, %v each; %s", asked, last, used, used/time.Duration(asked), line)
	if n["lacking"] == 0 || n["evicted"] == 0 || n["cut"]+n["refused"] > 0 || len(c.said) != 1 {
		t.Errorf("said %q; counted: %s", c.said, line)
	}

	// Nobody can go: all of them ask.
	for i := range held {
		unix.Close(held[i])
		held[i] = c.floodConn(t, i)
		unix.Write(held[i], []byte(keep[:20]))
	}
	if err := unix.Prlimit(c.Process.Pid, unix.RLIMIT_NOFILE, &was, nil); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	if err := askOnce(c.tcp); err != nil {
		t.Errorf("after there are descriptors again: %v", err)
	}
	t.Logf("served %v after there were descriptors again", time.Since(back))
	for _, fd := range held {
		unix.Close(fd)
	}
}
