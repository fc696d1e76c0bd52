package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"tracker/config"
	"tracker/handover"
)

// A door is where an heir comes in. The zero value is none.
type door struct {
	path     string
	named    bool // by the operator
	owner    int  // who may come, besides root
	listener *handover.Listener
	busy     atomic.Bool // with an heir
	shared   bool        // which goes on with the store's memory

	mu       sync.Mutex    // held while nobody serves
	shut     bool          // we end, and have no heir any more
	replaced chan struct{} // closed when an heir serves
}

// newDoor returns the door that cfg asks for, which is not open yet.
func newDoor(cfg *config.Config) *door {
	d := &door{path: cfg.Socket, named: cfg.Socket != "", owner: os.Getuid(), replaced: make(chan struct{})}
	switch d.path {
	case config.SocketOff:
		d.path = ""
	case "":
		d.path = usualDoor(cfg)
	}
	return d
}

// usualDoor returns where the door is if nothing is configured, or "" if there
// is no good place. Who listens on any free port wants no name to be known by.
func usualDoor(cfg *config.Config) string {
	dir, port := "/run", cfg.Listen[0].Addr.Port()
	if os.Getuid() != 0 {
		dir = os.Getenv("XDG_RUNTIME_DIR")
	}
	if port == 0 || !filepath.IsAbs(dir) {
		return ""
	}
	return filepath.Join(dir, fmt.Sprintf("tracker-%d.sock", port))
}

// open makes the socket. That it cannot be made is told, and is no reason not
// to serve.
func (d *door) open() {
	if d.path == "" {
		return
	}
	var err error
	if d.listener, err = handover.Listen(d.path); err != nil {
		logf(warning, "replace", "socket %v: %v; this tracker cannot be replaced while it serves", d.path, err)
	}
}

// close lets nobody take our place any more, and reports whether somebody has.
// It waits for the outcome if somebody is about to.
func (d *door) close() (replaced bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	select {
	case <-d.replaced:
		return true
	default:
		return false
	}
}

// watchDoor waits for heirs until the process ends.
func (t *tracker) watchDoor() {
	d := t.door
	if d.listener == nil {
		return
	}
	go func() {
		for {
			peer, err := d.listener.Accept(d.owner, func(uid int) {
				logf(warning, "replace", "user %d wants to replace this tracker, who is neither root nor user %d: refused", uid, d.owner)
			})
			switch {
			case errors.Is(err, os.ErrClosed):
				return
			case err != nil:
				time.Sleep(time.Second) // for want of descriptors, for instance
			default:
				go t.giveTo(peer)
			}
		}
	}()
}

// giveTo gives what there is to an heir, unless another one is about to have it.
// Who only looks whether we are there takes the place of one for a moment, so that
// is waited for.
func (t *tracker) giveTo(peer *handover.Peer) {
	const pause, tries = 20 * time.Millisecond, 50
	for range tries {
		if t.door.busy.CompareAndSwap(false, true) {
			t.give(peer)
			return
		}
		time.Sleep(pause)
	}
	decline(peer, errAnother)
}
