package whitelist

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// What to be told of, for each kind of place. Reading is not among it, so that
// we do not wake ourselves.
var masks = [...]uint32{
	placeParent: unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF,
	placeSource: unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB | unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM |
		unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF,
}

// A notifier wakes its owner when something happens in one of the places it
// watches, with inotify. It does not say what: the owner looks anyway, and an
// event too many costs one stat.
type notifier struct {
	wake    chan struct{}
	fd      int
	file    *os.File     // of fd; nil if there is no inotify
	watches map[int]bool // watch descriptors
	reader  sync.WaitGroup
}

// newNotifier returns a notifier. If the system refuses one, it watches nothing.
func newNotifier() *notifier {
	n := &notifier{wake: make(chan struct{}, 1)}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return n
	}
	n.fd, n.file = fd, os.NewFile(uintptr(fd), "inotify")
	n.reader.Go(n.read)
	return n
}

// read turns events into wakes until the file is closed.
func (n *notifier) read() {
	var buf [4096]byte // at least one event with the longest name, 272 bytes
	for {
		if _, err := n.file.Read(buf[:]); err != nil {
			return
		}
		select {
		case n.wake <- struct{}{}:
		default: // there is one already
		}
	}
}

// watch watches places, and no others any longer. It reports whether all
// changes will wake: that the places were all and that each can be watched.
// Watching again what is watched already is cheap, and finds the new file at an
// old path.
func (n *notifier) watch(places []place, all bool) bool {
	if n.file == nil {
		return false
	}
	now := make(map[int]bool, len(places))
	for _, p := range places {
		wd, err := unix.InotifyAddWatch(n.fd, p.path, masks[p.kind]|unix.IN_MASK_ADD)
		switch {
		case err == nil:
			now[wd] = true
		case p.kind == placeSource && errors.Is(err, unix.ENOENT): // its parent tells when it comes
		default:
			all = false
		}
	}
	for wd := range n.watches {
		if !now[wd] {
			unix.InotifyRmWatch(n.fd, uint32(wd)) // fails if the file is gone, and the watch with it
		}
	}
	n.watches = now
	return all
}

// close ends n and waits for its goroutine.
func (n *notifier) close() {
	if n.file != nil {
		n.file.Close()
		n.reader.Wait()
	}
}
