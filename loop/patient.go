package loop

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patient writes to a connection and waits for its client, but not for ever.
type patient struct {
	desk  *desk
	file  *os.File
	end   time.Time   // of its patience, at the latest
	count func(n int) // is told what was written; may be nil
}

// Write implements [io.Writer]. Whoever takes some of p has time for the rest.
func (w *patient) Write(p []byte) (int, error) {
	for written := 0; ; {
		if err := w.extend(); err != nil {
			return written, err
		}
		n, err := w.file.Write(p[written:])
		if w.count != nil {
			w.count(n)
		}
		if written += n; n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
	}
}

// extend gives the client time for the next write.
func (w *patient) extend() error {
	deadline := time.Now().Add(w.desk.stall)
	if deadline.After(w.end) {
		deadline = w.end
	}
	w.desk.mu.Lock()
	defer w.desk.mu.Unlock()
	if w.desk.ends(w.file) {
		return os.ErrClosed
	}
	return w.file.SetWriteDeadline(deadline)
}

// abort has the kernel forget what the client has not taken.
func (w *patient) abort() {
	if raw, err := w.file.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { abort(int(fd)) })
	}
}

// discard throws away what the client has sent, and does not wait for more.
func (w *patient) discard() {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		var b [4 << 10]byte
		for n, total := 1, 0; n > 0 && total < maxUnasked; total += n {
			if n, err = unix.Read(int(fd), b[:]); err != nil {
				break
			}
		}
		return true
	})
}
