package main

import "runtime/debug"

// versionText returns what this program is, as far as the compiler knew.
func versionText() string {
	text := "tracker"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return text
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return text + " " + s.Value
		}
	}
	return text + " " + info.Main.Version
}
