package main

import (
	"fmt"
	"strconv"
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
	facts []fact
	more  int // how many others there were since the last
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

// factsOf returns the facts among the arguments of a sentence.
func factsOf(args []any) (facts []fact) {
	for _, arg := range args {
		switch a := arg.(type) {
		case fact:
			facts = append(facts, a)
		case interface{ Facts() []any }:
			for all := a.Facts(); len(all) > 1; all = all[2:] {
				facts = append(facts, as(fmt.Sprint(all[0]), all[1]))
			}
		}
	}
	return facts
}

// priorities are what the journal calls the levels.
var priorities = [...]string{detail: "<7>", info: "<6>", warning: "<4>", failure: "<3>"}

// timeFormat is RFC 3339 with milliseconds; the time is UTC, whose rules are
// known in any chroot.
const timeFormat = "2006-01-02T15:04:05.000Z"

// append appends the line for e to b.
func (l *logger) append(b []byte, e *entry) []byte {
	text := e.text
	if e.more > 0 {
		text += fmt.Sprintf("; and %d more like it in the last minute", e.more)
	}
	switch l.format {
	case config.LogText:
		b = appendText(b, e, text)
	case config.LogJSON:
		b = appendJSON(b, e, text)
	default:
		if l.journal {
			b = append(b, priorities[e.level]...)
		}
		b = append(b, "tracker: "...)
		b = appendEscaped(b, text)
	}
	return append(b, '\n')
}

func appendText(b []byte, e *entry, text string) []byte {
	b = e.time.UTC().AppendFormat(append(b, "time="...), timeFormat)
	b = append(append(b, " level="...), config.LogLevel(e.level).String()...)
	b = append(append(b, " event="...), e.event...)
	b = appendWord(append(b, " msg="...), text)
	for _, f := range e.facts {
		b = append(append(append(b, ' '), f.key...), '=')
		b = f.appendTo(b, appendWord)
	}
	if e.more > 0 {
		b = strconv.AppendInt(append(b, " more="...), int64(e.more), 10)
	}
	return b
}

func appendJSON(b []byte, e *entry, text string) []byte {
	b = e.time.UTC().AppendFormat(append(b, `{"time":"`...), timeFormat)
	b = append(append(b, `","level":"`...), config.LogLevel(e.level).String()...)
	b = append(append(b, `","event":"`...), e.event...)
	b = appendQuoted(append(b, `","msg":`...), text)
	for _, f := range e.facts {
		b = append(append(append(b, `,"`...), f.key...), `":`...)
		b = f.appendTo(b, appendQuoted)
	}
	if e.more > 0 {
		b = strconv.AppendInt(append(b, `,"more":`...), int64(e.more), 10)
	}
	return append(b, '}')
}

// appendTo appends the value of f, as a number or by means of quote.
func (f fact) appendTo(b []byte, quote func([]byte, string) []byte) []byte {
	switch v := f.value.(type) {
	case int, int32, int64, uint32, uint64:
		return fmt.Append(b, v)
	case time.Duration:
		return strconv.AppendFloat(b, v.Seconds(), 'f', 3, 64)
	}
	return quote(b, fmt.Sprint(f.value))
}

// appendWord appends s, in quotes if it has anything in it that would end a
// value.
func appendWord(b []byte, s string) []byte {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\' {
			return appendQuoted(b, s)
		}
	}
	if s == "" {
		return append(b, `""`...)
	}
	return append(b, s...)
}

// appendQuoted appends s as a JSON string. A byte that is no UTF-8, which JSON
// has no way to say, becomes the four characters \xNN.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = appendHex(append(b, `\\x`...), rune(s[i]), 2)
		case r == '"' || r == '\\':
			b = append(b, '\\', s[i])
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		case !strconv.IsPrint(r) && r <= 0xffff:
			b = appendHex(append(b, `\u`...), r, 4)
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return append(b, '"')
}

// appendEscaped appends s without anything that could end a line or change what
// is on the screen before it.
func appendEscaped(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = appendHex(append(b, `\x`...), rune(s[i]), 2)
		case r == '\n':
			b = append(b, `\n`...)
		case strconv.IsPrint(r):
			b = append(b, s[i:i+n]...)
		case r < 0x80:
			b = appendHex(append(b, `\x`...), r, 2)
		case r <= 0xffff:
			b = appendHex(append(b, `\u`...), r, 4)
		default:
			b = appendHex(append(b, `\U`...), r, 8)
		}
		i += n
	}
	return b
}

// appendHex appends the last digits of r.
func appendHex(b []byte, r rune, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[r>>shift&15])
	}
	return b
}
