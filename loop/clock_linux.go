package loop

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime returns the time since the machine started, with the time it was
// suspended. Setting the wall clock does not change it.
func bootTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("loop: no boot clock: " + err.Error()) // has been there since Linux 2.6.39
	}
	return time.Duration(t.Nano())
}
