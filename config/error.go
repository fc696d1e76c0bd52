package config

import (
	"strconv"
	"strings"
)

// ExitCode is the exit code of a program that was misconfigured.
const ExitCode = 1

// An Error is a mistake of the operator. Its text is one line for a person:
// where, what, what is allowed, and what to do.
type Error struct {
	place place
	msg   string
	// Usage is set when the command line itself could not be understood:
	// then the line of [Usage] should follow.
	Usage bool
}

// Error implements error.
func (e *Error) Error() string {
	if !e.place.set() {
		return e.msg
	}
	return e.place.String() + ": " + e.msg
}

// A place is where a setting stands: a line in a file, or a flag.
type place struct {
	file  string // empty: on the command line
	line  int    // from 1
	name  string // the key or flag, like "access.stats" or "-A"
	value string // as it was written
}

// set reports whether p is any place at all.
func (p place) set() bool { return p != place{} }

// String returns the place as tools that jump to it expect, then the setting:
// file:line: key "value".
func (p place) String() string {
	var parts []string
	if p.file != "" {
		at := printable(p.file)
		if p.line > 0 {
			at += ":" + strconv.Itoa(p.line)
		}
		parts = append(parts, at)
	}
	if p.name != "" {
		setting := printable(p.name)
		if p.value != "" {
			setting += " " + strconv.Quote(shorten(p.value))
		}
		parts = append(parts, setting)
	}
	return strings.Join(parts, ": ")
}

// printable returns s as it is, or quoted if it could garble a terminal.
func printable(s string) string {
	if q := strconv.Quote(s); len(q) != len(s)+2 {
		return shorten(q)
	}
	return shorten(s)
}

// shorten returns at most maxShown bytes of s.
func shorten(s string) string {
	const maxShown = 200 // a value that is longer is recognised by its start
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "..."
}
