package main

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// nextRelease is the release that this source becomes, for those who build it
// without make, which knows better where there is a tag. CHANGELOG.md has it on
// top.
const nextRelease = "1.0.0"

// What make stamps with -ldflags=-X: the release, with the commits since then
// as git describe counts them, and the commit it was built from. Empty if
// nobody did, as after "go build" and "go install".
var (
	version string
	commit  string
)

// shortCommit is how many hex digits of a commit are shown.
const shortCommit = 12

// versionText returns what this program is, in one line:
//
//	tracker VERSION (COMMIT, GO, OS/CPU)
func versionText() string {
	v, c := version, commit
	info, ok := debug.ReadBuildInfo()
	if v == "" {
		v = nextRelease + "-dev"
		if ok && strings.HasPrefix(info.Main.Version, "v") && !strings.HasPrefix(info.Main.Version, "v0.0.0-") {
			v = info.Main.Version[1:] // Go has found a tag
		}
	}
	if c == "" && ok {
		c = commitOf(info)
	}
	if c == "" {
		c = "commit unknown"
	}
	return "tracker " + v + " (" + c + ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}

// commitOf returns the commit that Go noted when it built the program, or "".
func commitOf(info *debug.BuildInfo) (commit string) {
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(shortCommit, len(s.Value))] + commit
		case s.Key == "vcs.modified" && s.Value == "true":
			commit += "-dirty"
		}
	}
	return commit
}
