package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"tracker/config"
	"tracker/loop"
	"tracker/proto"
	"tracker/store"
	"tracker/whitelist"
)

// A tracker is one run of the program.
type tracker struct {
	cfg     *config.Config
	cell    *cell
	options whitelist.Options
	counts  *countsFile
	state   *stateFile
	border  *border // nil if there is none

	membership *membership // nil if we are alone

	signals  *signals
	door     *door
	heir     *heir            // while we take another's place
	lists    *whitelist.Lists // nil until the cell is entered, and if there are none
	store    *store.Store
	ceiling  *ceiling
	notifier *notifier // nil if nobody is told how we are
	server   *loop.Server
	began    time.Time // monotonic: only its age matters
	program  []programPart
}

// serve serves until a signal ends it.
//
// The order is: whatever can be wrong without a socket; the sockets, which may
// need root; the cell, which gives root up; then, as the user that we are from
// now on, what may be read again later: lists, FIFOs, and state; then the
// sandbox. Nothing is read from a socket before all of it has been done. At the
// end, what was read is answered before the last snapshot is written.
//
// If the place of another tracker is to be taken, its sockets come before ours,
// and what it knows takes the place of state files.
func (t *tracker) serve() error {
	t.signals, t.program, t.notifier = catchSignals(), programParts(), newNotifier()
	if err := t.prepare(); err != nil {
		return err
	}
	sockets, err := t.sockets()
	if err != nil {
		return err
	}
	t.began = time.Now()
	t.store = store.New(t.storeOptions())
	t.ceiling = newCeiling(t.cfg.Memory, t.store)
	defer t.ceiling.end()
	if t.server, err = loop.Run(t.loopConfig(sockets)); err != nil {
		if t.heir != nil {
			err = t.disinherit(err)
		}
		return err
	}
	t.heir = nil
	defer t.watch()()
	defer t.border.keep()()
	t.keepSnapshots()
	t.watchDoor()
	t.tellReady()
	t.releaseProgram()
	defer time.AfterFunc(settleTime, t.releaseProgram).Stop()
	if replaced := t.obey(); replaced {
		t.endNotes()
		return nil // our sockets are another's now
	}
	t.tellStopping()
	t.endSnapshots()
	t.server.Stop()
	t.membership.leave()
	t.saveSnapshot(true)
	return nil
}

// sockets returns sockets that are open already, and opens the door.
func (t *tracker) sockets() (fds []int, err error) {
	fds = activated()
	if t.cfg.Replace {
		if err := t.meet(); err != nil {
			return nil, err
		}
	}
	if t.heir != nil {
		return append(fds, t.heir.sockets...), nil
	}
	t.door.open()
	return fds, nil
}

// prepare does what is to be done before anything is bound: it finds the cell,
// and holds on to what may lie outside of it.
func (t *tracker) prepare() (err error) {
	if t.cell, err = findCell(t.cfg); err != nil {
		return err
	}
	t.options = whitelist.Options{
		White:      t.cfg.Whitelist,
		Black:      t.cfg.Blacklist,
		FIFOAdd:    t.cfg.FIFOAdd,
		FIFODelete: t.cfg.FIFODelete,
		Log:        logList,
	}
	t.counts = &countsFile{path: t.cfg.StateLoad}
	t.state = newStateFile(t.cfg.StateFile)
	t.door = newDoor(t.cfg)
	t.border = newBorder(t.cfg)
	if t.membership, err = newMembership(t.cfg); err != nil {
		return err
	}
	if t.cell.locks() {
		t.border.keepOutside()
		t.options.KeepOutside()
		t.counts.keepOutside()
		t.state.keepOutside()
	}
	return nil
}

// ready is called when all sockets are bound and before any is read.
func (t *tracker) ready(h *loop.Heritage) error {
	if err := t.enter(); err != nil {
		return err
	}
	t.releaseProgram() // or the ceiling would take it for something that stays
	t.ceiling.begin()  // what is loaded is limited, too
	t.openState()
	if t.heir != nil {
		t.confine()
		if err := t.inherit(h); err != nil {
			return err
		}
		t.ceiling.keep() // the store may have got other memory
		return nil
	}
	t.ceiling.keep()
	t.loadSnapshot(&h.IDs) // the store has to be empty
	t.loadState()
	t.confine()
	return nil
}

// settleTime is how long after the start everything has run once that runs
// without requests: what of the program that took beside it is given back once
// more, a megabyte of seven.
const settleTime = 1500 * time.Millisecond

// releaseProgram gives back what of the program is resident; see
// [programPart.release].
func (t *tracker) releaseProgram() {
	for _, part := range t.program {
		part.release()
	}
}

// enter enters the cell and reads the lists there.
func (t *tracker) enter() (err error) {
	if err := t.cell.enter(); err != nil {
		return err
	}
	if t.lists, err = whitelist.Open(&t.options); err != nil {
		return t.placed(err)
	}
	t.border.look()
	return nil
}

// check does all that a start does without a socket, but for making FIFOs. It
// enters the cell as well, so what it says of the lists is what the user we
// become will find. It is stricter: a start goes on without a whitelist, which
// allows nothing then, and without state. A snapshot is checked no further than
// its header.
func (t *tracker) check() error {
	if err := t.prepare(); err != nil {
		return err
	}
	t.checkUp(loop.Probe(loop.Config{Listen: t.listens(), MaxConns: t.cfg.Connections, ReceiveBuffer: receiveBuffer}))
	t.membership.checkUp()
	t.options.FIFOAdd, t.options.FIFODelete = "", ""
	if err := t.enter(); err != nil {
		return err
	}
	if err := t.lists.Err(); err != nil {
		return t.placed(err)
	}
	if err := t.checkState(); err != nil {
		return fmt.Errorf("%s: %w%s", t.cfg.Where(t.state.path, "state.file"), cause(err), t.state.mends(err))
	}
	if t.counts.path == "" {
		return nil
	}
	f, err := t.counts.open()
	if err != nil {
		return fmt.Errorf("%s: %w", t.cfg.Where(t.counts.path, "-l"), cause(err))
	}
	return f.Close()
}

// checkState returns what is wrong with the state file or its folder.
func (t *tracker) checkState() error {
	if t.state.path == "" {
		return nil
	}
	if err := t.state.open(); err != nil {
		return err
	}
	f, _, err := t.state.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// placed returns err, if it is about a list, with the place where the list is
// named.
func (t *tracker) placed(err error) error {
	e, ok := errors.AsType[*whitelist.SourceError](err)
	if !ok {
		return err
	}
	if at := t.cfg.Where(e.Path, "access."+e.List, "-"+e.List[:1]); at != "" {
		return errors.New(at + ": " + e.Cause)
	}
	return err
}

// loopConfig returns what of cfg concerns the loop, which is given sockets.
func (t *tracker) loopConfig(sockets []int) loop.Config {
	c := loop.Config{
		Sockets:     sockets,
		UDPReactors: t.cfg.UDPWorkers,
		Interval:    t.cfg.Interval,
		Adaptive:    t.cfg.Adaptive,
		MaxConns:    t.cfg.Connections,
		AutoConns:   t.ceiling.connections(),
		Clerks:      t.ceiling.clerks(),
		Redirect:    t.cfg.RedirectURL,
		Trust:       loop.Trust{Proxies: t.cfg.Proxies, RealIP: t.cfg.RealIP, Announcers: t.cfg.IPFromQuery},
		Clients:     loop.ClientRules{Allow: t.cfg.ClientAllow, Deny: t.cfg.ClientDeny},
		Rates: loop.Rates{
			Address: t.cfg.RateAddress, Prefix: t.cfg.RatePrefix, Burst: t.cfg.RateBurst,
			Bits4: t.cfg.RatePrefix4, Bits6: t.cfg.RatePrefix6,
		},
		StatsPath: t.cfg.StatsPath,
		Stats:     t.cfg.Stats,
		NoPage:    !t.cfg.Page,
		Version:   versionText(),
		Memory:    t.ceiling.memory,
		Store:     t.store,
		Bound:     t.checkUp,
		Ready:     t.ready,
		Logf:      logf,
		UDP:       transports[t.cfg.UDPTransport],

		ReceiveBuffer: receiveBuffer,
		TCP:           transports[t.cfg.TCPTransport],
	}
	if t.border != nil {
		c.LAN = t.border.lan
	}
	c.Allowed = t.allowed()
	t.shareWith(&c)
	// What a service manager has opened is all there is to be.
	opened := t.cfg.ListenDefault() && len(sockets) > 0 && (t.heir == nil || !t.listensThere(sockets))
	c.Listen = slices.DeleteFunc(t.listens(), func(a loop.Addr) bool { return opened && !a.Metrics })
	return c
}

// allowed returns what says whether a torrent is served, nil if all are. The
// lists are read by ready, after the reactors were made.
func (t *tracker) allowed() func(*proto.Infohash) bool {
	if len(t.cfg.Whitelist)+len(t.cfg.Blacklist) == 0 {
		return nil
	}
	return func(ih *proto.Infohash) bool { return t.lists.Allowed(ih) }
}

// listens returns where to listen, as package loop has it.
func (t *tracker) listens() (addrs []loop.Addr) {
	for _, l := range t.cfg.Listen {
		addrs = append(addrs, addrOf(l))
	}
	return addrs
}

// receiveBuffer is what is asked for each UDP socket, in bytes; 0 is what loop
// takes for enough. Tests ask for more than there is.
var receiveBuffer = 0

// addrOf returns what l is called in package loop.
func addrOf(l config.Listen) loop.Addr {
	return loop.Addr{Network: l.Proto.String(), AddrPort: l.Addr, Proxy: l.Proxy, Metrics: l.Metrics}
}

// transports are what the configuration's are called in package loop.
var transports = [...]loop.Transport{
	config.TransportAuto:    loop.TransportAuto,
	config.TransportBatched: loop.TransportBatches,
	config.TransportGnet:    loop.TransportGnet,
}

// longestInterval returns the longest mean interval that clients may be told
// while all is well. When it is not, loop sees to it that none is longer than
// peers are remembered.
func longestInterval(cfg *config.Config) time.Duration {
	if cfg.Adaptive {
		return config.MaxInterval
	}
	return cfg.Interval
}

// expire returns for how long a peer is remembered: half as long again as the
// longest interval it may have been told.
func expire(interval time.Duration) store.Minute {
	longest := interval + interval/10
	return store.Minute((longest + longest/2 + time.Minute - 1) / time.Minute)
}

// storeOptions returns what of cfg concerns the store.
func (t *tracker) storeOptions() store.Options {
	o := store.Options{
		Expire:  expire(longestInterval(t.cfg)),
		Shared:  t.door.listener != nil,
		Limits:  limits(t.cfg),
		Private: privatePeers[t.cfg.PrivatePeers],
		Near:    t.cfg.PreferNear,
	}
	if t.border != nil {
		o.Local = t.border.lan.Holds
	}
	return o
}

// privatePeers are what the configuration's choices are called in package store.
var privatePeers = [...]store.Private{
	config.PrivateSame: store.PrivateSame,
	config.PrivateHide: store.PrivateHide,
	config.PrivateAll:  store.PrivateAll,
}

// limits returns what cfg says of the store's, but for memory.
func limits(cfg *config.Config) store.Limits {
	return store.Limits{
		PeersPerTorrent: cfg.PeersPerTorrent,
		Torrents:        cfg.Torrents,
		PortsPerAddress: cfg.PortsPerAddress,
	}
}

// watch follows changes of the lists until the function it returns is called.
func (t *tracker) watch() (end func()) {
	if t.lists == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { t.lists.Watch(ctx) })
	return func() { cancel(); watching.Wait() }
}
