package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tracker/stats"
	"tracker/store"
)

// A stateFile is the file that everything is kept in over a restart, in the
// format of [store.Store.WriteSnapshot]. Beside it there may be
//
//	FILE.new       one being written; it takes FILE's place when it is complete
//	FILE.damaged   the last one that could not be read
//	FILE.newer     the last one that only a later version can read
//	FILE.foreign   the last one that was there, and not its own, when a tracker
//	               took the place of another
//
// The folder is found and opened once, in the cell if it is there, and
// otherwise where it is outside. The zero value keeps nothing.
type stateFile struct {
	path    string   // as configured
	folder  *os.Root // nil if it cannot be opened
	name    string   // in folder
	outside *os.Root // the folder as it was before the chroot; or nil
	mend    string   // the command that gives the folder to who we become

	blocked bool            // FILE is not ours to replace
	asked   chan struct{}   // somebody wants one now
	end     func()          // ends writing them; or nil
	ending  <-chan struct{} // closed when one under way is to be given up
	said    string          // the trouble last complained of, "" if all was well
}

// Suffixes of the files beside the state file.
const (
	suffixNew     = ".new"
	suffixTry     = ".try"
	suffixDamaged = ".damaged"
	suffixNewer   = ".newer"
	suffixForeign = ".foreign"
)

func newStateFile(path string) *stateFile {
	return &stateFile{path: path, name: filepath.Base(path), asked: make(chan struct{}, 1)}
}

// keepOutside opens the folder before the chroot. The root directory is never
// kept: from there, everything could be reached.
func (s *stateFile) keepOutside() {
	dir, err := filepath.Abs(filepath.Dir(s.path))
	if s.path != "" && err == nil && dir != "/" {
		s.outside, _ = os.OpenRoot(dir) // else there is nothing to keep
	}
}

// open opens the folder, in the cell or else the one outside, and tries to
// write there.
func (s *stateFile) open() (err error) {
	s.folder, err = os.OpenRoot(filepath.Dir(s.path))
	switch {
	case s.outside == nil:
	case err == nil:
		s.outside.Close() // nothing was done with it
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
		logf(info, "snapshot", "snapshot %v: its folder is not in here, so the one outside of the chroot is used", as("path", s.path))
		s.folder, err = s.outside, nil
	}
	if err != nil {
		return err
	}
	f, err := s.folder.OpenFile(s.name+suffixTry, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), s.folder.Remove(s.name+suffixTry))
}

// mends returns what is to be done about an error of open, as the end of a
// sentence.
func (s *stateFile) mends(err error) string {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return "; " + s.mend
	}
	return ""
}

// keepSnapshots writes snapshots as often as configured, and when asked, until
// endSnapshots. One under way is given up then.
func (t *tracker) keepSnapshots() {
	if t.state.path == "" {
		return
	}
	var tick <-chan time.Time
	stop := func() {}
	if t.cfg.StateInterval > 0 {
		ticker := time.NewTicker(t.cfg.StateInterval)
		tick, stop = ticker.C, ticker.Stop
	}
	ending, ended := make(chan struct{}), make(chan struct{})
	t.state.ending = ending
	go func() {
		defer close(ended)
		for {
			select {
			case <-ending:
				return
			case <-tick:
				t.saveSnapshot(false)
			case <-t.state.asked:
				t.saveSnapshot(true)
			}
		}
	}()
	t.state.end = func() { stop(); close(ending); <-ended; t.state.ending = nil }
}

// endSnapshots ends what keepSnapshots began.
func (t *tracker) endSnapshots() {
	if t.state.end != nil {
		t.state.end()
		t.state.end = nil
	}
}

// askSnapshot has a snapshot written soon.
func (t *tracker) askSnapshot() {
	if t.state.path == "" {
		logf(warning, "snapshot", "no snapshot: there is no state.file to write it to")
		return
	}
	select {
	case t.state.asked <- struct{}{}:
	default: // somebody has asked already
	}
}

// saveSnapshot writes a snapshot. What goes wrong is logged once; that all is
// well, if it was not before, or if told.
func (t *tracker) saveSnapshot(tell bool) {
	s := t.state
	if s.path == "" {
		return
	}
	began := time.Now()
	totals, err := t.writeSnapshot(began)
	switch {
	case errors.Is(err, errEnding):
	case err != nil:
		t.server.Count(stats.SnapshotErrors)
		if said := cause(err).Error(); said != s.said || tell {
			s.said = said
			logf(warning, "snapshot", "snapshot %v: %v; nothing is written, and what there was is kept", as("path", s.path), as("error", said))
		}
	default:
		t.server.Count(stats.Snapshots)
		if tell || s.said != "" {
			logf(info, "snapshot", "snapshot %v: %v peers written in %v", as("path", s.path), as("peers", totals.Peers), as("seconds", time.Since(began).Round(time.Millisecond)))
		}
		s.said = ""
	}
}

// Why a snapshot is not written.
var (
	errEnding   = errors.New("the tracker ends")
	errBlocked  = errors.New("the one that cannot be read is still there; move it away and restart")
	errNoFolder = errors.New("its folder could not be opened at the start, and what it may hold now has not been read")
)

// writeSnapshot writes a snapshot beside the old one, which it replaces once it
// is safely stored.
func (t *tracker) writeSnapshot(now time.Time) (totals store.SnapshotTotals, err error) {
	s := t.state
	switch {
	case s.folder == nil:
		return totals, errNoFolder
	case s.blocked:
		return totals, errBlocked
	}
	next := s.name + suffixNew
	_ = s.folder.Remove(next) // what a crash left; if it cannot be removed, it cannot be made
	f, err := s.folder.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return totals, err
	}
	ids := t.server.ConnIDs()
	h := store.SnapshotHeader{Wall: now.UnixMilli(), Clock: ids.Clock.Milliseconds(), Secret: ids.Secret}
	totals, err = t.store.WriteSnapshot(s.paced(f), &h, t.server.Minute())
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = s.folder.Rename(next, s.name)
	}
	if err != nil {
		_ = s.folder.Remove(next) // a full disk has better uses for it
		return totals, err
	}
	return totals, s.syncFolder()
}

// syncFolder makes the new name outlive a power failure, where the system can.
func (s *stateFile) syncFolder() error {
	dir, err := s.folder.Open(".")
	if err != nil {
		return nil // may be written to and not read
	}
	defer dir.Close() // it was only synced
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// paced returns a writer to f that takes its time while others are served.
func (s *stateFile) paced(f io.Writer) io.Writer {
	if s.ending == nil {
		return f
	}
	return &pacedWriter{to: f, ending: s.ending, last: time.Now()}
}

// maxPause is the longest pause between two pieces of a snapshot: after that
// long, whoever waited has had his turn.
const maxPause = 20 * time.Millisecond

// A pacedWriter rests after each write for as long as that and what led to it
// took, so that on a machine with one processor requests come in between, and
// half of it is theirs at least.
type pacedWriter struct {
	to     io.Writer
	ending <-chan struct{}
	last   time.Time // when the last write was over
}

func (p *pacedWriter) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	if err != nil {
		return n, err
	}
	select {
	case <-p.ending:
		return n, errEnding
	case <-time.After(min(time.Since(p.last), maxPause)):
	}
	p.last = time.Now()
	return n, nil
}
