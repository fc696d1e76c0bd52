package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// blank is the white space that may surround keys and values. Carriage return
// is in it, so that files with CRLF line ends work.
const blank = " \t\r\v\f"

// readFile returns the content of a config file. It reads one byte more than
// is allowed and no further: the name may be that of an endless device.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
}

// file reads a config file and acts on its lines.
func (p *parser) file(name string) error {
	b, err := p.read(name)
	if err != nil {
		var pe *fs.PathError // its text names the file once more
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return &Error{place: place{file: name}, msg: fmt.Sprintf("the config file cannot be read (%v); check the path and its permissions", err)}
	}
	if len(b) > MaxFileBytes {
		return &Error{place: place{file: name}, msg: fmt.Sprintf("longer than %d bytes; this is not a config file", MaxFileBytes)}
	}
	text := strings.TrimPrefix(string(b), "\ufeff") // some editors put a byte order mark there
	for n := 1; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		p.place = place{file: name, line: n}
		if err := p.line(line); err != nil {
			return err
		}
	}
	return nil
}

// line acts on one line of a config file. Comments may be of any length.
func (p *parser) line(line string) error {
	text := strings.Trim(line, blank)
	if text == "" || text[0] == '#' {
		return nil
	}
	if len(line) > MaxLineBytes && len(strings.TrimSuffix(line, "\r")) > MaxLineBytes {
		return p.fail("the line has %d bytes, at most %d are allowed", len(line), MaxLineBytes)
	}
	name, value := text, ""
	if i := strings.IndexAny(text, blank); i >= 0 {
		name, value = text[:i], strings.TrimLeft(text[i:], blank)
	}
	k := findKey(name)
	if k == nil {
		return p.unknown(name)
	}
	p.place.name = name
	if value == "" || value[0] == '#' {
		return p.fail("the value is missing; write %s %s, where %[2]s is %s", name, k.arg, k.allowed)
	}
	p.place.value = value
	value, err := p.comment(k, value)
	if err == nil {
		err = checkText(value)
	}
	if err == nil {
		err = k.set(p, value)
	}
	if err != nil {
		return p.fail("%v; allowed: %s", err, k.allowed)
	}
	p.given(value)
	return nil
}

// comment deals with what looks like a comment behind a value: there is no
// such thing. opentracker stops reading at the end of an address, so there it
// was harmless and is cut off here; other words behind an address are refused,
// because they look as if they counted. In a path a comment is part of the
// name, which is hardly ever meant.
func (p *parser) comment(k *key, value string) (string, error) {
	if k.kind == kindName {
		return value, nil
	}
	i := strings.Index(strings.ReplaceAll(value, "\t", " "), " #")
	if k.kind == kindPath {
		if i >= 0 {
			p.warn("comments need a line of their own; this is taken as one path, # included")
		}
		return value, nil
	}
	if i >= 0 {
		p.warn("comments need a line of their own; everything from # on is ignored")
		value = strings.TrimRight(value[:i], blank)
	}
	if strings.ContainsAny(value, blank) {
		return "", errors.New("one line takes one value")
	}
	return value, nil
}

// unknown explains a key that does not exist.
func (p *parser) unknown(name string) error {
	if !hasCluster && strings.HasPrefix(name, "cluster.") {
		return p.fail("%s is not part of this build, which is one for routers; use an ordinary one", name)
	}
	bare, _, assigned := strings.Cut(name, "=")
	near := nearestKey(bare)
	switch {
	case assigned && near == bare:
		return p.fail("unknown key %q; a blank stands between key and value, no =: write %s VALUE", shorten(name), near)
	case near == strings.ToLower(bare):
		return p.fail("unknown key %q; keys are written in lower case: %s", shorten(name), near)
	}
	return p.fail("unknown key %q; the nearest known key is %s, and tracker.conf.example has them all", shorten(name), near)
}

// fail returns an error at the line being read.
func (p *parser) fail(format string, args ...any) error {
	return &Error{place: p.place, msg: fmt.Sprintf(format, args...)}
}

// nearestKey returns the key with the fewest typing mistakes between it and
// name, whatever the case of its letters. To leave out what stands before or
// behind the first dot counts as one.
func nearestKey(name string) string {
	name = strings.ToLower(name)
	best, least := "", MaxLineBytes+1
	for _, table := range keys {
		for i := range table {
			full := table[i].name
			d := distance(name, full)
			if section, word, ok := strings.Cut(full, "."); ok {
				d = min(d, 1+distance(name, section), 1+distance(name, word))
			}
			if d < least {
				best, least = full, d
			}
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace, or swap with their
// neighbour, to get from a to b. One row of the usual table per letter of a;
// three are kept.
func distance(a, b string) int {
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above[j+1]+1, row[j]+1, above[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
