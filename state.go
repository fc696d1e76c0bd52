package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"tracker/loop"
	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// A state file of opentracker says which torrents there were, and how often they had been
// downloaded. It is what /stats?mode=statedump answers, one torrent a line:
//
//	12265A8791313E55C1BFCA4D8EBAA484057FB478:27345678:4
//	infohash, hex of either case             |        downloads
//	                                         minute of last use, since 1970
//
// This, snapshots and logs are where wall clock time comes in.
//
// A countsFile is one that may be asked for. The zero value is none.
type countsFile struct {
	path    string
	outside *os.Root // the folder it is in, opened before the chroot; or nil
}

// keepOutside opens the folder the file is in, before the chroot.
func (s *countsFile) keepOutside() {
	if s.path != "" {
		s.outside, _ = os.OpenRoot(filepath.Dir(s.path)) // else there is nothing to keep
	}
}

// open opens the file: the one inside, or if there is none the one outside. The
// folder outside is not kept any longer.
func (s *countsFile) open() (*os.File, error) {
	if s.outside == nil {
		return os.Open(s.path)
	}
	defer s.outside.Close() // it was only read
	_, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		if f, err := s.outside.Open(filepath.Base(s.path)); err == nil {
			logf(info, "state", "state file %v: not in here, so the one outside of the chroot is used", as("path", s.path))
			return f, nil
		}
	}
	return os.Open(s.path)
}

// loadState loads the state file, if one was asked for. Trouble is logged and
// does not keep the tracker from serving: better without counts than not at
// all.
func (t *tracker) loadState() {
	if t.counts.path == "" {
		return
	}
	f, err := t.counts.open()
	if err == nil {
		defer f.Close() // it was only read
		var r loadReport
		r, err = loadTorrents(f, t.load)
		known, _, _ := t.store.Totals()
		logf(info, "state", "state file %v: %d torrents, %v of them recent enough to load%v", as("path", t.counts.path), r.torrents, as("torrents", known), r)
	}
	if err != nil {
		logf(warning, "state", "state file %v: %v; serving without what it may hold", as("path", t.counts.path), as("error", cause(err)))
	}
}

// load makes one torrent known, and reports whether it is allowed.
func (t *tracker) load(line *stats.Torrent) bool {
	ih := proto.Infohash(line.Infohash)
	if !t.lists.Allowed(&ih) {
		return false
	}
	// A router's clock may not be set yet, and is in 1970. Then every torrent
	// is as young as can be.
	idle := max(0, time.Now().Unix()/60-int64(line.UsedMinute))
	t.store.Load(&ih, line.Downloaded, store.Minute(min(idle, math.MaxUint32)), loop.Minute())
	return true
}

// A loadReport says what was in a state file.
type loadReport struct {
	torrents int // lines that are good and allowed
	refused  int // good, but not allowed by the lists
	broken   int
	first    int // number of the first broken line, from 1
	why      error
}

// String says what was left out, as the end of a sentence.
func (r loadReport) String() string {
	s := ""
	if r.refused > 0 {
		s += fmt.Sprintf("; %d not allowed by the lists left out", r.refused)
	}
	if r.broken > 0 {
		s += fmt.Sprintf("; %d broken lines left out, the first is line %d: %v", r.broken, r.first, r.why)
	}
	return s
}

// loadTorrents calls load with each good line of r, which reports whether it
// was wanted. An error is that of r; what came before it has been loaded.
func loadTorrents(r io.Reader, load func(*stats.Torrent) bool) (report loadReport, err error) {
	var line stats.Torrent
	in := bufio.NewReader(r)
	for number := 1; err == nil; number++ {
		var text []byte
		text, err = in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
		if len(text) == 0 {
			break
		}
		why := errLongLine
		if !long {
			if line, why = stats.LoadLine(text); why != nil {
				why = errFields
			}
		}
		switch {
		case why != nil:
			if report.broken++; report.broken == 1 {
				report.first, report.why = number, why
			}
		case load(&line):
			report.torrents++
		default:
			report.refused++
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return report, err
}

// What can be wrong with a line.
var (
	errLongLine = errors.New("it is too long")
	errFields   = errors.New("not HASH:MINUTE:DOWNLOADS; if the file is compressed, unpack it first")
)
