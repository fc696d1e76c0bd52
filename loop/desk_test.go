package loop

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPatience writes a chunk to a reader that takes a little of it at a time. As
// long as it takes some, it gets all, but not for ever.
func TestPatience(t *testing.T) {
	const stall, piece, chunk = 400 * time.Millisecond, 4 << 10, 256 << 10
	for _, tt := range []struct {
		name string
		end  time.Duration
		want error
	}{
		{"slow", time.Minute, nil},
		{"too slow", stall, os.ErrDeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			unix.SetNonblock(fds[0], true)
			unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_SNDBUF, piece)
			began := time.Now()
			w := &patient{desk: &desk{stall: stall}, file: os.NewFile(uintptr(fds[0]), "writer"), end: time.Now().Add(tt.end)}
			defer w.file.Close()
			r := os.NewFile(uintptr(fds[1]), "reader")
			defer r.Close()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				b := make([]byte, piece)
				for tick := time.NewTicker(stall / 20); ; <-tick.C {
					if _, err := r.Read(b); err != nil {
						return
					}
				}
			}()
			n, err := w.Write(make([]byte, chunk))
			if !errors.Is(err, tt.want) || (n == chunk) != (tt.want == nil) {
				t.Errorf("wrote %d bytes in %v: %v", n, time.Since(began), err)
			}
			if took := time.Since(began); took < stall {
				t.Errorf("took only %v", took)
			}
			w.file.Close()
			<-ended
		})
	}
}
