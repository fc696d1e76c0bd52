package whitelist

import (
	"context"
	"path/filepath"
	"sync"
	"time"
)

const (
	// quiet is how long nothing may happen before a change is read: a list is
	// mostly written in several pieces, and a folder in many files.
	quiet = 200 * time.Millisecond
	// maxQuiet is how long to wait for that at most.
	maxQuiet = time.Second
	// pollEvery is how often to look at sources that the system does not watch
	// for us.
	pollEvery = time.Second
	// pollWatched is how often to look at the others: the system overlooks a
	// link in the path that now points elsewhere, and network file systems.
	pollWatched = time.Minute
	// pollShare bounds what looking may cost: it pauses this many times as long
	// as it took.
	pollShare = 20
)

// Watch reads sources again when they change, and does what is written to the
// FIFOs, until ctx is done. It returns when all it started has ended. At most
// one Watch may run at a time.
func (l *Lists) Watch(ctx context.Context) {
	if l == nil {
		return
	}
	var running sync.WaitGroup
	for _, f := range l.fifos {
		running.Go(func() { l.follow(ctx, f) })
	}
	l.watch(ctx)
	running.Wait()
}

// watch reads sources again when they change.
func (l *Lists) watch(ctx context.Context) {
	n := newNotifier()
	defer n.close()
	for ctx.Err() == nil {
		watched := n.watch(l.places()) // first: what changes from here on wakes us
		start := time.Now()
		l.check()
		pause := pollWatched
		if !watched || l.unsure() {
			pause = pollEvery
		}
		timer := time.NewTimer(max(pause, pollShare*time.Since(start)))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-n.wake:
			settle(ctx, n.wake)
		}
		timer.Stop()
	}
}

// settle waits for things to become quiet.
func settle(ctx context.Context, wake <-chan struct{}) {
	end := time.NewTimer(maxQuiet)
	defer end.Stop()
	for {
		t := time.NewTimer(quiet)
		select {
		case <-wake:
			t.Stop()
			continue
		case <-t.C:
		case <-end.C:
		case <-ctx.Done():
		}
		t.Stop()
		return
	}
}

// A place is a path to watch for one kind of change.
type place struct {
	path string
	kind placeKind
}

type placeKind uint8

const (
	// placeParent is a folder that a source is in: what comes and goes there.
	placeParent placeKind = iota
	// placeSource is a source itself: what is written to it or to files in it.
	// It may be missing.
	placeSource
)

// places returns the places to watch, and reports whether they cover everything:
// there is no path that leads outside.
func (l *Lists) places() (places []place, all bool) {
	all = true
	for _, s := range l.sources() {
		if s.outside.root != nil {
			all = false
			continue
		}
		places = append(places, place{filepath.Dir(s.path), placeParent}, place{s.path, placeSource})
	}
	return places, all
}

// unsure reports whether a source must be read again soon.
func (l *Lists) unsure() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sources() {
		if s.unsure() {
			return true
		}
	}
	return false
}
