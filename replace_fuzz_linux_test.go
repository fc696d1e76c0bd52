package main

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tracker/handover"
	"tracker/loop"
	"tracker/store"
)

// fuzzMost is how many bytes of messages there may be: as many as a socket holds
// while nobody reads.
const fuzzMost = 32 << 10

// appendSaid appends a message to what FuzzHeir is given.
func appendSaid(b []byte, kind byte, files byte, body []byte) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, kind, files), uint16(len(body)))
	return append(b, body...)
}

// FuzzHeir has an heir hear any messages, with any number of descriptors, from
// who says that its place can be taken. It takes what is all there and nothing
// else, keeps no more than it was sent, and comes to an end.
func FuzzHeir(f *testing.F) {
	path := filepath.Join(f.TempDir(), "socket")
	l, err := handover.Listen(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	door, err := l.FD()
	if err != nil {
		f.Fatal(err)
	}
	file, err := os.Create(filepath.Join(f.TempDir(), "file"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { file.Close() })
	fds := []int{door, int(file.Fd())}
	heritage := appendHeritage(nil, &loop.Heritage{Clock: &loop.StoreClock{Minute: 77}})
	conn := appendConn(nil, &loop.Conn{Partial: []byte("GET /announce?"), Unsent: []byte("HTTP/1.1"), Rest: []byte("x"), Asked: true})
	hears := appendSaid(nil, msgWelcome, 2, welcome{handoverVersion, 1, 4096}.append(nil))
	hears = appendSaid(hears, msgSockets, 3, nil)
	hears = appendSaid(hears, msgPrepared, 0, nil)
	all := appendSaid(hears, msgHeritage, 0, heritage)
	f.Add(hears)
	f.Add(appendSaid(nil, msgNo, 0, []byte("it ends")))
	f.Add(appendSaid(nil, msgWelcome, 1, welcome{handoverVersion + 1, 1, 4096}.append(nil)))
	f.Add(appendSaid(all, msgConns, 2, append(conn, conn...)))
	f.Add(appendSaid(appendSaid(all, msgConns, 2, conn), msgEnd, 0, nil))
	f.Add(appendSaid(appendSaid(all, msgMemory, 0, make([]byte, 100)), msgEnd, 0, nil))
	f.Add(appendSaid(appendSaid(all, msgSnapshot, 0, []byte("\x89track")), msgEnd, 0, nil))
	f.Add(appendSaid(appendSaid(all, msgEnd, 0, nil), msgGo, 0, nil))
	f.Fuzz(func(t *testing.T, said []byte) {
		if len(said) > fuzzMost {
			return
		}
		peer, err := handover.Dial(path)
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		other, err := l.Accept(os.Getuid(), func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		for b := said; len(b) >= 4; {
			files := make([]int, min(int(b[1]), 20))
			for i := range files {
				files[i] = fds[min(i, 1)]
			}
			n := min(int(binary.LittleEndian.Uint16(b[2:])), len(b)-4)
			if err := other.Send(uint32(b[0]), b[4:4+n], files...); err != nil {
				t.Fatal(err)
			}
			b = b[4+n:]
		}
		other.Limit(patience)
		go func() { // or what was said would be thrown away with what it never heard
			_, _ = other.Receive()
			other.Close()
		}()
		hearAll(t, &heir{peer: peer, memory: -1}, said)
		closeCopies(t, fds)
	})
}

// closeCopies closes all descriptors of the files that fds are, but not those. A
// tracker that has heard nonsense ends, and leaves that to the system.
func closeCopies(t *testing.T, fds []int) {
	t.Helper()
	var want, is unix.Stat_t
	for _, of := range fds {
		if err := unix.Fstat(of, &want); err != nil {
			t.Fatal(err)
		}
		for fd := range 1024 {
			if fd != of && unix.Fstat(fd, &is) == nil && is.Dev == want.Dev && is.Ino == want.Ino {
				unix.Close(fd)
			}
		}
	}
}

// hearAll has h hear what is said, as [tracker.meet] and [tracker.inherit] do.
func hearAll(t *testing.T, h *heir, said []byte) {
	t.Helper()
	d := &door{}
	err := h.hear(d, 1)
	if d.listener != nil {
		defer d.listener.Close()
	}
	for _, f := range []*os.File{h.theirs, h.ours} {
		if f != nil {
			f.Close()
		}
	}
	if err != nil {
		return
	}
	got, err := h.take(store.New(store.Options{Shards: 1}))
	if err != nil && !errors.Is(err, errOrphan) {
		return
	}
	kept := 0
	for _, c := range got.Conns {
		kept += len(c.Partial) + len(c.Rest) + len(c.Unsent)
	}
	if kept > len(said) {
		t.Errorf("%d bytes are kept of %d", kept, len(said))
	}
	if err == nil {
		t.Errorf("it takes a store without memory or snapshot from %q", said)
	}
}
