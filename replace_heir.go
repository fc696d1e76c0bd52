package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"tracker/config"
	"tracker/handover"
	"tracker/loop"
	"tracker/store"
)

// An heir is what a tracker that is to take another's place knows of it.
type heir struct {
	peer    *handover.Peer
	welcome welcome
	sockets []int
	memory  int // descriptor of the store's memory, or -1
	theirs  *os.File
	ours    *os.File // what the system says of the two processes; nil if it does not
}

// An heirError says why a tracker cannot be replaced.
type heirError struct {
	path string
	err  error
}

func (e *heirError) Error() string {
	return fmt.Sprintf("the tracker at %s is not replaced, and serves on if it did: %v", e.path, said(e.err))
}

func (e *heirError) Unwrap() error { return e.err }

// meet meets the tracker whose place we are to take, if there is one.
func (t *tracker) meet() error {
	d := t.door
	if d.path == "" {
		return &heirError{"", errors.New("it is not known where it can be spoken to; name that with tracker.socket, here and there")}
	}
	peer, err := handover.Dial(d.path)
	if errors.Is(err, handover.ErrNobody) {
		logf(info, "replace", "socket %v: %v, so nobody is replaced", d.path, err)
		return nil
	}
	if err == nil {
		t.heir = &heir{peer: peer, memory: -1}
		err = t.heir.hear(d, store.Layout(limits(t.cfg)))
	}
	if err == nil && !d.named && !t.listensThere(t.heir.sockets) {
		err = errors.New("it listens on other addresses than this one is to; if it is meant nevertheless, name its socket with tracker.socket")
	}
	if err != nil {
		return t.disinherit(err)
	}
	return nil
}

// disinherit ends the conversation, because of err, which it returns with where
// it was.
func (t *tracker) disinherit(err error) error {
	if t.heir != nil {
		err = lastWord(t.heir.peer, err)
		if _, theirs := errors.AsType[*refusal](err); !theirs {
			decline(t.heir.peer, err)
		}
		t.heir.peer.Close()
	}
	return &heirError{t.door.path, err}
}

// hear says hello and takes what is handed out before anything is decided. The
// layout is that of our store's memory.
func (h *heir) hear(d *door, layout uint64) error {
	_ = h.peer.Limit(helloLimit) // fails only if it is closed, and so does the rest
	if err := h.peer.Send(msgHello, hello{handoverVersion, layout}.append(nil)); err != nil {
		return err
	}
	m, err := expect(h.peer, msgWelcome)
	if err != nil {
		return err
	}
	if h.welcome, err = parseWelcome(m.Body); err != nil {
		return err
	}
	if len(m.Files) == 0 {
		return handover.ErrMessage
	}
	if d.listener, err = handover.Inherit(m.Files[0]); err != nil {
		return err
	}
	if len(m.Files) > 1 {
		h.memory = m.Files[1]
	}
	for {
		switch m, err := h.peer.Receive(); {
		case err != nil:
			return err
		case m.Kind == msgNo:
			return &refusal{string(m.Body)}
		case m.Kind == msgSockets:
			h.sockets = append(h.sockets, m.Files...)
		case m.Kind == msgPrepared:
			// Both are out of reach when root is given up.
			h.theirs, _ = os.Open(fmt.Sprintf("/proc/%d/status", h.welcome.pid)) // nil says that there is none
			h.ours, _ = os.Open("/proc/self/status")
			return nil
		default:
			return handover.ErrMessage
		}
	}
}

// listensThere reports whether one of the sockets is where we are to listen for
// clients.
func (t *tracker) listensThere(sockets []int) bool {
	return slices.ContainsFunc(t.cfg.Listen, func(l config.Listen) bool {
		return !l.Metrics && slices.ContainsFunc(sockets, func(fd int) bool { return loop.IsAt(fd, addrOf(l)) })
	})
}

// mostTwo is what two trackers may take together, in tenths of what one takes.
const mostTwo = 16

// leastSecond is what a second one may take in any case: more than one that
// knows no torrent, and less than anybody lacks who runs programs.
var leastSecond int64 = 8 << 20

// room returns an error if there is not enough memory for two, where the system
// says how much they take. What both of them have, like the program and the
// store's memory if it is shared, counts once.
func (h *heir) room() error {
	theirs, ours := resident(h.theirs), resident(h.ours)
	if h.memory < 0 {
		ours += h.welcome.bytes
	}
	if theirs == 0 { // nobody says
		theirs = h.welcome.bytes + leastSecond
	}
	if ours > max(theirs*(mostTwo-10)/10, leastSecond) {
		return fmt.Errorf("it takes %s, and this one would take %s beside it: more than %d.%d times as much in all;"+
			" end it and start this one, and let state.file keep what it knows", mb(theirs), mb(ours), mostTwo/10, mostTwo%10)
	}
	return nil
}

func mb(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// resident returns how much memory a process takes, in bytes, without what it
// shares with every other of the same program. f is its status, or nil.
func resident(f *os.File) int64 {
	if f == nil {
		return 0
	}
	n := parseStatus(f)
	return n.anonymous + n.shared
}
