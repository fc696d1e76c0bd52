package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"tracker/config"
	"tracker/loop"
	"tracker/whitelist"
)

// The log is for the operator: a line on stderr for each event that matters, and
// none for requests. What a line looks like is in log_line.go.
//
// # Who writes
//
// Whoever reads stderr may be slow, stuck or gone. So a line is only put into a
// queue, and a goroutine that lives as long as there is one writes. It alone
// waits for the reader; what no longer fits the queue is counted, and told when
// the reader is back. Before the process ends it waits a moment for what is
// queued. Nothing is written by two at a time, so lines stay whole.
//
// # What is repeated
//
// An event may come again and again, with other numbers in it. Of those with one
// event and format, and of lists with one path, [repeatMost] in [repeatSpan] are
// written, and of all others the last, when the time is over, with how many there
// were.

// A level says how much an event matters.
type level = loop.Level

// The levels. One that keeps the tracker from serving is a failure; where it
// serves on with less than was asked for, a warning.
const (
	detail  = loop.Debug
	info    = loop.Info
	warning = loop.Warning
	failure = loop.Error
)

// repeatMost is how often an event is told within repeatSpan. Tests that wait for
// lines set it.
var repeatMost = 5

const (
	repeatSpan = time.Minute
	// maxQueued is how many bytes wait for the reader.
	maxQueued = 64 << 10
	// flushLimit is how long the end waits for him.
	flushLimit = time.Second
)

// free reports whether an event is never held back: those that come once for each
// thing configured, and answers to somebody who waits for them.
func free(event string) bool {
	switch event {
	case "config", "listen", "checkup", "summary", "snapshot":
		return true
	}
	return false
}

// operator is the log of this process.
var operator = &logger{to: os.Stderr, least: info}

// A logger writes lines. Any number of goroutines may use it.
type logger struct {
	to interface{ Write([]byte) (int, error) }

	mu      sync.Mutex
	format  config.LogFormat
	least   level // what matters less is not told
	journal bool  // lines go to the journal of systemd
	told    map[string]*repeated

	queue   []byte
	lost    int           // lines that the queue had no room for
	writing chan struct{} // closed by the goroutine that writes when it ends; nil if there is none
}

// A repeated is an event that has been told.
type repeated struct {
	since time.Time
	times int
	last  entry       // what was held back last
	timer *time.Timer // nil while nothing was
}

// setUp has lines be what the configuration says from now on.
func (l *logger) setUp(cfg *config.Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.format, l.least, l.journal = cfg.LogFormat, level(cfg.LogLevel), isJournal(2)
}

// logf tells the operator of an event: its name in a word, and a sentence. What
// is a [fact] among args has a key of its own where lines have keys.
func logf(l level, event, format string, args ...any) {
	operator.logf(l, event, format, args...)
}

// logList tells the operator of a list.
func logList(n whitelist.Note) {
	at := info
	if n.Trouble {
		at = warning
	}
	// What is wrong with one list is no repetition of what is with another.
	kind := n.List + " " + n.Path + " " + n.Format
	operator.say(at, "list", kind, n.String(), []any{as("list", n.List), as("path", n.Path)})
}

func (l *logger) logf(at level, event, format string, args ...any) {
	l.say(at, event, format, fmt.Sprintf(format, args...), args)
}

// say tells of an event in the words of text. Of one kind, such as its format, it
// is told only so often. There are few kinds: they are remembered for good.
func (l *logger) say(at level, event, kind, text string, args []any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at >= l.least {
		l.tell(kind, entry{time.Now(), at, event, text, args, 0})
	}
}

// tell writes e, or holds it back if there were enough of its kind. The caller
// holds the lock.
func (l *logger) tell(kind string, e entry) {
	if free(e.event) {
		l.put(&e)
		return
	}
	key := e.event + " " + kind
	r := l.told[key]
	if r != nil && e.time.Sub(r.since) >= repeatSpan {
		l.sumUp(r)
		r = nil
	}
	if r == nil {
		r = &repeated{since: e.time}
		if l.told == nil {
			l.told = make(map[string]*repeated)
		}
		l.told[key] = r
	}
	if r.times++; r.times <= repeatMost {
		l.put(&e)
		return
	}
	r.last = e
	if r.timer == nil {
		r.timer = time.AfterFunc(repeatSpan-e.time.Sub(r.since), func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.sumUp(r)
		})
	}
}

// sumUp tells what was held back of r, which begins anew.
func (l *logger) sumUp(r *repeated) {
	if r.timer == nil {
		return
	}
	r.timer.Stop()
	r.last.more = r.times - repeatMost - 1
	l.put(&r.last)
	*r = repeated{since: time.Now()}
}

// put queues a line.
func (l *logger) put(e *entry) {
	before := len(l.queue)
	l.queue = l.append(l.queue, e)
	if len(l.queue) > maxQueued {
		l.queue = l.queue[:before]
		l.lost++
		return
	}
	if l.writing == nil {
		l.writing = make(chan struct{})
		go l.write(l.writing)
	}
}

// write writes what is queued until nothing is. If nobody can read it, there is
// nobody to tell.
func (l *logger) write(ended chan struct{}) {
	defer close(ended)
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) > 0 {
		lines := l.queue
		l.queue = nil
		l.mu.Unlock()
		l.to.Write(lines)
		l.mu.Lock()
		if l.lost > 0 {
			e := entry{time.Now(), warning, "log", "", []any{as("lines", l.lost)}, 0}
			e.text = fmt.Sprintf("%d lines of the log are lost: nobody read them", l.lost)
			l.lost = 0
			l.queue = l.append(l.queue, &e)
		}
	}
	l.writing = nil
}

// flush tells what is held back, and waits until everything is written, or for
// flushLimit.
func (l *logger) flush() {
	l.mu.Lock()
	for _, r := range l.told {
		l.sumUp(r)
	}
	writing := l.writing
	l.mu.Unlock()
	if writing == nil {
		return
	}
	select {
	case <-writing:
	case <-time.After(flushLimit):
	}
}
