//go:build !linux || 386 || s390x

package loop

// hasEpoll says that there is no transport of ours for TCP here: it needs
// Linux, and of its calls 386 and s390x have one only since 4.3.
const hasEpoll = false

func newEpollReactor(*tcpReactor, *barrier, Logf) tcpTransport {
	panic(errNoEpoll)
}
