package main

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"tracker/handover"
)

// What both sides say when something is wrong, and how they hear it.

// Why there is no handing over.
var (
	errAnother = errors.New("another one is taking over already")
	errEnds    = errors.New("it ends")
	errLeaves  = errors.New("it ends, and an heir is ready")
	errNothing = errors.New("nothing was said") // somebody looked whether we are there
)

// decline ends a conversation.
func decline(peer *handover.Peer, why error) {
	sayNo(peer, why, refusalLimit)
	peer.Close()
}

// sayNo says no within a limit, and reports whether that is on its way, or
// whether there is nobody any more who needs a reason.
func sayNo(peer *handover.Peer, why error, limit time.Duration) bool {
	_ = peer.Limit(limit) // fails only if it is closed, and so does the rest
	return !isTimeout(peer.Send(msgNo, []byte(why.Error())))
}

// A refusal is what the other side said.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// said returns err as one understands it who does not know sockets.
func said(err error) error {
	switch {
	case isTimeout(err):
		return errors.New("the other one does not answer")
	case isEnd(err):
		return errors.New("the other one has ended")
	}
	return err
}

// expect receives a message of that kind. No other but a welcome brings
// descriptors.
func expect(peer *handover.Peer, kind uint32) (handover.Message, error) {
	m, err := peer.Receive()
	if m.Kind != kind || kind != msgWelcome {
		m.CloseFiles()
	}
	switch {
	case err != nil:
		return m, err
	case m.Kind == msgNo:
		return m, &refusal{string(m.Body)}
	case m.Kind != kind:
		return m, handover.ErrMessage
	}
	return m, nil
}

// lastWord returns what the other side said before it ended, if err says that it
// has and it did: sending to it fails while that waits to be read.
func lastWord(peer *handover.Peer, err error) error {
	_ = peer.Limit(time.Second) // fails only if it is closed, and so does the rest
	for isEnd(err) {
		m, end := peer.Receive()
		m.CloseFiles()
		switch {
		case end != nil:
			return err
		case m.Kind == msgNo:
			return &refusal{string(m.Body)}
		}
	}
	return err
}

// isEnd reports whether err says that the other side is gone.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// isTimeout reports whether err says that a limit was over.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
