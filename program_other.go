//go:build !linux

package main

// A programPart is known on Linux only.
type programPart struct{}

func programParts() []programPart { return nil }

func (programPart) release() {}
