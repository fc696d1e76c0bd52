package handover

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// fuzzMost is how many bytes are sent at once: as many as a socket holds while
// nobody reads.
const fuzzMost = 64 << 10

// raw returns a peer, and a descriptor that whoever is on the other side has.
func raw(t *testing.T) (*Peer, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStream(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	return &Peer{conn: s}, fds[1]
}

// message returns what Send would send.
func message(kind, length uint32, body string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, length)
	return append(binary.LittleEndian.AppendUint32(b, kind), body...)
}

// FuzzHandover receives what a hostile process says: any bytes, cut in two
// anywhere, with descriptors beside both parts. What comes of that are messages
// within their limits that say what was sent, and then an error. No descriptor
// stays open but those that were handed out.
func FuzzHandover(f *testing.F) {
	f.Add(message(1, 12, "\x02\x00\x00\x00layout--"), uint16(0), byte(0), byte(0))
	f.Add(append(message(3, 16, "\x02\x00\x00\x00\x01\x00\x00\x00somebyte"), message(5, 0, "")...), uint16(24), byte(1), byte(2))
	f.Add(append(message(4, 0, ""), message(8, 3, "abc")...), uint16(8), byte(200), byte(200))
	f.Add(message(10, MaxMessage, "less"), uint16(4), byte(1), byte(1))
	f.Add(message(10, MaxMessage+1, "less"), uint16(0), byte(0), byte(3))
	f.Add(message(2, 1<<32-1, "why"), uint16(2), byte(253), byte(1))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint16(0), byte(0), byte(0))
	f.Add([]byte{5, 0}, uint16(1), byte(1), byte(0))
	f.Fuzz(func(t *testing.T, b []byte, cut uint16, first, second byte) {
		if len(b) > fuzzMost {
			return
		}
		lowest := lowestFree(t)
		peer, other := raw(t)
		at := min(int(cut), len(b))
		for _, part := range []struct {
			b []byte
			n byte
		}{{b[:at], first}, {b[at:], second}} {
			var rights []byte
			if n := min(int(part.n), 253); n > 0 { // as many as the system takes
				fds := make([]int, n)
				rights = unix.UnixRights(fds...) // standard input, again and again
			}
			if len(part.b) == 0 {
				continue
			}
			if err := unix.Sendmsg(other, part.b, rights, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		unix.Close(other)
		hear(t, peer, b)
		peer.Close()
		if fd := lowestFree(t); fd != lowest {
			t.Errorf("descriptor %d is not closed", lowest)
		}
	})
}

// hear receives all that there is in b.
func hear(t *testing.T, peer *Peer, b []byte) {
	t.Helper()
	for {
		m, err := peer.Receive()
		if cap(peer.in) > MaxMessage {
			t.Errorf("%d bytes are kept for a message", cap(peer.in))
		}
		if err != nil {
			if m.Files != nil || m.Body != nil {
				t.Errorf("%d bytes and %d files after %v", len(m.Body), len(m.Files), err)
			}
			return
		}
		whole := message(m.Kind, uint32(len(m.Body)), string(m.Body))
		if len(whole) > len(b) || string(whole) != string(b[:len(whole)]) {
			t.Errorf("message %d of %d bytes was not sent", m.Kind, len(m.Body))
			return
		}
		b = b[len(whole):]
		m.CloseFiles()
	}
}

// lowestFree returns the descriptor that the next file would get.
func lowestFree(t *testing.T) int {
	t.Helper()
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	return fd
}
