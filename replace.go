package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"tracker/config"
	"tracker/handover"
	"tracker/loop"
	"tracker/store"
)

// A tracker that is started with --replace takes the place of one that runs,
// and no request is lost: what arrives waits in sockets that both of them hold.
//
//	          the one that runs                  the one that is started
//	            (a giver)                              (an heir)
//	start     makes a socket, gives up root      reads its configuration
//	                                    ◄ hello  connects
//	          welcome, sockets ►                 binds what is new, gives up root,
//	                                             reads lists, enters its sandbox
//	                                    ◄ ready
//	pause     stops reading, and answers
//	          what it has read
//	          state, connections, end ►          makes them its own
//	                                    ◄ taken
//	          go ►                               serves
//	          ends
//
// Until go, the giver can go on as if nothing had been: it does so when the heir
// fails, hangs up, or takes too long. The heir serves nothing before go, unless
// the giver is no more: that it can tell from the end of the connection, since
// a giver that goes on says no, and ends the connection only when that has been
// sent. Both at once would write to the same memory. So it is the giver who
// decides when it has taken too long, and the heir waits for longer.
//
// A giver that comes to an end before it has given everything, because it is
// told to or by force, leaves an heir that is ready with the sockets, and with
// what the state file has.
//
// The giver runs no program: it is in a sandbox. So the heir is started from
// outside, with the rights to bind ports and to read files, and by whom may do
// that: root, or the user that started the giver. The socket has to be made
// before root is given up, and is handed on with all others.
//
// Statistics begin anew, as after any start.

// Kinds of messages. They are never changed; see [handoverVersion].
const (
	msgHello    = 1  // version 4, layout of memory 8
	msgNo       = 2  // why not, a sentence
	msgWelcome  = 3  // version 4, process 4, bytes of the store 8; the socket, and the store's memory if it can be shared
	msgSockets  = 4  // sockets that are listened on
	msgPrepared = 5  // that were all
	msgReady    = 6  //
	msgHeritage = 7  // see appendHeritage
	msgConns    = 8  // see appendConns; their sockets
	msgMemory   = 9  // a part of where things are in the store's memory
	msgSnapshot = 10 // a part of a snapshot
	msgEnd      = 11 //
	msgTaken    = 12 //
	msgGo       = 13 //
)

// handoverVersion is that of the messages. An heir and a giver of different
// versions leave everything as it is.
const handoverVersion = 2

// Limits of what one side waits for.
var (
	// helloLimit is for an heir to say what it wants, and to be told what there
	// is.
	helloLimit = 10 * time.Second
	// readyLimit is for an heir to get ready; lists of a million torrents take a
	// second. Until then everything is as ever.
	readyLimit = 2 * time.Minute
	// takeLimit is for an heir to take what there is. Meanwhile nobody serves. The
	// heir waits twice as long.
	takeLimit = 5 * time.Second
	// deskLimit is for long answers to be finished before that.
	deskLimit = 5 * time.Second
	// pauseLimit is for a giver to come so far, with a snapshot that a slow disk
	// has to store or the last one of all.
	pauseLimit = 30 * time.Second
	// refusalLimit is for an heir to hear that it is not to serve, before something
	// is said about it.
	refusalLimit = time.Second
)

// shareMemory says that the memory of stores may be gone on with.
var shareMemory = true

// A door is where an heir comes in. The zero value is none.
type door struct {
	path     string
	named    bool // by the operator
	owner    int  // who may come, besides root
	listener *handover.Listener
	busy     atomic.Bool // with an heir
	shared   bool        // which goes on with the store's memory

	mu       sync.Mutex    // held while nobody serves
	shut     bool          // we end, and have no heir any more
	replaced chan struct{} // closed when an heir serves
}

// newDoor returns the door that cfg asks for, which is not open yet.
func newDoor(cfg *config.Config) *door {
	d := &door{path: cfg.Socket, named: cfg.Socket != "", owner: os.Getuid(), replaced: make(chan struct{})}
	switch d.path {
	case config.SocketOff:
		d.path = ""
	case "":
		d.path = usualDoor(cfg)
	}
	return d
}

// usualDoor returns where the door is if nothing is configured, or "" if there
// is no good place. Who listens on any free port wants no name to be known by.
func usualDoor(cfg *config.Config) string {
	dir, port := "/run", cfg.Listen[0].Addr.Port()
	if os.Getuid() != 0 {
		dir = os.Getenv("XDG_RUNTIME_DIR")
	}
	if port == 0 || !filepath.IsAbs(dir) {
		return ""
	}
	return filepath.Join(dir, fmt.Sprintf("tracker-%d.sock", port))
}

// open makes the socket. That it cannot be made is told, and is no reason not
// to serve.
func (d *door) open() {
	if d.path == "" {
		return
	}
	var err error
	if d.listener, err = handover.Listen(d.path); err != nil {
		logf("socket %s: %v; this tracker cannot be replaced while it serves", d.path, err)
	}
}

// close lets nobody take our place any more, and reports whether somebody has.
// It waits for the outcome if somebody is about to.
func (d *door) close() (replaced bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	select {
	case <-d.replaced:
		return true
	default:
		return false
	}
}

// watchDoor waits for heirs until the process ends.
func (t *tracker) watchDoor() {
	d := t.door
	if d.listener == nil {
		return
	}
	go func() {
		for {
			peer, err := d.listener.Accept(d.owner, func(uid int) {
				logf("user %d wants to replace this tracker, who is neither root nor user %d: refused", uid, d.owner)
			})
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil:
				time.Sleep(time.Second) // for want of descriptors, for instance
			case !d.busy.CompareAndSwap(false, true):
				decline(peer, errAnother)
			default:
				go t.give(peer)
			}
		}
	}()
}

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
		logf("not replaced: %v; serving on", said(err))
	}
	if !knows {
		sayNo(peer, err, 0)
		peer.Close()
		d.busy.Store(false)
	}
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
	err := t.giveAll(peer)
	if err == nil {
		logf("replaced by another process, to which everything was given in %v", time.Since(began).Round(time.Millisecond))
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
