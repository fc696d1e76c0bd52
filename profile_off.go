//go:build !profile

package main

// profiled says that a profile is taken from the start.
const profiled = false

// startProfile does nothing: see the build tag profile.
func startProfile() (stop func(), err error) { return func() {}, nil }
