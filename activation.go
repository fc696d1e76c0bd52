package main

import (
	"os"
	"strconv"
	"strings"
)

// A service manager may have opened sockets for us (systemd's socket
// activation). It says so in the environment:
//
//	LISTEN_PID      whom they are for: nobody else looks at them
//	LISTEN_FDS      how many there are, from descriptor 3 on
//	LISTEN_FDNAMES  what they are called, which we do not need: they are told
//	                apart by their addresses
const (
	listenPID     = "LISTEN_PID"
	listenFDs     = "LISTEN_FDS"
	listenFDNames = "LISTEN_FDNAMES"

	firstListenFD = 3
	// maxListenFDs is more than anybody opens, and keeps what cannot be right
	// from costing anything.
	maxListenFDs = 4096
)

// activated returns the sockets that a service manager has opened for us, and
// forgets what the environment says of them. What they are is not known yet.
func activated() (fds []int) {
	pid, n := os.Getenv(listenPID), os.Getenv(listenFDs)
	for _, name := range []string{listenPID, listenFDs, listenFDNames} {
		_ = os.Unsetenv(name) // fails for impossible names only
	}
	if n == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil
	}
	count, err := strconv.Atoi(strings.TrimSpace(n))
	if err != nil || count < 0 || count > maxListenFDs {
		logf(warning, "activation", "%s is %q, which is no number of sockets; listening on our own", listenFDs, n)
		return nil
	}
	for i := range count {
		fds = append(fds, firstListenFD+i)
	}
	return fds
}
