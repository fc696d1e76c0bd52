package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tracker/config"
)

// A line of the log has a form for people and two for machines:
//
//	plain  tracker: listening on tcp 127.0.0.1:6969
//	text   time=2026-11-23T03:28:20.123Z level=info event=listen msg="listening on …" network=tcp address=127.0.0.1:6969
//	json   {"time":"2026-11-23T03:28:20.123Z","level":"info","event":"listen","msg":"listening on …","network":"tcp","address":"127.0.0.1:6969"}
//
// Paths and the content of lists come from others. Whatever is in them, a line
// stays one: what cannot be printed and what is no UTF-8 is written as an escape.
// The journal of systemd learns the level of a plain line from a number in front
// (sd-daemon(3)), which it takes off.

// An entry is an event to be told.
type entry struct {
	time  time.Time
	level level
	event string // a word
	text  string
	args  []any // of the sentence, for the facts among them
	more  int   // how many others there were since the last
}

// A fact is a number, an address or a path that is part of a sentence, and has a
// key of its own where lines have keys. Durations are told in seconds there, and
// numbers of bytes in full.
type fact struct {
	key   string
	value any
	text  string // how people read it; "" for as it is
}

// as makes value a fact. Use it where the sentence has %v.
func as(key string, value any) fact { return fact{key, value, ""} }

// bytesAs makes a number of bytes a fact.
func bytesAs(key string, n int64) fact { return fact{key, n, size(n)} }

// String returns f as it stands in the sentence.
func (f fact) String() string {
	if f.text != "" {
		return f.text
	}
	return fmt.Sprint(f.value)
}

// priorities are what the journal calls the levels.
var priorities = [...]string{detail: "<7>", info: "<6>", warning: "<4>", failure: "<3>"}

// timeFormat is RFC 3339 with milliseconds; the time is UTC, whose rules are
// known in any chroot.
const timeFormat = "2006-01-02T15:04:05.000Z"

// append appends the line for e to b. Lines are rare, so this is as short as can
// be rather than quick.
func (l *logger) append(b []byte, e *entry) []byte {
	text := e.text
	if e.more > 0 {
		text += fmt.Sprintf("; and %d more like it in the last minute", e.more)
	}
	if l.format == config.LogPlain {
		if l.journal {
			b = append(b, priorities[e.level]...)
		}
		return append(appendEscaped(append(b, "tracker: "...), text, false), '\n')
	}
	p := pairs{b, "", " ", "=", l.format}
	end := "\n"
	if l.format == config.LogJSON {
		p, end = pairs{b, `{"`, `,"`, `":`, l.format}, "}\n"
	}
	p.add("time", e.time.UTC().Format(timeFormat), "level", config.LogLevel(e.level), "event", e.event, "msg", text)
	for _, arg := range e.args {
		switch a := arg.(type) {
		case fact:
			p.add(a.key, a.value)
		case interface{ Facts() []any }:
			p.add(a.Facts()...)
		}
	}
	if e.more > 0 {
		p.add("more", e.more)
	}
	return append(p.line, end...)
}

// pairs are a line of keys and values, and what stands before the first key, the
// next one and a value.
type pairs struct {
	line            []byte
	first, next, is string
	format          config.LogFormat
}

// add appends keys and values in turn.
func (p *pairs) add(all ...any) {
	for ; len(all) > 1; all = all[2:] {
		p.line = append(p.line, p.first+all[0].(string)+p.is...)
		p.line = appendValue(p.line, all[1], p.format)
		p.first = p.next
	}
}

// appendValue appends the value of a fact: a number, or a string, which stands in
// quotes if it has to.
func appendValue(b []byte, value any, format config.LogFormat) []byte {
	text := fmt.Sprint(value)
	switch v := value.(type) {
	case int, int32, int64, uint32, uint64:
		return append(b, text...)
	case time.Duration:
		return fmt.Appendf(b, "%.3f", v.Seconds())
	}
	bare := func(r rune) bool { return r > ' ' && r <= '~' && r != '"' && r != '=' && r != '\\' }
	if format == config.LogText && text != "" && strings.TrimFunc(text, bare) == "" {
		return append(b, text...)
	}
	return append(appendEscaped(append(b, '"'), text, true), '"')
}

// appendEscaped appends s without anything that could end a line, or change what
// is on the screen already; as a JSON string, if that is what it is in. A byte
// that is no UTF-8, which JSON has no way to say, becomes the four characters
// \xNN.
func appendEscaped(b []byte, s string, inJSON bool) []byte {
	invalid := `\x%02x`
	if inJSON {
		invalid = `\\x%02x`
	}
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b = fmt.Appendf(b, invalid, s[0])
		case inJSON && (r == '"' || r == '\\'):
			b = append(b, '\\', s[0])
		case strconv.IsPrint(r), inJSON && r > 0xffff: // no letter that is in the way needs more
			b = append(b, s[:n]...)
		case r == '\n':
			b = append(b, `\n`...)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b
}
