package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// isJournal reports whether descriptor fd leads to the journal of systemd. The
// environment may be that of a service whose output has been sent elsewhere, so
// it names the device and the inode of what does.
func isJournal(fd int) bool {
	named := os.Getenv("JOURNAL_STREAM")
	var st unix.Stat_t
	return named != "" && unix.Fstat(fd, &st) == nil && named == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
