package store

import "golang.org/x/sys/unix"

// avoidHugePages keeps the kernel from backing b with 2 MB pages: the first
// byte written to one would cost 2 MB of a small machine's memory.
func avoidHugePages(b []byte) {
	_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) // EINVAL where there are none
}
