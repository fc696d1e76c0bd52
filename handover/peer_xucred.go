//go:build darwin || freebsd

package handover

import "golang.org/x/sys/unix"

// solLocal is the level of options of Unix sockets.
const solLocal = 0

// peerUser returns who is on the other side of a Unix socket.
func peerUser(fd int) (uid int, err error) {
	cred, err := unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}

// peerProcess would return which process connected.
func peerProcess(int) int { return 0 }
