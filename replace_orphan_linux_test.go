package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tracker/handover"
	"tracker/loop"
	"tracker/store"
)

// A giver is a test that a tracker takes the place of.
type giver struct {
	h        *house
	listener *handover.Listener
	tcp      *net.TCPListener
	peer     *handover.Peer
}

// newGiver returns a giver that an heir may come to.
func (h *house) newGiver() *giver {
	h.t.Helper()
	os.Remove(h.socket) // of the one before
	l, err := handover.Listen(h.socket)
	if err != nil {
		h.t.Fatal(err)
	}
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		h.t.Fatal(err)
	}
	return &giver{h: h, listener: l, tcp: tcp}
}

// hear hands out what an heir needs, until it is ready.
func (g *giver) hear() {
	t := g.h.t
	t.Helper()
	var err error
	if g.peer, err = g.listener.Accept(os.Getuid(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	g.peer.Limit(patience)
	if _, err := expect(g.peer, msgHello); err != nil {
		t.Fatal(err)
	}
	door, err := g.listener.FD()
	if err != nil {
		t.Fatal(err)
	}
	f, err := g.tcp.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := welcome{version: handoverVersion, pid: os.Getpid()}
	err = errors.Join(
		g.peer.Send(msgWelcome, w.append(nil), door),
		g.peer.Send(msgSockets, nil, int(f.Fd())),
		g.peer.Send(msgPrepared, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := expect(g.peer, msgReady); err != nil {
		t.Fatal(err)
	}
}

// ends ends all that a process would with its end.
func (g *giver) ends() {
	g.listener.Close()
	g.tcp.Close()
	g.peer.Close()
}

// gives gives what a tracker without a peer knows.
func (g *giver) gives() error {
	var b bytes.Buffer
	_, err := store.New(store.Options{}).WriteSnapshot(&b, &store.SnapshotHeader{}, 0)
	clock := &loop.StoreClock{}
	return errors.Join(err,
		g.peer.Send(msgHeritage, appendHeritage(nil, &loop.Heritage{Clock: clock})),
		g.peer.Send(msgSnapshot, b.Bytes()),
		g.peer.Send(msgEnd, nil))
}

// TestReplaceOrphan has what is to be replaced end, which leaves the place to the
// heir, or not answer, which leaves it to nobody who could be alive.
func TestReplaceOrphan(t *testing.T) {
	t.Setenv(asHasty, "1")
	h := newHouse(t)
	const saved = "state.file state"
	p := h.start(nil, "listen.tcp 127.0.0.1:0", saved)
	p.says("tracker: snapshot state: there is none yet")
	tcp := p.says("tracker: listening on tcp ")
	announces(t, tcp, 'a')
	want := scrapeAll(t, tcp)
	p.signal(syscall.SIGTERM)
	p.says("tracker: snapshot state: 1 peers written in ")
	p.ends(0)
	for _, tt := range []struct {
		name string
		do   func(g *giver) error
		says string // why it does not serve
	}{
		{"ends", func(*giver) error { return nil }, ""},
		{"ends early", func(g *giver) error {
			return errors.Join(
				g.peer.Send(msgHeritage, appendHeritage(nil, &loop.Heritage{Clock: &loop.StoreClock{}})),
				g.peer.Send(msgSnapshot, []byte("\x89track")))
		}, ""},
		{"says no", func(g *giver) error { return g.peer.Send(msgNo, []byte("no thanks")) }, "no thanks"},
		{"cannot be understood", func(g *giver) error {
			return errors.Join(
				g.peer.Send(msgHeritage, appendHeritage(nil, &loop.Heritage{Clock: &loop.StoreClock{}})),
				g.peer.Send(msgMemory, []byte("short")), g.peer.Send(msgEnd, nil))
		}, "store: there is no memory of a store"},
		{"never ends", func(g *giver) error {
			err := g.peer.Send(msgHeritage, appendHeritage(nil, &loop.Heritage{Clock: &loop.StoreClock{}}))
			return errors.Join(err, g.peer.Send(msgMemory, make([]byte, hastySlack+1)))
		}, handover.ErrMessage.Error()},
		{"is silent at last", func(g *giver) error {
			if err := g.gives(); err != nil {
				return err
			}
			_, err := expect(g.peer, msgTaken)
			if err == nil {
				_, err = expect(g.peer, msgNo)
			}
			if _, refused := errors.AsType[*refusal](err); !refused {
				return err
			}
			if err := g.peer.Send(msgGo, nil); err == nil {
				return errors.New("it can be told to go when it has given up")
			}
			return nil
		}, "the other one does not answer"},
	} {
		g := h.newGiver()
		at := g.tcp.Addr().String()
		next := h.start(replaceFlag, "listen.tcp "+at, saved)
		g.hear()
		if err := tt.do(g); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.says != "" {
			next.says("tracker: the tracker at " + h.socket + " is not replaced, and serves on if it did: " + tt.says)
			next.ends(exitSystem)
			g.ends()
			continue
		}
		g.ends()
		next.says(fmt.Sprintf("tracker: process %d has ended before it gave everything", os.Getpid()))
		next.says("tracker: snapshot state: ")
		next.says("tracker: listening on tcp " + at)
		if got := scrapeAll(t, at); got != want {
			t.Errorf("%s: it knows %q, want %q", tt.name, got, want)
		}
		next.signal(syscall.SIGTERM)
		next.says("tracker: snapshot state: 1 peers written in ")
		next.ends(0)
	}
}

// TestReplaceLeaves tells a tracker to end that is giving its place to an heir
// who is ready. That hears nothing but the end of it, when its snapshot has been
// written.
func TestReplaceLeaves(t *testing.T) {
	h := newHouse(t)
	p := h.start(nil, "listen.tcp 127.0.0.1:0", "state.file state")
	p.says("tracker: snapshot state: there is none yet")
	tcp := p.says("tracker: listening on tcp ")
	peer, err := handover.Dial(h.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	peer.Limit(patience)
	peer.Send(msgHello, hello{handoverVersion, store.Layout(store.Limits{})}.append(nil))
	if _, err := expect(peer, msgWelcome); err != nil {
		t.Fatal(err)
	}
	for m, err := peer.Receive(); m.Kind != msgPrepared; m, err = peer.Receive() {
		if m.CloseFiles(); err != nil {
			t.Fatal(err)
		}
	}
	announces(t, tcp, 'a')
	p.signal(syscall.SIGTERM)
	until(t, patience, "it ends", func() bool { _, err := tryGet(tcp, "/stats"); return err != nil })
	peer.Send(msgReady, nil) // it may be no more
	if m, err := peer.Receive(); !isEnd(err) {
		t.Errorf("it says %d, %v", m.Kind, err)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "state")); err != nil {
		t.Errorf("before there is a snapshot: %v", err)
	}
	p.says("tracker: snapshot state: 1 peers written in ")
	p.ends(0)
}

// A lateError tells when it is asked whether it is to be told to the operator,
// which is when the heir has had its time to hear.
type lateError struct {
	text  string
	asked chan struct{}
}

func (e *lateError) Error() string { return e.text }

func (e *lateError) Is(target error) bool {
	if target == errNothing {
		close(e.asked)
	}
	return false
}

// TestReplaceHears has an heir that does not listen for a while hear that it is
// not to serve, behind all that it was told before, and before the end of the
// connection. Until then nobody else may come.
func TestReplaceHears(t *testing.T) {
	defer func(was time.Duration) { refusalLimit = was }(refusalLimit)
	refusalLimit = time.Millisecond
	path := filepath.Join(t.TempDir(), "socket")
	l, err := handover.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heir, err := handover.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer heir.Close()
	peer, err := l.Accept(os.Getuid(), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	peer.Limit(50 * time.Millisecond)
	for err == nil {
		err = peer.Send(msgMemory, []byte("x"))
	}
	var d door
	d.busy.Store(true)
	done := make(chan struct{})
	late := &lateError{text: err.Error(), asked: make(chan struct{})}
	go func() { defer close(done); d.goOn(peer, late) }()
	<-late.asked
	if !d.busy.Load() {
		t.Error("another may come")
	}
	heir.Limit(patience)
	var last uint32
	for m, err := heir.Receive(); err == nil; m, err = heir.Receive() {
		last = m.Kind
	}
	if last != msgNo {
		t.Errorf("the last message is %d", last)
	}
	if <-done; d.busy.Load() {
		t.Error("no other may come")
	}
}
