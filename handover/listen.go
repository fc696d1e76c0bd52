package handover

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dialLimit is how long connecting may take, which is tried again after a pause. A
// queue that is full means that somebody is there.
const (
	dialLimit = 2 * time.Second
	dialPause = 20 * time.Millisecond
)

// A Listener is where others may ask for our place.
type Listener struct{ stream stream }

// Listen listens at path, in the place of a file that nobody listens behind any
// more. The error is [ErrTaken] or that of the system.
func Listen(path string) (*Listener, error) {
	if fi, err := os.Lstat(path); err == nil && fi.Mode().Type() != fs.ModeSocket {
		return nil, errNoSocket // connecting would be refused, too
	}
	switch s, err := dial(path); {
	case err == nil:
		s.file.Close() // nothing was said
		return nil, ErrTaken
	case errors.Is(err, fs.ErrNotExist):
	case !errors.Is(err, syscall.ECONNREFUSED):
		return nil, bare(err)
	}
	// A name of our own first: what a process that was killed has left at path is
	// replaced in one step.
	next := fmt.Sprintf("%s.%d", path, os.Getpid())
	_ = os.Remove(next) // of a process that had our number
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	s, err := newStream(fd)
	if err != nil {
		return nil, err
	}
	if err := bindPrivate(fd, next); err != nil {
		s.file.Close() // nobody knows it
		return nil, err
	}
	if err = unix.Listen(fd, 8); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		s.file.Close()      // as above
		_ = os.Remove(next) // it would be there for ever
		return nil, bare(err)
	}
	return &Listener{s}, nil
}

// bindPrivate binds fd to path with mode 0600 from the first moment: there is
// none in which a mode would have to be changed by name, which may be another
// file's by then. What other goroutines create meanwhile is for nobody else to
// read either. Only some systems take the mode from fd.
func bindPrivate(fd int, path string) error {
	defer unix.Umask(unix.Umask(0o177))
	return unix.Bind(fd, &unix.SockaddrUnix{Name: path})
}

// Inherit returns a listener that came from another process. The descriptor is its
// own from then on, whatever the error.
func Inherit(fd int) (*Listener, error) {
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		unix.Close(fd)
		return nil, err
	}
	s, err := newStream(fd)
	if err != nil {
		return nil, err
	}
	return &Listener{s}, nil
}

// Close ends it. The file stays: it may be another process's by then. Accept
// returns [os.ErrClosed].
func (l *Listener) Close() error { return l.stream.file.Close() }

// FD returns the descriptor, which stays the listener's.
func (l *Listener) FD() (fd int, err error) {
	err = l.stream.control(func(of int) { fd = of })
	return fd, err
}

// Accept waits for somebody who may come: root, or the user owner. Others are
// sent away, and refused is told who they were.
func (l *Listener) Accept(owner int, refused func(uid int)) (*Peer, error) {
	for {
		c, err := l.stream.accept()
		if err != nil {
			return nil, err
		}
		uid, err := userOf(c)
		if err == nil && (uid == 0 || uid == owner) {
			return &Peer{conn: c}, nil
		}
		if err == nil {
			refused(uid)
		}
		c.file.Close() // it gets no answer
	}
}

// Dial connects to who listens at path, if that is root or the user that we
// are. The error is [ErrNobody], [ErrStranger], or that of the system.
func Dial(path string) (*Peer, error) {
	s, err := dial(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNobody
	}
	if err != nil {
		return nil, err
	}
	if uid, err := userOf(s); err != nil || uid != 0 && uid != os.Getuid() {
		s.file.Close() // nothing was said
		return nil, ErrStranger
	}
	return &Peer{conn: s}, nil
}

// bare returns err without the names of files that package os puts in front.
func bare(err error) error {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return err
}

// Process returns which process connected to us, or 0 where the system does not
// say.
func (p *Peer) Process() (pid int) {
	_ = p.conn.control(func(fd int) { pid = peerProcess(fd) }) // fails when it is closed
	return pid
}

// userOf returns who is on the other side of s: who connected, or who listened.
func userOf(s stream) (uid int, err error) {
	if closed := s.control(func(fd int) { uid, err = peerUser(fd) }); closed != nil {
		return -1, closed
	}
	return uid, err
}
