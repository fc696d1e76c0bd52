package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// commandLines are tried in this order; blanks separate words, ” is an empty
// one. The file that -f reads is conf.
var commandLines = []string{
	"",
	"-p 80",
	"-p80 -P80",
	"-i 127.0.0.1",
	"-i ::1 -p 80 -i 192.0.2.1 -P 81 -i ::2",
	"-i [::1] -p 0 -p 0",
	"-p 6969 -p 6969 -p 06969",
	"-f conf -i 127.0.0.1 -p 80",
	"-i 127.0.0.1 -f conf",
	"-u before -f conf -u after -w first",
	"-u before -w first -f conf",
	"-r https://tracker.example/ -d /srv -u web -A 10.0.0.0/8 -A ::1 -l state -w w1 -w w2 -b b",
	"-s 9696",
	"-t",
	"-t -p 80",
	"-ht",
	"-th",
	"-v -p abc",
	"word -p 80 other words -w list",
	"-p 80 -- -w list",
	"- -p 80",
	"-w -b",
	"--replace",
	"-p 80 --replace -f conf",
	"-t --replace",

	"-p abc",
	"-p 99999",
	"-P -1",
	"-p ''",
	"-p 80x",
	"-p",
	"-w",
	"-tw",
	"-z",
	"-tz",
	"-?",
	"--help",
	"--replac",
	"-i bogus",
	"-i 192.0.2.1:80",
	"-A bogus",
	"-A 10.0.0.0/33",
	"-u a/b",
	"-r http://a\x01b/",
	"-s live",
	"-p abc -h",
	"-f missing",
	"-f broken",
	"-f conf -f broken -p abc",
	"-f long",
	"-f huge",
}

// files are what -f reads in these tests.
func files(name string) ([]byte, error) {
	switch name {
	case "conf":
		return []byte("listen.tcp_udp 192.0.2.9\ntracker.user file\naccess.whitelist second\n"), nil
	case "broken":
		return []byte("# first line\n\n  acess.whitelist w\n"), nil
	case "long":
		return []byte("#" + strings.Repeat("x", 2*MaxLineBytes) + "\naccess.whitelist " + strings.Repeat("x", MaxLineBytes)), nil
	case "huge":
		return make([]byte, MaxFileBytes+1), nil
	}
	return nil, errors.New("no such file or directory")
}

func words(line string) []string {
	w := strings.Fields(line)
	for i := range w {
		if w[i] == "''" {
			w[i] = ""
		}
	}
	return w
}

// TestFlags prints what comes of each command line.
func TestFlags(t *testing.T) {
	var b strings.Builder
	seen := make(map[string]bool)
	for _, line := range commandLines {
		args := words(line)
		c, action, err := Parse(args, Env{ReadFile: files})
		fmt.Fprintf(&b, "tracker %s\n%s", strings.Trim(fmt.Sprintf("%q", line), `"`), outcome(c, action, err))
		for _, w := range args {
			if len(w) > 1 && w[0] == '-' {
				seen[w[:2]], seen[w] = true, true
			}
		}
		if e, ok := errors.AsType[*Error](err); ok && e.Usage {
			b.WriteString("  and the usage line\n")
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("tracker %s: the error has more than one line", line)
		}
	}
	for _, f := range flags {
		if name, _, _ := strings.Cut(f.form(), " "); !seen[name] {
			t.Errorf("%s is not tested", name)
		}
	}
	golden(t, "../testdata/config/flags.golden", b.String())
	golden(t, "../testdata/config/help.golden", HelpText())
}

// TestErrorPlace checks file and line of an error, and that it is an [*Error].
func TestErrorPlace(t *testing.T) {
	for _, tt := range []struct {
		args []string
		file string
		line int
	}{
		{[]string{"-f", "broken"}, "broken", 3},
		{[]string{"-f", "missing"}, "missing", 0},
		{[]string{"-p", "abc"}, "", 0},
	} {
		_, _, err := Parse(tt.args, Env{ReadFile: files})
		e, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%q: got %v, want an *Error", tt.args, err)
			continue
		}
		if e.place.file != tt.file || e.place.line != tt.line {
			t.Errorf("%q: got %q, %d, want %q, %d", tt.args, e.place.file, e.place.line, tt.file, tt.line)
		}
	}
}

// TestLimits checks that what adds up has an end, and that repeating what is
// there does not reach it.
func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		max  int
		line func(i int) string
	}{
		{"listeners", MaxListen, func(i int) string { return fmt.Sprintf("listen.tcp 127.0.0.1:%d\n", i+1) }},
		{"networks", MaxNets, func(i int) string { return fmt.Sprintf("access.stats 10.0.%d.%d\n", i>>8, i&255) }},
		{"sources", MaxSources, func(i int) string { return fmt.Sprintf("access.blacklist list%d\n", i) }},
	} {
		var b strings.Builder
		for i := range tt.max {
			b.WriteString(tt.line(i))
		}
		if _, err := parseText(b.String() + tt.line(0)); err != nil {
			t.Errorf("%d %s: %v", tt.max, tt.name, err)
		}
		if _, err := parseText(b.String() + tt.line(tt.max)); err == nil {
			t.Errorf("%d %s: accepted", tt.max+1, tt.name)
		}
	}
}

// TestReadFile reads real files: a config, one that is missing, a folder, and
// a device without end.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	conf := dir + "/tracker.conf"
	if err := os.WriteFile(conf, []byte("\ufefftracker.user me\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := Parse([]string{"-f", conf}, Env{})
	if err != nil || c.User != "me" {
		t.Errorf("got %v, %v", c, err)
	}
	for _, name := range []string{dir + "/missing", dir, "/dev/zero"} {
		_, _, err := Parse([]string{"-f", name}, Env{})
		if err == nil || !strings.HasPrefix(err.Error(), name+": ") || strings.Count(err.Error(), name) != 1 {
			t.Errorf("%s: got %v, want an error that names it once", name, err)
		}
	}
}
