//go:build profile

package main

import (
	"os"
	"runtime/pprof"
)

// profileKey names, in the environment, the file that gets a profile of the
// CPU time from start to orderly end. Only a program built with the tag
// profile looks at it; make profile does all of this.
const profileKey = "TRACKER_PROFILE"

// profiled says that a profile is taken from the start.
const profiled = true

// startProfile opens the file while it can: later we are someone else, and
// somewhere else.
func startProfile() (stop func(), err error) {
	path := os.Getenv(profileKey)
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			logf(warning, "profile", "%s: %v", profileKey, err)
		}
	}, nil
}
