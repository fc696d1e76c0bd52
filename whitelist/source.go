package whitelist

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A source is one file or folder of a list. Its fields belong to whoever holds
// the lock of the Lists.
type source struct {
	list    string // "whitelist" or "blacklist", for messages
	path    string // as configured
	outside outside
	log     func(Note)

	set    *Set
	loaded bool        // set comes from the source, though perhaps not lately
	info   fs.FileInfo // of the file when it was read; nil to read it next time
	files  folder      // of the folder when it was read
	said   string      // the trouble last complained of, "" if all was well
}

// An outside is a source that lies outside of the directory the tracker has
// locked itself into, held by a descriptor opened before. The zero value holds
// nothing.
type outside struct {
	root   *os.Root // the folder it is in, or its first link
	name   string   // in root
	frozen bool     // a link led out of the folder: it was followed once
}

// KeepOutside opens the folders that the sources are in. Call it before chroot:
// then a source that is missing inside but exists outside is used all the same,
// which the Log is told. Only what is in such a folder can be reached through
// it. Folders that turn out not to be needed are closed by [Open].
func (o *Options) KeepOutside() {
	o.outside = make(map[string]outside)
	for _, path := range append(append([]string(nil), o.White...), o.Black...) {
		if _, twice := o.outside[path]; twice {
			continue
		}
		if out, err := hold(path); err == nil { // else there is nothing to keep
			o.outside[path] = out
		}
	}
}

// hold opens the folder that has all of path in it that may be exchanged: the
// last component, for mv, or the first link, for ln -sfn. Links that stay in
// the folder are then followed anew each time. One that leads out of it, or
// that stands in the root directory, cannot be once that is another; it is
// followed now.
func hold(path string) (outside, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return outside{}, err
	}
	dir, name := filepath.Split(path)
	if link := firstLink(path); link != "" {
		dir = filepath.Dir(link)
		name, _ = filepath.Rel(dir, path)
	}
	if root, err := os.OpenRoot(dir); err == nil {
		_, err := root.Stat(name)
		if filepath.Clean(dir) != "/" && (err == nil || errors.Is(err, fs.ErrNotExist)) {
			return outside{root: root, name: name}, nil
		}
		root.Close() // it was only read
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	root, err := os.OpenRoot(filepath.Dir(real))
	return outside{root, filepath.Base(real), real != path}, err
}

// firstLink returns the part of an absolute path up to its first symbolic
// link, or "" if there is none.
func firstLink(path string) string {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != filepath.Separator {
			continue
		}
		fi, err := os.Lstat(path[:i])
		switch {
		case err != nil:
			return ""
		case fi.Mode()&fs.ModeSymlink != 0:
			return path[:i]
		}
	}
	return ""
}

// closeUnused closes the folders that none of the sources needs.
func (o *Options) closeUnused(sources []*source) {
	for _, s := range sources {
		if s.outside.root != nil {
			delete(o.outside, s.path)
		}
	}
	for _, out := range o.outside {
		out.root.Close() // it was only read
	}
	o.outside = nil
}

// newSource returns a source not yet read. What it is inside wins; if it is
// missing there and exists outside, it is used from outside for good. That is
// also so if it cannot even be looked for inside, as when somebody's home, where
// others may not search, is where a crontab starts us.
func newSource(list, path string, out outside, log func(Note)) *source {
	s := &source{list: list, path: path, log: log}
	if out.root == nil {
		return s
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return s
	}
	if _, err := out.root.Stat(out.name); err == nil {
		s.outside = out
		s.say("not in here, so the one outside of the chroot is used")
		if out.frozen {
			s.warn("a link leads out of its folder: it was followed now, and will not be again")
		}
	}
	return s
}

// trouble returns what is wrong with s as an error.
func (s *source) trouble() error { return &SourceError{s.list, s.path, s.said} }

// say tells the log about s.
func (s *source) say(format string, args ...any) {
	s.log(Note{s.list, s.path, false, format, fmt.Sprintf(format, args...)})
}

// warn tells the log of what is wrong with s.
func (s *source) warn(format string, args ...any) {
	s.log(Note{s.list, s.path, true, format, fmt.Sprintf(format, args...)})
}

// stat returns what is known of the source, or of the file name in its folder.
func (s *source) stat(name string) (fs.FileInfo, error) {
	if s.outside.root != nil {
		return s.outside.root.Stat(filepath.Join(s.outside.name, name))
	}
	return os.Stat(s.join(name))
}

// open opens the source, or the file name in its folder, to read.
func (s *source) open(name string) (*os.File, error) {
	if s.outside.root != nil {
		return s.outside.root.Open(filepath.Join(s.outside.name, name))
	}
	return os.Open(s.join(name))
}

// join returns the path of the file name in s, or of s itself.
func (s *source) join(name string) string {
	if name == "" {
		return s.path
	}
	return filepath.Join(s.path, name)
}

// What can be wrong with a source, beside what the system says.
var (
	errEmpty   = errors.New("is empty")
	errNotFile = errors.New("neither a file nor a folder")
)

// refresh reads s, or looks whether it has changed and reads it then. It
// reports whether s now says something new.
func (s *source) refresh(which reread) (changed bool) {
	fi, err := s.stat("")
	switch {
	case err != nil:
	case fi.IsDir():
		changed, err = s.readFolder(which)
	case !fi.Mode().IsRegular():
		err = errNotFile
	case which == rereadAll || s.said != "" || !same(s.info, fi):
		changed, err = s.readFile(which)
	}
	if err != nil {
		s.complain(err, which)
		return false
	}
	s.said = ""
	return changed
}

// complain says why s could not be read, once, or whenever someone asks.
func (s *source) complain(err error, which reread) {
	said := cause(err).Error()
	if said == s.said && which == rereadChanged {
		return
	}
	s.said = said
	switch {
	case s.loaded:
		s.warn("%s; the %d torrents it listed before still count", said, s.set.Len())
	case s.list == "whitelist":
		s.warn("%s; NOTHING IS ALLOWED by it until it can be read", said)
	}
}

// readFile reads a list.
func (s *source) readFile(which reread) (changed bool, err error) {
	f, err := s.open("")
	if err != nil {
		return false, err
	}
	defer f.Close() // it was only read
	fi, err := f.Stat()
	if err != nil {
		return false, err
	}
	if fi.Size() == 0 {
		if s.list == "blacklist" && !s.loaded { // just touched: it refuses nothing yet
			return s.take(newSet(nil), which), nil
		}
		return false, errEmpty
	}
	set, broken, err := ReadSet(f, fi.Size())
	if err != nil {
		return false, err
	}
	s.files = nil
	if s.info = fi; fresh(fi) {
		s.info = nil
	}
	if changed = s.take(set, which); changed && broken.Lines > 0 {
		s.warn("%v", broken)
	}
	return changed, nil
}

// take makes set what s says. It reports false, and keeps the old one, if that
// is the same and nobody asked.
func (s *source) take(set *Set, which reread) bool {
	if which == rereadChanged && s.loaded && s.said == "" && s.set.equal(set) {
		return false
	}
	s.set, s.loaded = set, true
	s.say("%d torrents", set.Len())
	return true
}

// unsure reports whether s was read so soon after it was written that it must
// be read again.
func (s *source) unsure() bool {
	for _, f := range s.files {
		if f.stamp == 0 {
			return true
		}
	}
	return s.loaded && s.said == "" && s.files == nil && s.info == nil
}

// same reports whether a file is the one it was: not replaced, not written to.
func same(was, is fs.FileInfo) bool {
	return was != nil && os.SameFile(was, is) && was.Size() == is.Size() && was.ModTime().Equal(is.ModTime())
}

// tick is the coarsest that common file systems' times are, the clock of the
// kernel at 100 Hz, and some more.
const tick = 50 * time.Millisecond

// fresh reports whether a file was written so recently that its time may not
// change if it is written again now. Then its time proves nothing.
func fresh(fi fs.FileInfo) bool {
	return time.Since(fi.ModTime()).Abs() < tick
}

// cause returns err without the path, which stands in front anyway.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
