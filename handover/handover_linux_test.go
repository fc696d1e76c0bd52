package handover

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// pair returns both ends of a conversation.
func pair(t *testing.T) (heir, giver *Peer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if heir, err = Dial(path); err != nil {
		t.Fatal(err)
	}
	if giver, err = l.Accept(os.Getuid(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Peer{heir, giver} {
		t.Cleanup(p.Close)
		if err := p.Limit(10 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	return heir, giver
}

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

func TestMessages(t *testing.T) {
	heir, giver := pair(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), MaxMessage/16)
	fds := copies(t, os.Stdin, MaxFiles)
	sent := make(chan error, 1)
	go func() {
		sent <- errors.Join(giver.Send(1, nil), giver.Send(2, body, fds...), giver.Send(3, body[:5]))
	}()
	for _, want := range []struct {
		kind        uint32
		body, files int
	}{{1, 0, 0}, {2, MaxMessage, MaxFiles}, {3, 5, 0}} {
		m, err := heir.Receive()
		if err != nil || m.Kind != want.kind || !bytes.Equal(m.Body, body[:want.body]) || len(m.Files) != want.files {
			t.Fatalf("message %d of %d bytes with %d files, %v; want %v", m.Kind, len(m.Body), len(m.Files), err, want)
		}
		m.CloseFiles()
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	giver.Close()
	if _, err := heir.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestMessageTooLong refuses what no tracker says, before it costs memory.
func TestMessageTooLong(t *testing.T) {
	heir, giver := pair(t)
	if _, err := giver.conn.Write([]byte{1, 0, 16, 0, 1, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := heir.Receive(); !errors.Is(err, ErrMessage) {
		t.Errorf("a message of a byte too many: %v", err)
	}
}

// TestMissingFiles tells when descriptors got lost on the way, as they do where
// the limit on open files is reached: a socket that nobody reads keeps what
// arrives there for ever.
func TestMissingFiles(t *testing.T) {
	heir, giver := pair(t)
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
	heir, giver := pair(t)
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
	heir, giver := pair(t)
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

// TestListen makes a socket for its owner alone, in the place of one that nobody
// has any more, and of nothing else.
func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	if _, err := Dial(path); !errors.Is(err, ErrNobody) {
		t.Errorf("nothing there: %v", err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode() != os.ModeSocket|0o600 {
		t.Errorf("it is %v, %v", fi.Mode(), err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrTaken) {
		t.Errorf("where somebody listens: %v", err)
	}
	l.Close()
	if _, err := Dial(path); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody there: %v", err)
	}
	if l, err = Listen(path); err != nil {
		t.Fatalf("where nobody listens any more: %v", err)
	}
	l.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil {
		t.Error("a file was taken for a socket")
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file has %q, %v", b, err)
	}
}
