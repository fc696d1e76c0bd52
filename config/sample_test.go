package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sections are the titles of the example file, by the first word of the keys.
var sections = map[string]string{
	"listen":    "Where to listen",
	"access":    "Who may do what",
	"metrics":   "Where metrics are",
	"tracker":   "The process, and what it tells clients",
	"sandbox":   "What the process may still do",
	"stats":     "What people can look at",
	"state":     "What outlives a restart",
	"limit":     "Limits",
	"log":       "What is written to stderr",
	"lan":       "A home network",
	"peers":     "Which peers clients are given",
	"cluster":   "Several trackers that know the same peers",
	"livesync":  "opentracker's live sync",
	"batchsync": "opentracker's batch sync",
}

const exampleHead = `# Config file of the tracker: tracker -f tracker.conf
#
# Each line is a key, white space and a value. Empty lines and lines that begin
# with # are comments; a comment behind a value is not possible. The file is
# read when the flag -f is reached, and tracker -t -f tracker.conf checks it. An
# unknown key or a value that is not allowed stops the start.
#
# Every key is here with its default. Remove the # before a key to use it.
`

// example writes tracker.conf.example from the table of keys.
func example() string {
	var b strings.Builder
	b.WriteString(exampleHead)
	last, lastDoc := "", ""
	for _, k := range slices.Concat(keys[:]...) {
		if section, _, _ := strings.Cut(k.name, "."); section != last {
			title, ok := sections[section]
			if !ok {
				panic("no title for keys of " + section)
			}
			b.WriteString("\n\n#### " + title + "\n")
			last = section
		}
		b.WriteString("\n")
		doc := k.doc
		if doc == lastDoc {
			doc = "The same."
		}
		lastDoc = k.doc
		wrap(&b, doc)
		wrap(&b, "Default: "+strings.TrimSpace(k.def+" "+k.unit)+". Allowed: "+k.allowed+".")
		b.WriteString("#\n# " + k.name + " " + k.sample + "\n")
	}
	return b.String()
}

// wrap writes s as an indented comment of at most 90 columns.
func wrap(b *strings.Builder, s string) {
	const indent, width = "#    ", 90
	line := indent
	for i, w := range strings.Fields(s) {
		if i > 0 && len(line)+1+len(w) > width {
			b.WriteString(line + "\n")
			line = indent
		}
		line += " " + w
	}
	b.WriteString(line + "\n")
}

var commentedKey = regexp.MustCompile(`(?m)^[ \t]*# ?((?:[a-z_]+\.[a-z0-9_.]+|sandbox)[ \t])`)

// uncommented removes the # before every key.
func uncommented(s string) string { return commentedKey.ReplaceAllString(s, "$1") }

func fields() (names []string) {
	for f := range reflect.TypeFor[Config]().Fields() {
		if f.IsExported() {
			names = append(names, f.Name)
		}
	}
	return names
}

// TestExample checks the example file: it is the one the table gives, changes
// nothing as it is, and parses with every line in force.
func TestExample(t *testing.T) {
	golden(t, "../tracker.conf.example", example())

	c, err := parseText(example())
	if got := outcome(c, Run, err); got != "  nothing changes\n" {
		t.Errorf("the example file changes\n%s", got)
	}
	lines := strings.Split(uncommented(example()), "\n")
	for _, k := range slices.Concat(keys[:]...) {
		n := 0
		for _, l := range lines {
			if strings.HasPrefix(l, k.name+" ") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("the example file has %d lines for %s, want 1", n, k.name)
		}
	}
	if _, err := parseText(strings.Join(lines, "\n")); err != nil {
		t.Errorf("with every line in force: %v", err)
	}
}

// TestForeignFiles parses files written for opentracker, as they are and with
// every line in force: ours with the keys of Debian's and of its own sample,
// and Debian's itself where it is installed.
func TestForeignFiles(t *testing.T) {
	var b strings.Builder
	for _, name := range []string{
		"../testdata/config/debian.conf",
		"../testdata/config/opentracker-sample.conf",
		"../testdata/config/opentracker-crlf.conf",
		"/etc/opentracker/opentracker.conf",
	} {
		content, err := os.ReadFile(name)
		if os.IsNotExist(err) && name[0] == '/' {
			t.Logf("%s: not on this machine", name)
			continue
		}
		for _, s := range []string{string(content), uncommented(string(content))} {
			c, err := parseText(s)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if name[0] != '/' {
				b.WriteString("==== " + name[len("../testdata/config/"):] + "\n" + outcome(c, Run, err))
			}
		}
	}
	golden(t, "../testdata/config/opentracker.golden", b.String())
}
