package main

import (
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
)

// TestVersion has -v and the statistics say the same: what make stamped, and
// else what there is to know.
func TestVersion(t *testing.T) {
	line := regexp.MustCompile(`^tracker (\S+) \((commit unknown|[0-9a-f]{7,12}(?:-dirty)?), ` +
		regexp.QuoteMeta(runtime.Version()+", "+runtime.GOOS+"/"+runtime.GOARCH) + `\)$`)
	text := versionText()
	if !line.MatchString(text) {
		t.Errorf("-v says %q", text)
	}
	p := startTracker(t, "-v")
	p.says(text)
	p.ends(0)
	p = startTracker(t, "-i", "127.0.0.1", "-p", "0")
	if page := get(t, p.says("tracker: listening on tcp "), "/stats?mode=version"); !strings.Contains(page, text+"\n") {
		t.Errorf("the statistics say %q, want %q", page, text)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)

	defer func(v, c string) { version, commit = v, c }(version, commit)
	version, commit = "1.2.3-4-gabc", "0123456789ab-dirty"
	if text := versionText(); !strings.HasPrefix(text, "tracker 1.2.3-4-gabc (0123456789ab-dirty, go") {
		t.Errorf("stamped, it says %q", text)
	}
}

// TestCommit reads what Go notes about a working copy.
func TestCommit(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	for _, tt := range []struct {
		settings []debug.BuildSetting
		want     string
	}{
		{nil, ""},
		{[]debug.BuildSetting{{Key: "vcs.modified", Value: "false"}, revision}, "0123456789ab"},
		{[]debug.BuildSetting{{Key: "vcs.modified", Value: "true"}, revision}, "0123456789ab-dirty"},
		{[]debug.BuildSetting{revision, {Key: "vcs.modified", Value: "true"}}, "0123456789ab-dirty"},
	} {
		if got := commitOf(&debug.BuildInfo{Settings: tt.settings}); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.settings, got, tt.want)
		}
	}
}

// TestNextRelease compares the source with the newest entry of the changelog.
func TestNextRelease(t *testing.T) {
	log, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## \[(.*)\]`).FindSubmatch(log)
	if newest == nil || string(newest[1]) != nextRelease {
		t.Errorf("CHANGELOG.md begins with %q, version.go with %s", newest, nextRelease)
	}
}
