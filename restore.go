package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"
	"time"

	"tracker/loop"
	"tracker/proto"
	"tracker/store"
)

// read opens the snapshot and reads its header.
func (s *stateFile) read() (*os.File, *store.Snapshot, error) {
	f, err := s.folder.OpenFile(s.name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO would wait for ever
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = errNoFile
	}
	var from *store.Snapshot
	if err == nil {
		from, err = store.ReadSnapshot(f)
	}
	if err != nil {
		f.Close() // it was only read
	}
	return f, from, err
}

var errNoFile = errors.New("not a regular file")

// loadSnapshot fills the store from the state file, if there is one, in the
// folder that openState has opened, and puts its connection ids into ids. A file
// that is no good is set aside, and nothing of it is used. Whatever happens, the
// tracker serves.
func (t *tracker) loadSnapshot(ids *loop.ConnIDs) {
	s := t.state
	if s.folder == nil {
		return
	}
	f, from, err := s.read()
	if errors.Is(err, fs.ErrNotExist) {
		logf(info, "snapshot", "snapshot %v: there is none yet", as("path", s.path))
		return
	}
	if err == nil {
		defer f.Close() // it was only read
		err = t.restore(from, ids)
	}
	if err != nil {
		logf(warning, "snapshot", "snapshot %v: %v; %s; serving without it", as("path", s.path), as("error", cause(err)), s.setAside(err))
	}
}

// errForeign says that a snapshot is none that the one we replaced, or one before
// it, has written: they had one secret in common.
var errForeign = errors.New("it is not of the tracker that was replaced")

// spareSnapshot sees to it that an heir, who has read no state file, replaces none
// but of whom it got the secret of its connection ids from. Any other is set
// aside.
func (t *tracker) spareSnapshot(ids *loop.ConnIDs) {
	s := t.state
	if s.folder == nil {
		return
	}
	f, from, err := s.read()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		f.Close() // it was only read
		if from.Secret != ids.Secret {
			err = errForeign
		}
	}
	if err != nil {
		logf(warning, "snapshot", "snapshot %v: %v; %s; nothing of it is loaded", as("path", s.path), as("error", cause(err)), s.setAside(err))
	}
}

// openState opens the folder of the state file, if there is to be one.
func (t *tracker) openState() {
	s := t.state
	if s.path == "" {
		return
	}
	if err := s.open(); err != nil {
		logf(warning, "snapshot", "snapshot %s: its folder cannot be written to: %v; NOTHING OUTLIVES A RESTART until user %d may create files there%s",
			s.path, cause(err), os.Getuid(), s.mends(err))
	}
}

// restore loads what a snapshot holds. After an error the store is empty, and
// ids are as they were.
func (t *tracker) restore(from *store.Snapshot, ids *loop.ConnIDs) error {
	began := time.Now()
	away, known := elapsed(from.Wall, began.UnixMilli())
	// Lists that could not be read must not empty the next snapshot.
	all := t.lists.Err() != nil
	totals, err := t.store.LoadSnapshot(from, loop.Minute(), minutes(from.Clock, away), func(ih *proto.Infohash) bool {
		return all || t.lists.Allowed(ih)
	})
	if err != nil {
		return err
	}
	// A clock of ids that may have gone back would make old ones good again.
	if known && from.Clock >= 0 && from.Clock <= maxAway.Milliseconds() {
		*ids = loop.ConnIDs{Secret: from.Secret, Clock: time.Duration(from.Clock)*time.Millisecond + away}
	}
	age := away.Round(time.Second).String() + " old"
	if !known {
		age = "of unknown age, because the clock is not set, and taken for new"
	}
	torrents, seeders, leechers := t.store.Totals()
	logf(info, "snapshot", "snapshot %v: %s; %v of its %d peers loaded, in %v torrents", as("path", t.state.path), age, as("peers", seeders+leechers), totals.Peers, as("torrents", torrents))
	if totals.Refused > 0 {
		logf(warning, "snapshot", "snapshot %v: %v peers left out, for want of memory or beyond a limit", as("path", t.state.path), as("peers", totals.Refused))
	}
	return nil
}

// maxAway bounds how long ago something may have been.
const maxAway = 100 * 365 * 24 * time.Hour

// clockSet is a time, in milliseconds since 1970, before which no clock is that
// is set: the beginning of 2024.
const clockSet = 1_704_067_200_000

// elapsed returns how long after was the wall clock stood at now, both in
// milliseconds since 1970, and whether that means anything. A router's clock
// begins in 1970, or where it was when it was switched off, and may be set much
// later: then no time has gone by.
func elapsed(was, now int64) (time.Duration, bool) {
	if was < clockSet || now < clockSet {
		return 0, false
	}
	ms := max(0, min(now-was, maxAway.Milliseconds()))
	return time.Duration(ms) * time.Millisecond, true
}

// minutes returns how many minutes have begun since the clock of the snapshot,
// in milliseconds, stood at clock.
func minutes(clock int64, away time.Duration) store.Minute {
	const minute = int64(time.Minute / time.Millisecond)
	return store.Minute(min(((clock%minute+minute)%minute+away.Milliseconds())/minute, math.MaxUint32))
}

// setAside puts the snapshot, about which err says what is wrong, where no
// later one takes its place. It returns what was done, as a part of a sentence.
func (s *stateFile) setAside(why error) string {
	to := s.name + suffixDamaged
	if e, ok := errors.AsType[*store.SnapshotError](why); ok && e.Version != 0 {
		to = s.name + suffixNewer
	}
	if errors.Is(why, errForeign) {
		to = s.name + suffixForeign
	}
	err := why
	if !errors.Is(why, errNoFile) {
		err = s.folder.Rename(s.name, to)
	}
	if err != nil {
		s.blocked = true
		return fmt.Sprintf("it cannot be set aside (%v), so no snapshot is written in its place", cause(err))
	}
	return "set aside as " + to
}
