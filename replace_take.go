package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"tracker/handover"
	"tracker/loop"
	"tracker/proto"
	"tracker/store"
)

// inherit takes everything, in the moment before we serve.
func (t *tracker) inherit(to *loop.Heritage) error {
	h := t.heir
	if err := h.room(); err != nil {
		return err
	}
	_ = h.peer.Limit(deskLimit + pauseLimit) // as above
	if err := h.peer.Send(msgReady, nil); err != nil && !isEnd(err) {
		return err
	}
	began := time.Now()
	got, err := h.take(t.store)
	orphan := errors.Is(err, errOrphan)
	if err != nil && !orphan {
		return err
	}
	select {
	case <-t.signals.end:
		return errEnds
	default:
	}
	if !orphan {
		if err := h.mayServe(); err != nil {
			return err
		}
	}
	h.peer.Close()
	for _, f := range []*os.File{h.theirs, h.ours} {
		if f != nil {
			f.Close() // it was only read
		}
	}
	if orphan {
		if h.memory >= 0 {
			syscall.Close(h.memory) // or what nobody can read would stay
		}
		logf(warning, "replace", "process %d has ended before it gave everything; serving without what it knew", h.welcome.pid)
		to.Conns = got.Conns
		if t.loadSnapshot(&to.IDs); got.IDs != (loop.ConnIDs{}) {
			to.IDs, to.Earlier = got.IDs, got.Earlier
		}
		t.loadState()
		return nil
	}
	*to = *got
	t.spareSnapshot(&to.IDs)
	torrents, seeders, leechers := t.store.Totals()
	logf(info, "replace", "process %v is replaced: %v peers in %v torrents and %v connections taken over in %v",
		as("pid", h.welcome.pid), as("peers", seeders+leechers), as("torrents", torrents), as("connections", len(got.Conns)), as("seconds", time.Since(began).Round(time.Millisecond)))
	return nil
}

// mayServe asks whether we serve from now on, when we have everything. The answer
// holds for both sides, however late it is.
func (h *heir) mayServe() error {
	err := h.peer.Send(msgTaken, nil)
	if err == nil || isEnd(err) {
		_, err = expect(h.peer, msgGo)
	}
	if isTimeout(err) {
		// It may be saying go in this moment. Either it has, or it cannot any more.
		if err := h.peer.Shut(); err != nil {
			return err
		}
		_ = h.peer.Limit(refusalLimit) // as above
		if _, last := expect(h.peer, msgGo); last == nil {
			return nil
		}
		return err
	}
	// If it ends without a word it has come to an end in this very moment, and
	// nobody serves but us.
	if isEnd(err) {
		return nil
	}
	return err
}

// errOrphan says that the other one has ended before it gave everything. That is
// known from the connection, and from nothing in what came.
var errOrphan = errors.New("the other one has ended")

// layoutSlack is by how much what is told of a store's memory may be longer than
// that was when it was offered. It is less than a third of it, but there may be
// more by now.
var layoutSlack int64 = 16 << 20

// take receives all that the other one has. After errOrphan the store is empty,
// and what else came may be gone on with.
func (h *heir) take(to *store.Store) (*loop.Heritage, error) {
	m, err := expect(h.peer, msgHeritage)
	if isEnd(err) {
		return new(loop.Heritage), errOrphan
	}
	if err != nil {
		return nil, err
	}
	got, err := parseHeritage(m.Body)
	if err != nil {
		return nil, err
	}
	_ = h.peer.Limit(2 * takeLimit) // as above
	var layout bytes.Buffer
	pipe := &snapshotPipe{to: to}
	defer pipe.abandon()
	for {
		m, err := h.peer.Receive()
		if isEnd(err) {
			return got, errOrphan
		}
		if err != nil {
			return nil, err
		}
		switch m.Kind {
		case msgNo:
			return nil, &refusal{string(m.Body)}
		case msgConns:
			err = takeConns(got, m)
		case msgMemory:
			if layout.Write(m.Body); int64(layout.Len()) > h.welcome.bytes+layoutSlack { // never fails
				err = handover.ErrMessage
			}
		case msgSnapshot:
			got.Clock = nil // ages begin anew at our minute
			_, err = pipe.Write(m.Body)
		case msgEnd:
			if layout.Len() > 0 {
				return got, to.Adopt(h.memory, &layout)
			}
			return got, pipe.Close()
		default:
			err = handover.ErrMessage
		}
		if err != nil {
			return nil, err
		}
	}
}

// takeConns adds connections to h.
func takeConns(h *loop.Heritage, m handover.Message) error {
	for _, fd := range m.Files {
		c, rest, err := parseConn(m.Body)
		if err != nil {
			return err
		}
		c.FD, m.Body = fd, rest
		h.Conns = append(h.Conns, c)
	}
	return nil
}

// A snapshotPipe loads a snapshot into a store while it is written.
type snapshotPipe struct {
	to   *store.Store
	w    *io.PipeWriter
	done chan error
}

// Write implements [io.Writer].
func (p *snapshotPipe) Write(b []byte) (int, error) {
	if p.w == nil {
		r, w := io.Pipe()
		p.w, p.done = w, make(chan error, 1)
		go func() {
			var totals store.SnapshotTotals
			from, err := store.ReadSnapshot(r)
			if err == nil {
				totals, err = p.to.LoadSnapshot(from, loop.Minute(), 0, func(*proto.Infohash) bool { return true })
			}
			if totals.Refused > 0 {
				logf(warning, "replace", "%v peers are not taken over, for want of memory or beyond a limit", as("peers", totals.Refused))
			}
			r.CloseWithError(err)
			p.done <- err
		}()
	}
	return p.w.Write(b)
}

// Close returns when all is loaded.
func (p *snapshotPipe) Close() error {
	if p.w == nil {
		return handover.ErrMessage // nothing came
	}
	p.w.Close() // never fails
	p.w = nil
	return <-p.done
}

// abandon ends what Close has not ended. The store is empty then.
func (p *snapshotPipe) abandon() {
	if p.w != nil {
		p.w.CloseWithError(io.ErrUnexpectedEOF) // never fails
		<-p.done
	}
}
