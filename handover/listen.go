package handover

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dialLimit is how long connecting may take. A queue that is full means that
// somebody is there.
const dialLimit = 2 * time.Second

// A Listener is where others may ask for our place.
type Listener struct{ *net.UnixListener }

// Listen listens at path, in the place of a file that nobody listens behind any
// more. The error is [ErrTaken] or that of the system.
func Listen(path string) (*Listener, error) {
	if fi, err := os.Lstat(path); err == nil && fi.Mode().Type() != fs.ModeSocket {
		return nil, errNoSocket // connecting would be refused, too
	}
	switch c, err := net.DialTimeout("unix", path, dialLimit); {
	case err == nil:
		c.Close() // nothing was said
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
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), path)
	defer f.Close() // the listener has another descriptor
	if err := bindPrivate(fd, next); err != nil {
		return nil, err
	}
	if err = unix.Listen(fd, 8); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next) // it would be there for ever
		return nil, bare(err)
	}
	return listener(f)
}

// bindPrivate binds fd to path with mode 0600 from the first moment: there is
// none in which a mode would have to be changed by name, which may be another
// file's by then. What other goroutines create meanwhile is for nobody else to
// read either. Only some systems take the mode from fd.
func bindPrivate(fd int, path string) error {
	defer unix.Umask(unix.Umask(0o177))
	return unix.Bind(fd, &unix.SockaddrUnix{Name: path})
}

// Inherit returns a listener that came from another process. The descriptor is
// closed; the listener has its own.
func Inherit(fd int) (*Listener, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close() // as above
	return listener(f)
}

// listener returns a listener for what f is.
func listener(f *os.File) (*Listener, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, bare(err)
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		l.Close() // nothing was done with it
		return nil, syscall.ENOTSOCK
	}
	u.SetUnlinkOnClose(false) // it may be another process's by then
	return &Listener{u}, nil
}

// FD returns the descriptor, which stays the listener's.
func (l *Listener) FD() (fd int, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	err = raw.Control(func(of uintptr) { fd = int(of) })
	return fd, err
}

// Accept waits for somebody who may come: root, or the user owner. Others are
// sent away, and refused is told who they were.
func (l *Listener) Accept(owner int, refused func(uid int)) (*Peer, error) {
	for {
		c, err := l.AcceptUnix()
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
		c.Close() // it gets no answer
	}
}

// Dial connects to who listens at path, if that is root or the user that we
// are. The error is [ErrNobody], [ErrStranger], or that of the system.
func Dial(path string) (*Peer, error) {
	c, err := net.DialTimeout("unix", path, dialLimit)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNobody
	}
	if err != nil {
		return nil, bare(err)
	}
	u := c.(*net.UnixConn)
	if uid, err := userOf(u); err != nil || uid != 0 && uid != os.Getuid() {
		c.Close() // nothing was said
		return nil, ErrStranger
	}
	return &Peer{conn: u}, nil
}

// bare returns err without what package net puts in front.
func bare(err error) error {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return err
}

// Process returns which process connected to us, or 0 where the system does not
// say.
func (p *Peer) Process() (pid int) {
	if raw, err := p.conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { pid = peerProcess(int(fd)) }) // fails when it is closed
	}
	return pid
}

// userOf returns who is on the other side of c: who connected, or who listened.
func userOf(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	if control := raw.Control(func(fd uintptr) { uid, err = peerUser(int(fd)) }); control != nil {
		return -1, control
	}
	return uid, err
}
