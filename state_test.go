package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"tracker/stats"
)

const stateHash = "12265A8791313E55C1BFCA4D8EBAA484057FB478"

// TestLoadTorrents checks which lines of a file are loaded, and what is said of
// the others.
func TestLoadTorrents(t *testing.T) {
	good := func(n int) string { return fmt.Sprintf("%s:1:%d\n", stateHash, n) }
	for _, tt := range []struct {
		name, text string
		want       []uint32 // downloads
		says       string
	}{
		{"empty", "", nil, ""},
		{"good", good(1) + good(2), []uint32{1, 2}, ""},
		{"no end", strings.TrimSpace(good(1)), []uint32{1}, ""},
		{"CRLF", strings.ReplaceAll(good(1)+good(2), "\n", "\r\n"), []uint32{1, 2}, ""},
		{"refused", good(1) + good(99), []uint32{1}, "; 1 not allowed by the lists left out"},
		{"long", good(1) + strings.Repeat("x", 10000) + "\n" + good(2), []uint32{1, 2}, "; 1 broken lines left out, the first is line 2: " + errLongLine.Error()},
		{"long end", good(1) + strings.Repeat("x", 10000), []uint32{1}, "; 1 broken lines left out, the first is line 2: " + errLongLine.Error()},
		{"broken", "x\n" + good(1) + "\n" + good(2), []uint32{1, 2}, "; 2 broken lines left out, the first is line 1: " + errFields.Error()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []uint32
			report, err := loadTorrents(strings.NewReader(tt.text), func(l *stats.Torrent) bool {
				if l.Downloaded == 99 {
					return false
				}
				got = append(got, l.Downloaded)
				return true
			})
			if !slices.Equal(got, tt.want) || report.torrents != len(tt.want) || report.String() != tt.says || err != nil {
				t.Errorf("got %v, %+v, %q, %v", got, report, report, err)
			}
		})
	}
	errDisk := errors.New("disk")
	report, err := loadTorrents(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(good(1)))), func(*stats.Torrent) bool { return true })
	if !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("got %+v, %v", report, err)
	}
	if _, err := loadTorrents(iotest.ErrReader(errDisk), nil); !errors.Is(err, errDisk) {
		t.Errorf("got %v", err)
	}
}

// TestStateFile starts a tracker with a state file: what the lists do not
// allow, is too old or was never downloaded is not loaded, and counts are what
// they were.
func TestStateFile(t *testing.T) {
	dir := t.TempDir()
	state, list := filepath.Join(dir, "state"), filepath.Join(dir, "list")
	now := time.Now().Unix() / 60
	hash := func(ih byte) string { return strings.Repeat(fmt.Sprintf("%x", ih), 20) }
	var text strings.Builder
	fmt.Fprintf(&text, "%s:%d:5\n", hash('a'), now)
	fmt.Fprintf(&text, "%s:%d:6\n", strings.ToUpper(hash('j')), now-23*60)
	fmt.Fprintf(&text, "%s:%d:7\n", hash('c'), now-25*60) // too old
	fmt.Fprintf(&text, "%s:%d:0\n", hash('d'), now)       // never downloaded
	fmt.Fprintf(&text, "%s:%d:9\n", hash('e'), now)       // not allowed
	fmt.Fprintf(&text, "%s:%d:3\n", hash('f'), now+9999)  // from a clock that was ahead
	fmt.Fprintf(&text, "%s\n", hash('g'))
	for path, text := range map[string]string{
		state: text.String(), list: strings.Join([]string{hash('a'), hash('j'), hash('c'), hash('d'), hash('f')}, "\n"),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := startTracker(t, "-l", state, "-w", list, "-i", "127.0.0.1", "-p", "0")
	if os.Getuid() == 0 {
		p.says("tracker: whitelist " + list + ": not in here")
	}
	p.says("tracker: whitelist " + list + ": 5 torrents")
	if os.Getuid() == 0 {
		p.says("tracker: state file " + state + ": not in here, so the one outside of the chroot is used")
	}
	p.says("tracker: state file " + state + ": 5 torrents, 3 of them recent enough to load" +
		"; 1 not allowed by the lists left out; 1 broken lines left out, the first is line 7: not HASH:MINUTE:DOWNLOADS; ")
	tcp := p.says("tracker: listening on tcp ")
	query := ""
	for _, ih := range []byte("ajcdef") {
		query += "&info_hash=" + strings.Repeat(string(ih), 20)
	}
	got := get(t, tcp, "/scrape?"+query[1:])
	want := "d5:filesd"
	for _, known := range []struct {
		ih byte
		n  int
	}{{'a', 5}, {'f', 3}, {'j', 6}} {
		want += fmt.Sprintf("20:%sd8:completei0e10:downloadedi%de10:incompletei0ee", strings.Repeat(string(known.ih), 20), known.n)
	}
	if want += "e"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestNoStateFile checks that a tracker serves without its state file.
func TestNoStateFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "state")
	p := startTracker(t, "-l", missing, "-i", "127.0.0.1", "-p", "0")
	p.says("tracker: state file " + missing + ": no such file or directory; serving without what it may hold")
	if !announces(t, p.says("tracker: listening on tcp "), 'a') {
		t.Error("an announce is refused")
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}
