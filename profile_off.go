//go:build !profile

package main

// startProfile does nothing: see the build tag profile.
func startProfile() (stop func(), err error) { return func() {}, nil }
