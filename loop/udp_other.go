//go:build !linux

package loop

import "errors"

// hasBatches says that there is no batched transport here.
const hasBatches = false

// A udpReactor is what answers batches of datagrams where the system has them.
type udpReactor struct{}

func newUDPReactor(*reactor, *listener, int) (*udpReactor, error) {
	return nil, errors.New("no batches of datagrams on this system")
}

func (*udpReactor) run()  {}
func (*udpReactor) rest() {}

func (*udpReactor) wake()  {}
func (*udpReactor) close() {}
