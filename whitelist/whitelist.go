// Package whitelist decides which torrents are served.
//
// # Lists
//
// [Lists] is made of sources. Each is a file in opentracker's format, one
// infohash in hex to a line, or a folder of .torrent files; each belongs to the
// whitelist or to the blacklist. With a whitelist, only what is on it is
// served. What is on the blacklist never is.
//
//	file ───► Set ┐
//	folder ─► Set ┴ white ┐
//	file ───► Set ─ black ┼─► view ◄── atomic pointer ── Allowed
//	FIFOs ──► overlay ────┘
//
// A request looks at one immutable view, through one pointer, and takes no
// lock. Whatever changes makes a new view and swaps the pointer, so that a
// request sees all of a list or all of the next one.
//
// The FIFOs correct the whitelist, or the blacklist if that is all there is: a
// hash written to the one for adding counts as listed, a hash written to the
// one for deleting as not listed, and the last word on a hash is what counts.
// [Lists.Reload] forgets both; nothing of them is kept on disk.
//
// # When a source fails
//
// A source that is missing, unreadable or suddenly empty keeps what it said
// before: a full disk or a crashed script must not close a tracker, nor a typo
// open it. To clear a list, leave a comment line in it; to clear a folder, leave
// a file in it. At the start there is nothing to keep. Then a whitelist that
// cannot be read allows nothing, and a blacklist that cannot be read is an
// error.
//
// # Memory
//
// A Set takes 20.6 bytes a hash. Reading one takes as much again while the old
// one is still in use, and nothing more: hashes are read straight into their
// array and sorted there. The old array goes back to the system at once.
//
// # Following changes
//
// [Lists.Watch] reads again what has changed: told by inotify on Linux, by
// looking every second elsewhere and wherever inotify cannot help. What decides
// is always the file's identity, size and time, never the event. A writer should
// replace a list by renaming; one that rewrites it in place is given a fifth of
// a second of quiet, but no more than a second, before it is read.
//
// Nothing here logs. What happened is said to a function that the caller gives.
package whitelist

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"tracker/proto"
)

// Options say where the lists are.
type Options struct {
	White, Black []string // paths of files and folders
	// Paths of the FIFOs, "" for none. Both are made if they are missing. They
	// need a list to correct.
	FIFOAdd, FIFODelete string
	// Log is told whatever the operator should know. Calls do not overlap. It must
	// not call back into the Lists. May be nil.
	Log func(Note)

	outside map[string]outside // see KeepOutside
}

// A Note is something the operator should know of a list or a FIFO.
type Note struct {
	List    string // "whitelist", "blacklist" or "FIFO"
	Path    string // as configured
	Trouble bool   // the list is not what it was meant to be
	Format  string // what kind of note it is: Text without numbers
	Text    string // of any length, with words from the list in it
}

// String returns the note as a line without LF.
func (n Note) String() string { return n.List + " " + n.Path + ": " + n.Text }

// Lists are the whitelist and the blacklist of a tracker. Any number of
// goroutines may use them. A nil *Lists allows everything.
type Lists struct {
	now atomic.Pointer[view]

	mu           sync.Mutex // held by whoever changes anything below
	white, black []*source
	marks        *overlay // what the FIFOs said; corrects black if there is no white
	fifos        []*fifo
	log          func(Note)
	heard        []Note // what sources said since the last publish
}

// A view is all that a request looks at.
type view struct {
	white, black []*Set
	hasWhite     bool     // without a whitelist, all is white
	marks        *overlay // of the whitelist if there is one, else of the blacklist
}

// A SourceError says why a source cannot be read.
type SourceError struct {
	List  string // "whitelist" or "blacklist"
	Path  string
	Cause string
}

func (e *SourceError) Error() string { return e.List + " " + e.Path + ": " + e.Cause }

// Open reads all lists. It returns nil and no error if there are none, a
// [*SourceError] if a blacklist cannot be read, and another error if there is
// a FIFO but no list. Call it when all privileges are dropped: FIFOs are made with
// those of the caller, and a list only root can read would not survive the
// first reload.
func Open(o *Options) (*Lists, error) {
	if len(o.White)+len(o.Black) == 0 {
		if o.FIFOAdd+o.FIFODelete != "" {
			return nil, fmt.Errorf("%s: a FIFO corrects a whitelist or blacklist, and there is none", o.FIFOAdd+o.FIFODelete)
		}
		return nil, nil
	}
	l := &Lists{log: o.Log}
	if l.log == nil {
		l.log = func(Note) {}
	}
	for _, path := range o.White {
		l.white = append(l.white, newSource("whitelist", path, o.outside[path], l.hear))
	}
	for _, path := range o.Black {
		l.black = append(l.black, newSource("blacklist", path, o.outside[path], l.hear))
	}
	o.closeUnused(append(l.white, l.black...))
	for _, s := range l.white {
		s.refresh(rereadAll)
	}
	for _, s := range l.black {
		if s.refresh(rereadAll); !s.loaded {
			l.tell()
			return nil, s.trouble()
		}
	}
	l.publish()
	l.makeFIFO(o.FIFOAdd, added)
	l.makeFIFO(o.FIFODelete, deleted)
	return l, nil
}

// Err returns a [*SourceError] for the first source that cannot be read now, or
// nil.
func (l *Lists) Err() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sources() {
		if s.said != "" {
			return s.trouble()
		}
	}
	return nil
}

// Allowed reports whether the torrent is served. It takes no lock and does not
// allocate.
func (l *Lists) Allowed(ih *proto.Infohash) bool {
	if l == nil {
		return true
	}
	v := l.now.Load()
	if v.hasWhite {
		return listed(v.white, v.marks, ih) && !listed(v.black, nil, ih)
	}
	return !listed(v.black, v.marks, ih)
}

// listed reports whether ih is in one of the sets, as corrected by marks.
func listed(sets []*Set, marks *overlay, ih *proto.Infohash) bool {
	switch marks.get(ih) {
	case added:
		return true
	case deleted:
		return false
	}
	for _, s := range sets {
		if s.Has(ih) {
			return true
		}
	}
	return false
}

// Reload reads every source again, changed or not, and forgets what the FIFOs
// said. All of it takes effect at once. Reloads at the same time happen one
// after the other.
func (l *Lists) Reload() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.marks = nil
	l.refresh(rereadAll)
	l.publish()
}

// A reread says which sources to read.
type reread bool

const (
	rereadChanged reread = false
	rereadAll     reread = true
)

// check reads the sources that have changed.
func (l *Lists) check() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refresh(rereadChanged) {
		l.publish()
	}
	l.tell()
}

// hear keeps what a source says until it is true of what requests see.
func (l *Lists) hear(n Note) { l.heard = append(l.heard, n) }

// tell tells the log what was heard.
func (l *Lists) tell() {
	for _, n := range l.heard {
		l.log(n)
	}
	l.heard = nil
}

// refresh reads sources and reports whether one of them says something new.
// The caller holds the lock.
func (l *Lists) refresh(which reread) (changed bool) {
	for _, s := range l.sources() {
		if s.refresh(which) {
			changed = true
		}
	}
	return changed
}

// sources returns all sources, white ones first.
func (l *Lists) sources() []*source {
	return append(append([]*source(nil), l.white...), l.black...)
}

// worthReturning is how many bytes of old sets make it worth to run the
// collector and give memory back at once, instead of some minutes later.
const worthReturning = 1 << 20

// publish makes what the sources and FIFOs say now what requests see. The
// caller holds the lock, or is the only one who knows l.
func (l *Lists) publish() {
	v := &view{hasWhite: len(l.white) > 0, marks: l.marks}
	for _, s := range l.white {
		v.white = append(v.white, s.set)
	}
	for _, s := range l.black {
		v.black = append(v.black, s.set)
	}
	if old := l.now.Swap(v); old != nil && dropped(old, v) >= worthReturning {
		debug.FreeOSMemory()
	}
	l.tell()
}

// dropped returns the bytes of the sets in old that are not in v, which has the
// same sources.
func dropped(old, v *view) (bytes int) {
	for i, s := range old.white {
		if s != v.white[i] {
			bytes += s.Size()
		}
	}
	for i, s := range old.black {
		if s != v.black[i] {
			bytes += s.Size()
		}
	}
	return bytes
}

// Counts say how much there is, in infohashes. One in two sources counts twice.
type Counts struct {
	White, Black   int // in the sources
	Added, Deleted int // by the FIFOs, since the last reload
}

// Counts returns how much there is now.
func (l *Lists) Counts() (c Counts) {
	if l == nil {
		return c
	}
	v := l.now.Load()
	for _, s := range v.white {
		c.White += s.Len()
	}
	for _, s := range v.black {
		c.Black += s.Len()
	}
	c.Added, c.Deleted = v.marks.counts()
	return c
}
