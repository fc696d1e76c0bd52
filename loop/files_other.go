//go:build !linux

package loop

// A fileCount would tell how many descriptors are open.
type fileCount struct{}

func openFileCount() fileCount { return fileCount{} }

func (fileCount) read() int { return 0 }

func (fileCount) close() {}
