package main

import (
	"errors"
	"os"
	"time"

	"tracker/handover"
	"tracker/loop"
	"tracker/store"
)

// give gives what there is to an heir. If that fails, everything is as it was.
func (t *tracker) give(peer *handover.Peer) {
	err := t.prepareHeir(peer)
	if err == nil {
		for end := time.Now().Add(deskLimit); t.server.Busy() > 0 && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		err = t.yield(peer)
	}
	switch {
	case err == nil:
	case errors.Is(err, errLeaves):
		_ = peer.Limit(0)     // as in sayNo
		_, _ = peer.Receive() // nothing comes; but the connection has to end with us, and no earlier
	default:
		t.door.goOn(peer, lastWord(peer, err))
	}
}

// goOn has nobody take our place, because of err. An heir that does not listen
// may have everything by now, and would take the end of the connection for ours.
func (d *door) goOn(peer *handover.Peer, err error) {
	knows := sayNo(peer, err, refusalLimit)
	if knows {
		peer.Close()
		d.busy.Store(false)
	}
	if !errors.Is(err, errNothing) {
		logf(warning, "replace", "not replaced: %v; serving on", as("error", said(err)))
	}
	if !knows {
		sayNo(peer, err, 0)
		peer.Close()
		d.busy.Store(false)
	}
}

// prepareHeir hands out what an heir needs to get ready, and returns when it is.
func (t *tracker) prepareHeir(peer *handover.Peer) error {
	_ = peer.Limit(helloLimit) // fails only if it is closed, and so does the rest
	m, err := expect(peer, msgHello)
	if isEnd(err) {
		return errNothing
	}
	if err != nil {
		return err
	}
	hello, err := parseHello(m.Body)
	if err != nil {
		return err
	}
	fd, err := t.door.listener.FD()
	if err != nil {
		return err
	}
	if err := t.handOut(peer, fd, hello.layout); err != nil {
		return err
	}
	_ = peer.Limit(readyLimit) // as above
	_, err = expect(peer, msgReady)
	return err
}

// handOut sends descriptors: that of the door and all others.
func (t *tracker) handOut(peer *handover.Peer, door int, layout uint64) error {
	t.door.mu.Lock() // or they might be closed meanwhile
	defer t.door.mu.Unlock()
	if t.door.shut {
		return errEnds
	}
	welcome, files := welcome{version: handoverVersion, pid: os.Getpid(), bytes: t.store.Bytes()}, []int{door}
	if memory := t.store.Memory(); shareMemory && memory >= 0 && layout == store.Layout(limits(t.cfg)) {
		files = append(files, memory)
	}
	if err := peer.Send(msgWelcome, welcome.append(nil), files...); err != nil {
		return err
	}
	for fds := t.server.Descriptors(); len(fds) > 0; {
		n := min(len(fds), handover.MaxFiles)
		if err := peer.Send(msgSockets, nil, fds[:n]...); err != nil {
			return err
		}
		fds = fds[n:]
	}
	t.door.shared = len(files) > 1
	return peer.Send(msgPrepared, nil)
}

// yield stops reading, and lets the heir serve.
func (t *tracker) yield(peer *handover.Peer) error {
	d := t.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return errLeaves
	}
	t.endSnapshots()
	began := time.Now()
	t.server.Pause()
	t.membership.leave() // or what others announce would go into what is given; resuming joins them again
	err := t.giveAll(peer)
	if err == nil {
		t.tellReplaced(peer.Process())
		logf(info, "replace", "replaced by another process, to which everything was given in %v", as("seconds", time.Since(began).Round(time.Millisecond)))
		close(d.replaced)
		return nil
	}
	t.server.Resume()
	t.keepSnapshots()
	return err
}

// giveAll gives all that a paused tracker has.
func (t *tracker) giveAll(peer *handover.Peer) error {
	_ = peer.Limit(takeLimit) // as above
	h := t.server.Heritage()
	if err := peer.Send(msgHeritage, appendHeritage(nil, h)); err != nil {
		return err
	}
	if err := giveConns(peer, h.Conns); err != nil {
		return err
	}
	if err := t.giveStore(peer); err != nil {
		return err
	}
	if err := peer.Send(msgEnd, nil); err != nil {
		return err
	}
	if _, err := expect(peer, msgTaken); err != nil {
		return err
	}
	return peer.Send(msgGo, nil)
}

// giveStore gives what the store holds.
func (t *tracker) giveStore(peer *handover.Peer) error {
	if t.door.shared {
		return t.store.WriteLayout(parts{peer, msgMemory})
	}
	_, err := t.store.WriteSnapshot(parts{peer, msgSnapshot}, &store.SnapshotHeader{}, t.server.Minute())
	return err
}

// giveConns gives open connections.
func giveConns(peer *handover.Peer, conns []loop.Conn) error {
	for len(conns) > 0 {
		var body []byte
		var files []int
		for len(conns) > 0 && len(files) < handover.MaxFiles && len(body) < handover.MaxMessage/2 {
			body = appendConn(body, &conns[0])
			files = append(files, conns[0].FD)
			conns = conns[1:]
		}
		if err := peer.Send(msgConns, body, files...); err != nil {
			return err
		}
	}
	return nil
}

// parts sends what is written as messages.
type parts struct {
	peer *handover.Peer
	kind uint32
}

// Write implements [io.Writer].
func (p parts) Write(b []byte) (int, error) {
	for left := b; len(left) > 0; {
		n := min(len(left), handover.MaxMessage)
		if err := p.peer.Send(p.kind, left[:n]); err != nil {
			return len(b) - len(left), err
		}
		left = left[n:]
	}
	return len(b), nil
}
