//go:build linux && !router

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/mdlayher/sdnotify"
)

// A notifier tells a service manager, which waits for it with Type=notify, how
// we are:
//
//	READY=1      everything is open and served
//	RELOADING=1  the lists are being read again, until READY=1
//	MAINPID=n    process n serves in our place
//	STOPPING=1   we end
//	STATUS=...   what there is, for systemctl status
//	WATCHDOG=1   the clock goes round, and no reactor is stuck; see [loop.Server.Alive]
//
// Its socket is named by the environment, and lies outside of the cell. So it is
// connected to before that is entered, and what is said later is written to it
// as to any file: the sandbox needs to leave nothing for it. This is also why
// the library is not go-systemd, which looks for the socket each time.
//
// A process that takes the place of another under a service manager is started
// by that one, in the same cgroup, or it is not believed to be the service. The
// one that leaves says so, because it is the one that is listened to.
//
// A nil notifier has nobody to tell.
type notifier struct {
	to       *sdnotify.Notifier
	watchdog time.Duration // how often to be alive; 0: no watchdog
	deaf     atomic.Bool   // who does not listen once is not spoken to again
	end      func()        // ends telling that we are alive; or nil
}

const (
	watchdogUSec = "WATCHDOG_USEC"
	watchdogPID  = "WATCHDOG_PID"
)

const (
	// tellLimit is for a service manager to take what is said. Its queue has
	// room for some messages, so this is only waited for if it is stuck.
	tellLimit = time.Second
	// statusEvery is how often it is told what there is, if no watchdog wants to
	// hear of us more often.
	statusEvery = 15 * time.Second
	// watchdogShare is how many times it is told within the time of a watchdog:
	// one or two may be late.
	watchdogShare = 3
)

// newNotifier connects to the service manager, if there is one. That it does not
// answer is told, and no reason not to serve. What the environment says of it is
// forgotten.
func newNotifier() *notifier {
	to, err := sdnotify.New()
	usec, pid := os.Getenv(watchdogUSec), os.Getenv(watchdogPID)
	for _, name := range []string{sdnotify.Socket, watchdogUSec, watchdogPID} {
		_ = os.Unsetenv(name) // fails for impossible names only
	}
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			logf(warning, "notify", "service manager: %v; it is not told how we are", as("error", cause(err)))
		}
		return nil
	}
	n := &notifier{to: to}
	if micros, err := strconv.ParseUint(usec, 10, 32); err == nil && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.watchdog = time.Duration(micros) * time.Microsecond
	}
	return n
}

// tell tells lines, which come one after the other however many tell.
func (n *notifier) tell(lines ...string) {
	if n == nil || n.deaf.Load() {
		return
	}
	told := make(chan error, 1)
	go func() { told <- n.to.Notify(lines...) }()
	select {
	case err := <-told:
		if err == nil {
			return
		}
		logf(warning, "notify", "service manager: %v; it is not told any more how we are", as("error", err))
	case <-time.After(tellLimit):
		logf(warning, "notify", "service manager: it does not listen; it is not told any more how we are")
	}
	n.deaf.Store(true)
}

// tellReady tells that t serves, and from now on that it is alive, until
// endNotes.
func (t *tracker) tellReady() {
	n := t.notifier
	if n == nil {
		return
	}
	n.tell(sdnotify.Ready, t.status())
	every := statusEvery
	if n.watchdog > 0 {
		every = min(every, n.watchdog/watchdogShare)
	}
	ending, ended := make(chan struct{}), make(chan struct{})
	n.end = func() { close(ending); <-ended }
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ending:
				return
			case <-ticker.C:
				t.tellAlive()
			}
		}
	}()
}

// tellAlive tells that t is alive, if it is, and what there is.
func (t *tracker) tellAlive() {
	if !t.door.mu.TryLock() {
		return // nobody serves for a moment
	}
	defer t.door.mu.Unlock()
	if err := t.server.Alive(); err != nil {
		logf(warning, "notify", "not alive: %v", as("error", err))
		return
	}
	t.notifier.tell("WATCHDOG=1", t.status())
}

// endNotes ends what tellReady began.
func (t *tracker) endNotes() {
	if n := t.notifier; n != nil && n.end != nil {
		n.end()
		n.end = nil
	}
}

// tellReplaced tells which process serves in our place, before we end.
func (t *tracker) tellReplaced(pid int) {
	if pid > 0 { // or it is in a container of its own
		t.notifier.tell(fmt.Sprintf("MAINPID=%d", pid))
	}
}

// reread reads the lists again, and tells when that begins and ends.
func (t *tracker) reread() {
	t.notifier.tell(sdnotify.Reloading)
	t.lists.Reload()
	t.notifier.tell(sdnotify.Ready, t.status())
}

// tellStopping tells that t ends.
func (t *tracker) tellStopping() {
	t.endNotes()
	t.notifier.tell(sdnotify.Stopping)
}

// status is what there is, in a line.
func (t *tracker) status() string {
	torrents, seeders, leechers := t.store.Totals()
	return sdnotify.Statusf("%d torrents, %d seeders, %d leechers", torrents, seeders, leechers)
}
