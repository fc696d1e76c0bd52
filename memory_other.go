//go:build !linux

package main

import "os"

// openStatus returns nil: there is no such file. Then the store and Go's runtime
// say what they have, which is nearly everything.
func openStatus() *os.File { return nil }

// ownLimits returns none: without a status nobody knows what is left of them.
func ownLimits() processLimits { return processLimits{} }

// cgroupMemory returns 0: there are no cgroups.
func cgroupMemory() int64 { return 0 }
