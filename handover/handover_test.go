//go:build linux || darwin || freebsd

package handover

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns both sides of a conversation.
func pair(t *testing.T) (here, there *Peer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if fi, err := os.Stat(path); err != nil || fi.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if there, err = Dial(path); err != nil {
		t.Fatal(err)
	}
	if here, err = l.Accept(os.Getuid(), func(uid int) { t.Errorf("user %d is refused", uid) }); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Peer{here, there} {
		p.Limit(10 * time.Second)
		t.Cleanup(p.Close)
	}
	return here, there
}

// TestMessages sends messages of all lengths, with descriptors, one right behind
// the other.
func TestMessages(t *testing.T) {
	here, there := pair(t)
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lengths, files := []int{0, 1, 4096, MaxMessage, 3}, []int{1, 0, MaxFiles, 2, 0}
	sent := make(chan error, 1)
	go func() {
		for i, n := range lengths {
			fds := make([]int, files[i])
			for k := range fds {
				fds[k] = int(f.Fd())
			}
			if err := here.Send(uint32(i), bytes.Repeat([]byte{byte(i)}, n), fds...); err != nil {
				sent <- err
				return
			}
		}
		here.Close()
		sent <- nil
	}()
	for i, n := range lengths {
		m, err := there.Receive()
		if err != nil || m.Kind != uint32(i) || !bytes.Equal(m.Body, bytes.Repeat([]byte{byte(i)}, n)) || len(m.Files) != files[i] {
			t.Fatalf("message %d: kind %d, %d bytes, %d files: %v", i, m.Kind, len(m.Body), len(m.Files), err)
		}
		for _, fd := range m.Files {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor %d: flags %x, %v", fd, flags, err)
			}
		}
		m.CloseFiles()
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if _, err := there.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestBadMessage receives what is no message.
func TestBadMessage(t *testing.T) {
	here, there := pair(t)
	if _, err := here.conn.write([]byte{0, 0, 0x10, 1, 0, 0, 0, 0}, nil); err != nil { // 65,536 bytes too many
		t.Fatal(err)
	}
	if _, err := there.Receive(); !errors.Is(err, ErrMessage) {
		t.Errorf("too long: %v", err)
	}
	here, there = pair(t)
	here.conn.write([]byte{5, 0, 0, 0, 0, 0, 0, 0, 1}, nil)
	here.Close()
	if _, err := there.Receive(); err == nil {
		t.Error("cut off: no error")
	}
}

// TestPrivate looks at the mode of a socket that was bound, whatever that of other
// new files is, and of one that takes the place of a killed process's.
func TestPrivate(t *testing.T) {
	dir := t.TempDir()
	defer unix.Umask(unix.Umask(0))
	private := func(path string) {
		t.Helper()
		if fi, err := os.Lstat(path); err != nil || fi.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("%v, %v", fi.Mode(), err)
		}
	}
	path := filepath.Join(dir, "socket")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := bindPrivate(fd, path); err != nil {
		t.Fatal(err)
	}
	private(path)
	if was := unix.Umask(0); was != 0 {
		t.Errorf("other files have %o taken off their modes", was)
	}
	// It ends without a word, and somebody opens what it has left to all.
	if err := errors.Join(unix.Close(fd), os.Chmod(path, 0o777)); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	private(path)
}

// TestPlaces listens where others do, did, and where something else is.
func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	first, err := Listen(taken)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(taken); !errors.Is(err, ErrTaken) {
		t.Errorf("taken: %v", err)
	}
	fd, err := first.FD()
	if err != nil {
		t.Fatal(err)
	}
	if fd, err = unix.Dup(fd); err != nil {
		t.Fatal(err)
	}
	heir, err := Inherit(fd)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if _, err := Listen(taken); !errors.Is(err, ErrTaken) {
		t.Errorf("inherited: %v", err)
	}
	heir.Close()
	if _, err := Dial(taken); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody: %v", err)
	}
	again, err := Listen(taken)
	if err != nil {
		t.Fatalf("left: %v", err)
	}
	again.Close()
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(other); !errors.Is(err, errNoSocket) {
		t.Errorf("a file: %v", err)
	}
	if _, err := Listen(filepath.Join(dir, "missing", "x")); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("no folder: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.*")); len(left) > 0 {
		t.Errorf("there are %q", left)
	}
}
