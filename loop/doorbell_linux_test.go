package loop

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A belled is a UDP socket whose datagrams are taken one at a time, when its
// doorbell says so.
type belled struct {
	*doorbell
	fd     int
	client net.Conn
	waited int  // receives that were allowed to wait
	none   int  // that found nothing
	got    byte // first byte of the last datagram
}

func newBelled(t *testing.T) *belled {
	t.Helper()
	l := openTest(t, []Addr{addr("udp 127.0.0.1:0")}, 1)[0]
	b := &belled{fd: l.fds[0], client: dialTest(t, "udp", l.addr.AddrPort.String())}
	var err error
	if b.doorbell, err = newDoorbell(b.fd, b.take); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

func (b *belled) take(flags int) unix.Errno {
	if flags&unix.MSG_DONTWAIT == 0 {
		b.waited++
	}
	var buf [1]byte
	_, _, err := unix.Recvfrom(b.fd, buf[:], flags)
	if errno, ok := err.(unix.Errno); ok {
		if errno == unix.EAGAIN {
			b.none++
		}
		return errno
	}
	b.got = buf[0]
	return 0
}

// expect sends a datagram after a pause and waits for it.
func (b *belled) expect(t *testing.T, pause time.Duration, what byte) {
	t.Helper()
	time.AfterFunc(pause, func() { b.client.Write([]byte{what}) })
	for b.mustWait(t); b.got != what; { // a signal ends a wait too
		b.mustWait(t)
	}
}

func (b *belled) mustWait(t *testing.T) {
	t.Helper()
	if !b.wait() {
		t.Fatal("the doorbell says that it was rung")
	}
}

// TestDoorbellWaits has datagrams come in quick succession and with long
// pauses, in every order of the two, and loses none of them.
func TestDoorbellWaits(t *testing.T) {
	b := newBelled(t)
	what := byte(0)
	for _, pause := range []time.Duration{0, 0, 5 * time.Millisecond, 0, 100 * time.Microsecond, 5 * time.Millisecond, 5 * time.Millisecond} {
		for range 3 * restlessRounds {
			what++
			b.expect(t, pause, what)
		}
	}
	if b.none == 0 {
		t.Error("never waited in the epoll")
	}
}

// TestDoorbellNearby has datagrams come as soon as they are waited for. Then
// the wait is the receiving call itself.
func TestDoorbellNearby(t *testing.T) {
	b := newBelled(t)
	done := make(chan struct{})
	defer func() { <-done }()
	taken := make(chan struct{})
	go func() {
		defer close(done)
		for range taken {
			b.client.Write([]byte{1})
		}
	}()
	defer close(taken)
	for i := 0; b.waited < 100; i++ {
		if i == 1_000_000 {
			t.Fatalf("%d of a million waits were calls", b.waited)
		}
		taken <- struct{}{}
		b.mustWait(t)
	}
}

// TestDoorbellDeaf has a datagram come between finding none and having the epoll
// look again: nothing will ever arrive that could wake it. The epoll has rung
// before, and was not asked for what.
func TestDoorbellDeaf(t *testing.T) {
	b := newBelled(t)
	for i := range byte(3) {
		b.expect(t, 5*time.Millisecond, i)
		for !b.deaf {
			b.client.Write([]byte{i}) // on the loopback interface it is there now
			b.mustWait(t)
		}
		b.doorbell.receive = func(int) unix.Errno {
			b.doorbell.receive = b.take
			b.client.Write([]byte{'x'})
			return unix.EAGAIN
		}
		b.mustWait(t)
		if b.got != 'x' {
			t.Errorf("got %q", b.got)
		}
	}
}

// TestDoorbellRing ends waits, those to come as well, and leaves the socket
// with what is waiting there.
func TestDoorbellRing(t *testing.T) {
	b := newBelled(t)
	ended := make(chan bool)
	go func() { ended <- b.wait() }()
	b.ring()
	if <-ended || b.wait() {
		t.Error("waited on")
	}
	b.client.Write([]byte{7})
	if errno := b.take(unix.MSG_DONTWAIT); errno != 0 || b.got != 7 {
		t.Errorf("the socket says %v, %d", errno, b.got)
	}
}
