//go:build !linux

package loop

import "time"

var started = time.Now()

// bootTime returns the time since the process started. Setting the wall clock
// does not change it.
func bootTime() time.Duration { return time.Since(started) }
