package handover

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A stream is a Unix socket that Go's poller waits for, as a file: package net
// could do the same, and would be the only thing that a router's binary needs it
// for, a twelfth of its size.
type stream struct {
	file *os.File
	raw  syscall.RawConn
}

// newStream returns a stream of fd, which is its own from then on, whatever the
// error.
func newStream(fd int) (stream, error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil { // before NewFile looks
		unix.Close(fd)
		return stream{}, err
	}
	f := os.NewFile(uintptr(fd), "socket")
	raw, err := f.SyscallConn()
	if err == nil {
		err = f.SetDeadline(time.Time{}) // fails where there is nothing to wait for
	}
	if err != nil {
		f.Close() // nothing was done with it
		return stream{}, err
	}
	return stream{f, raw}, nil
}

// control calls fn with the descriptor, which stays open meanwhile.
func (s stream) control(fn func(fd int)) error {
	return s.outcome(s.raw.Control(func(fd uintptr) { fn(int(fd)) }), nil)
}

// receive calls fn until it has something to say, waiting in between.
func (s stream) receive(fn func(fd int) error) (err error) {
	waited := s.raw.Read(func(fd uintptr) bool { return settled(int(fd), fn, &err) })
	return s.outcome(waited, err)
}

// send does the same for what waits until there is room.
func (s stream) send(fn func(fd int) error) (err error) {
	waited := s.raw.Write(func(fd uintptr) bool { return settled(int(fd), fn, &err) })
	return s.outcome(waited, err)
}

// settled leaves in err what fn says of fd, and reports whether that is not that
// one has to wait.
func settled(fd int, fn func(fd int) error, err *error) bool {
	for {
		if *err = fn(fd); *err != unix.EINTR {
			return *err != unix.EAGAIN
		}
	}
}

// outcome returns what went wrong: while waiting, where there is a limit and
// closing, or afterwards.
func (stream) outcome(waited, err error) error {
	switch {
	case waited == nil:
		return err
	case errors.Is(waited, os.ErrDeadlineExceeded):
		return waited
	}
	return os.ErrClosed // package os has another word for it inside
}

// read reads what there is, up to the length of b and oob.
func (s stream) read(b, oob []byte) (n, oobn, flags int, err error) {
	err = s.receive(func(fd int) (err error) {
		n, oobn, flags, _, err = unix.Recvmsg(fd, b, oob, 0)
		return err
	})
	if err != nil {
		return 0, 0, 0, err
	}
	return n, oobn, flags, nil
}

// write writes as much of b as there is room for, and oob with the first of it.
func (s stream) write(b, oob []byte) (n int, err error) {
	err = s.send(func(fd int) (err error) {
		n, err = unix.SendmsgN(fd, b, oob, nil, 0)
		return err
	})
	return max(n, 0), err
}

// accept waits for somebody to connect.
func (s stream) accept() (stream, error) {
	var fd int
	if err := s.receive(func(of int) (err error) {
		fd, _, err = unix.Accept(of)
		return err
	}); err != nil {
		return stream{}, err
	}
	return newStream(fd)
}

// dial connects to who listens at path. A queue that is full for longer than
// dialLimit is EAGAIN.
func dial(path string) (stream, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return stream{}, err
	}
	s, err := newStream(fd)
	if err != nil {
		return stream{}, err
	}
	for tries := dialLimit / dialPause; ; tries-- {
		if e := s.control(func(fd int) { err = unix.Connect(fd, &unix.SockaddrUnix{Name: path}) }); e != nil {
			err = e
		}
		if err != unix.EAGAIN && err != unix.EINTR || tries == 0 {
			break
		}
		time.Sleep(dialPause)
	}
	if err != nil {
		s.file.Close() // nothing was said
		return stream{}, err
	}
	return s, nil
}
