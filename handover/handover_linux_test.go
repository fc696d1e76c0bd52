package handover

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"
)

// copies returns n descriptors of one file.
func copies(t *testing.T, f *os.File, n int) (fds []int) {
	t.Helper()
	for range n {
		fd, err := syscall.Dup(int(f.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
		fds = append(fds, fd)
	}
	return fds
}

// TestMissingFiles tells when descriptors got lost on the way, as they do where
// the limit on open files is reached: a socket that nobody reads keeps what
// arrives there for ever.
func TestMissingFiles(t *testing.T) {
	giver, heir := pair(t)
	if err := giver.Send(1, nil, copies(t, os.Stdin, MaxFiles+20)...); err != nil {
		t.Fatal(err)
	}
	if m, err := heir.Receive(); !errors.Is(err, ErrFiles) {
		t.Errorf("message %d with %d files, %v", m.Kind, len(m.Files), err)
	}
}

// TestSendGoesOn has a limit be over in the middle of a message. What is sent
// next comes behind all of it.
func TestSendGoesOn(t *testing.T) {
	giver, heir := pair(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), MaxMessage/16)
	if err := giver.Limit(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := giver.Send(1, body); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a megabyte that nobody reads: %v", err)
	}
	if err := giver.Limit(0); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() { sent <- giver.Send(2, nil) }()
	if m, err := heir.Receive(); err != nil || m.Kind != 1 || !bytes.Equal(m.Body, body) {
		t.Errorf("first: %d, %d bytes, %v", m.Kind, len(m.Body), err)
	}
	if m, err := heir.Receive(); err != nil || m.Kind != 2 {
		t.Errorf("then: %d, %v", m.Kind, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// TestShut loses nothing that was sent, and tells who sends too late.
func TestShut(t *testing.T) {
	giver, heir := pair(t)
	if err := giver.Send(1, nil); err != nil {
		t.Fatal(err)
	}
	if err := heir.Shut(); err != nil {
		t.Fatal(err)
	}
	if err := giver.Send(2, nil); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("sending too late: %v", err)
	}
	if m, err := heir.Receive(); err != nil || m.Kind != 1 {
		t.Errorf("what was sent in time: %d, %v", m.Kind, err)
	}
	if m, err := heir.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("and then: %d, %v", m.Kind, err)
	}
}
