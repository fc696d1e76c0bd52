package whitelist

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"strings"

	"tracker/proto"
)

// A folder remembers what the files in it said, so that a new one costs the
// reading of one file. Keys are hashes of names. An entry is 56 bytes.
type folder map[uint64]torrentFile

// A torrentFile is one .torrent file as it was when it was read.
type torrentFile struct {
	stamp  uint64 // hash of its size and time; 0 to read it next time
	hashes [2]proto.Infohash
	n      int
}

// folderSeed keys the hashes above.
var folderSeed = maphash.MakeSeed()

// folderBatch is how many names are read from a folder at once.
const folderBatch = 512

// A scan is one walk over a folder.
type scan struct {
	s      *source
	which  reread
	files  folder // as found
	others int    // entries that are no .torrent files
	read   int    // .torrent files that had to be read
	broken int    // of those, the ones that could not be
	why    string // name and trouble of the first of them
}

// readFolder reads the .torrent files in s that are new or have changed, or all
// of them. Folders in it are not entered.
func (s *source) readFolder(which reread) (changed bool, err error) {
	dir, err := s.open("")
	if err != nil {
		return false, err
	}
	defer dir.Close() // it was only read
	c := scan{s: s, which: which, files: make(folder, len(s.files))}
	for {
		entries, err := dir.ReadDir(folderBatch)
		for _, e := range entries {
			c.entry(e)
		}
		if len(c.files) > MaxHashes/2 {
			return false, errTooMany
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false, err
		}
	}
	if len(c.files)+c.others == 0 {
		return false, errEmpty
	}
	if s.loaded && s.said == "" && c.read == 0 && len(c.files) == len(s.files) {
		return false, nil
	}
	s.info, s.files = nil, c.files
	if c.broken > 0 {
		s.warn("%d broken files left out, among them %s", c.broken, c.why)
	}
	return s.take(c.files.set(), which), nil
}

// set returns the infohashes of all files in f.
func (f folder) set() *Set {
	hashes := make([]proto.Infohash, 0, len(f))
	for _, t := range f {
		hashes = append(hashes, t.hashes[:t.n]...)
	}
	return newSet(hashes)
}

// entry reads one entry of the folder, or remembers what it was. A file that
// cannot be read keeps what it said before, like any source.
func (c *scan) entry(e fs.DirEntry) {
	name := e.Name()
	if len(name) < len(".torrent") || !strings.EqualFold(name[len(name)-len(".torrent"):], ".torrent") {
		c.others++
		return
	}
	fi, err := c.s.stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return // gone since, or a link to nowhere
	}
	key := maphash.String(folderSeed, name)
	file := c.s.files[key]
	stamp := uint64(0)
	if err == nil {
		if stamp = stampOf(fi); stamp == file.stamp && c.which == rereadChanged {
			c.files[key] = file
			return
		}
		err = c.open(name, &file)
	}
	c.read++
	if err != nil {
		if c.broken++; c.broken == 1 {
			c.why = fmt.Sprintf("%s: %s", clean(name), cause(err))
		}
	}
	if file.stamp = stamp; stamp != 0 && fresh(fi) {
		file.stamp = 0
	}
	c.files[key] = file
}

// open reads the .torrent file name into file.
func (c *scan) open(name string, file *torrentFile) error {
	fi, err := c.s.stat(name)
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() { // opening a FIFO would wait for a writer
		return errNotFile
	}
	f, err := c.s.open(name)
	if err != nil {
		return err
	}
	defer f.Close() // it was only read
	t, err := readTorrent(f)
	if err != nil {
		return err
	}
	file.hashes, file.n = t.hashes, t.n
	return nil
}

// stampOf returns a hash of the size and time of a file. It is never 0.
func stampOf(fi os.FileInfo) uint64 {
	type stamp struct{ size, time int64 }
	return maphash.Comparable(folderSeed, stamp{fi.Size(), fi.ModTime().UnixNano()}) | 1
}
