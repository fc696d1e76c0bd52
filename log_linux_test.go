package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"tracker/config"
	"tracker/whitelist"
)

// A page is where a log is written to in tests.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// TestLogFormats shows an event in each format.
func TestLogFormats(t *testing.T) {
	at := time.Date(2026, 11, 23, 4, 28, 20, 123_456_789, time.FixedZone("", 3600))
	args := []any{as("path", `my "state"=1`), as("peers", 12), as("seconds", 1500*time.Millisecond), bytesAs("limit_bytes", 32<<20), 7}
	const format = "snapshot %v: %v peers written in %v, below %v, %d"
	e := entry{at, warning, "snapshot", fmt.Sprintf(format, args...), args, 0}
	sentence := `snapshot my "state"=1: 12 peers written in 1.5s, below 32.0 MB, 7`
	quoted := strings.ReplaceAll(sentence, `"`, `\"`)
	for _, tt := range []struct {
		format  config.LogFormat
		journal bool
		more    int
		want    string
	}{
		{config.LogPlain, false, 0, "tracker: " + sentence},
		{config.LogPlain, true, 3, "<4>tracker: " + sentence + "; and 3 more like it in the last minute"},
		{config.LogText, true, 0, `time=2026-11-23T03:28:20.123Z level=warning event=snapshot msg="` + quoted +
			`" path="my \"state\"=1" peers=12 seconds=1.500 limit_bytes=33554432`},
		{config.LogJSON, true, 3, `{"time":"2026-11-23T03:28:20.123Z","level":"warning","event":"snapshot","msg":"` + quoted +
			`; and 3 more like it in the last minute","path":"my \"state\"=1","peers":12,"seconds":1.500,"limit_bytes":33554432,"more":3}`},
	} {
		l := logger{format: tt.format, journal: tt.journal}
		e.more = tt.more
		if got := string(l.append(nil, &e)); got != tt.want+"\n" {
			t.Errorf("%v:\n%swant\n%s", tt.format, got, tt.want)
		}
	}
}

// TestLogForgery logs what wants to be more than one line.
func TestLogForgery(t *testing.T) {
	for _, hostile := range []string{
		"", "a\nb", "a\rtracker: OK", "\x1b[2K", "\x00", `" event=start x="`, `","level":"error`, "\xff\xfe", "a\u2028b\u2029", "\u202eabc",
		"\u0085", "\x7f", `\n`, "é€𝄞", "\xed\xa0\x80", "\U000e0001", "tab\tbed",
	} {
		for _, format := range []config.LogFormat{config.LogPlain, config.LogText, config.LogJSON} {
			l := logger{format: format}
			e := entry{time.Now(), info, "list", "list " + hostile + ": bad", []any{as("path", hostile), as("n", 1)}, 0}
			line, ok := strings.CutSuffix(string(l.append(nil, &e)), "\n")
			if !ok || !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) && r < 0x10000 }) {
				t.Errorf("%v of %q: %q", format, hostile, line)
			}
			switch format {
			case config.LogJSON:
				var object struct{ Time, Level, Event, Msg, Path string }
				d := json.NewDecoder(strings.NewReader(line))
				if err := d.Decode(&object); err != nil || d.More() {
					t.Errorf("%q: %v", line, err)
				}
				if want := "list " + hostile + ": bad"; utf8.ValidString(hostile) && (object.Msg != want || object.Path != hostile) || object.Level != "info" || object.Event != "list" {
					t.Errorf("%q is read as %+v", line, object)
				}
			case config.LogText:
				if keys := keysOf(t, line); strings.Join(keys, " ") != "time level event msg path n" {
					t.Errorf("%q has the keys %q", line, keys)
				}
			}
		}
	}
}

// keysOf returns the keys of a line of key=value.
func keysOf(t *testing.T, line string) (keys []string) {
	t.Helper()
	for line != "" {
		key, rest, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("no key at %q", line)
		}
		keys = append(keys, key)
		if !strings.HasPrefix(rest, `"`) {
			_, line, _ = strings.Cut(rest, " ")
			continue
		}
		d := json.NewDecoder(strings.NewReader(rest))
		var value string
		if err := d.Decode(&value); err != nil {
			t.Fatalf("%v at %q", err, rest)
		}
		line = strings.TrimPrefix(rest[d.InputOffset():], " ")
	}
	return keys
}

// TestLogRepeats has events come more often than they are told.
func TestLogRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p page
		l := &logger{to: &p, least: info}
		said := func(want string) {
			t.Helper()
			synctest.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			if got := p.text.String(); got != want {
				t.Errorf("said\n%swant\n%s", got, want)
			}
			p.text.Reset()
		}
		some := func(from, to int) {
			for i := from; i <= to; i++ {
				l.logf(info, "accept", "no %d", i)
			}
		}
		l.logf(detail, "accept", "not told")
		some(1, 42)
		l.logf(warning, "accept", "another format")
		said("tracker: no 1\ntracker: no 2\ntracker: no 3\ntracker: no 4\ntracker: no 5\ntracker: another format\n")
		time.Sleep(59 * time.Second)
		some(43, 43)
		said("")
		time.Sleep(time.Second)
		said("tracker: no 43; and 37 more like it in the last minute\n")
		some(1, 6)
		said("tracker: no 1\ntracker: no 2\ntracker: no 3\ntracker: no 4\ntracker: no 5\n")
		l.flush() // as at the end
		said("tracker: no 6\n")
		time.Sleep(2 * time.Minute)
		said("")
		for range 9 {
			l.logf(info, "summary", "asked for")
		}
		said(strings.Repeat("tracker: asked for\n", 9))
	})
}

// TestLogLists has something wrong with more lists than one event is told of: each
// is told, but not again and again.
func TestLogLists(t *testing.T) {
	var p page
	was := operator
	operator = &logger{to: &p, least: info}
	defer func() { operator = was }()
	var want strings.Builder
	for i := range 2 * repeatMost {
		n := whitelist.Note{List: "whitelist", Path: fmt.Sprint("list", i), Trouble: true, Format: "%s; NOTHING", Text: "gone; NOTHING"}
		for range 2 * repeatMost {
			logList(n)
		}
		want.WriteString(strings.Repeat(fmt.Sprintf("tracker: %v\n", n), repeatMost))
	}
	until(t, patience, "all is written", func() bool {
		operator.mu.Lock()
		defer operator.mu.Unlock()
		return operator.writing == nil
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := p.text.String(); got != want.String() {
		t.Errorf("said\n%swant\n%s", got, want.String())
	}
}

// TestLogToTheDeaf logs to somebody who does not read: nobody waits for him, but
// the end, for a moment; and when he is back he is told what he has missed.
func TestLogToTheDeaf(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l := &logger{to: w, least: info}
	const n = 10_000
	for i := range n {
		l.logf(info, "summary", "%d %s", i, strings.Repeat("x", 100))
	}
	began := time.Now()
	l.flush()
	if waited := time.Since(began); waited < flushLimit || waited > flushLimit+patience {
		t.Errorf("the end waits for %v", waited)
	}
	told := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(r)
		told <- b
	}()
	until(t, patience, "all is written", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.writing == nil })
	w.Close()
	whole, lost := 0, 0
	for line := range strings.Lines(string(<-told)) {
		some := 0
		if _, err := fmt.Sscanf(line, "tracker: %d lines of the log are lost", &some); err != nil {
			whole++
		} else {
			lost += some
		}
	}
	if lost == 0 || whole+lost != n {
		t.Errorf("%d lines and %d lost, of %d", whole, lost, n)
	}
	l.logf(info, "summary", "to nobody")
	l.flush() // nothing to wait for
}

// TestLogGoneReader starts trackers whose lines nobody reads, or can read: they
// serve, and end when they are told to.
func TestLogGoneReader(t *testing.T) {
	for _, gone := range []bool{true, false} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		fd := int(w.Fd())
		syscall.SetNonblock(fd, true)
		for err = nil; err == nil && !gone; { // until not a byte more fits
			_, err = syscall.Write(fd, make([]byte, 1))
		}
		syscall.SetNonblock(fd, false)
		if gone {
			r.Close()
		}
		port := freePort(t)
		cmd := exec.Command(os.Args[0], "-i", "127.0.0.1", "-p", port, "-l", "missing")
		cmd.Env, cmd.Stderr = append(os.Environ(), asTracker+"=1"), w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer late.Stop()
		until(t, patience, "it serves", func() bool {
			_, err := tryGet("127.0.0.1:"+port, announcePath('a', 1))
			return err == nil
		})
		cmd.Process.Signal(syscall.SIGUSR1)
		for range 10 {
			announces(t, "127.0.0.1:"+port, 'b')
		}
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("reader gone %v: %v", gone, err)
		}
	}
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(at.(*syscall.SockaddrInet4).Port)
}

// TestLogConfigured starts trackers that log for machines, in the sandbox.
func TestLogConfigured(t *testing.T) {
	conf := confFile(t, "listen.tcp 127.0.0.1:0", "log.format json")
	p := startTracker(t, "-f", conf)
	var e struct {
		Level, Event, Msg, Network, Address string
		Torrents                            *int
		UptimeSeconds                       *float64 `json:"uptime_seconds"`
	}
	next := func(event string) {
		t.Helper()
		for e.Event = ""; e.Event != event; {
			line, err := p.lines.ReadBytes('\n')
			if err == nil {
				err = json.Unmarshal(line, &e)
			}
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
	}
	next("listen")
	if e.Msg != "listening on tcp "+e.Address || e.Network != "tcp" || e.Level != "info" {
		t.Errorf("%+v", e)
	}
	announces(t, e.Address, 'a')
	p.signal(syscall.SIGUSR1)
	next("summary")
	if e.Torrents == nil || *e.Torrents != 1 || e.UptimeSeconds == nil {
		t.Errorf("%+v", e)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)

	p = startTracker(t, "-f", confFile(t, "listen.tcp 127.0.0.1:0", "log.format text", "log.level warning"), "-l", "missing")
	var line, rest string
	var err error
	for err == nil && (rest == "" || strings.HasPrefix(rest, "level=warning event=checkup ")) { // this machine may be busy
		line, err = p.lines.ReadString('\n')
		_, rest, _ = strings.Cut(line, " ")
	}
	if err != nil || rest != "level=warning event=state msg=\"state file missing: no such file or directory; serving without what it may hold\""+
		" path=missing error=\"no such file or directory\"\n" {
		t.Errorf("%q, %v", line, err)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestLogJournal checks whether a descriptor is known to be the journal's.
func TestLogJournal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(w.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string]bool{
		"": false, fmt.Sprintf("%d:%d", st.Dev, st.Ino): true, fmt.Sprintf("%d:%d", st.Dev, st.Ino+1): false, "0:0": false, "x": false,
	} {
		t.Setenv("JOURNAL_STREAM", stream)
		if got := isJournal(int(w.Fd())); got != want {
			t.Errorf("JOURNAL_STREAM=%s: %v", stream, got)
		}
	}
}
