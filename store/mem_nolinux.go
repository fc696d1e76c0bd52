//go:build unix && !linux

package store

// avoidHugePages does nothing: only Linux gives huge pages unasked.
func avoidHugePages([]byte) {}
