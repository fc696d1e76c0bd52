// Package loop moves bytes: it owns the sockets, and hands what arrives to one
// plain function that returns what to answer.
//
// # Reactors
//
// A reactor is one goroutine with sockets, buffers, counters and a random
// source of its own. There are as many of each kind as processors, each kind
// with its own socket for every address that is listened on; the sockets of
// one address share its port, and the kernel spreads what arrives.
//
//	            ┌ UDP reactor 0   recvmmsg ─► datagram ─► sendmmsg
//	udp [::]:p ─┤
//	            └ UDP reactor 1   recvmmsg ─► datagram ─► sendmmsg
//
//	            ┌ TCP reactor 0   accept, read ─► requests ─► request ─► one write
//	tcp [::]:p ─┤
//	            └ TCP reactor 1   accept, read ─► requests ─► request ─► one write
//
// A listener for reverse proxies is one more address of the TCP reactors, and so
// is one for metrics, where operators are served and no clients.
//
// Each kind has two transports. On Linux a UDP reactor takes up to 64 datagrams
// with one system call and answers them with another, which costs half of
// taking them one by one, and it answers from the address it was asked at; how
// it waits for the next is told at [doorbell]. A TCP reactor hears of a
// connection when the client has said something, and registers it nowhere if
// its first request is the only one; see [epollReactor].
//
// Elsewhere, and for comparison, gnet brings datagrams and connections one at a
// time: an event loop per reactor, each an engine of its own, because loops of
// one engine would bind after root is gone. gnet is given our sockets by a
// trick told at [engine], and is started again should it end.
//
// # The line a request takes
//
//	bytes ─► proto.Parse… ─► allowed? ─► store ─► proto.Append… ─► bytes
//
// [reactor.datagram] and [reactor.request] are that line. They allocate
// nothing, know no socket and read no clock, so that tests feed them bytes,
// and every transport calls the same two.
//
// # Who is asking
//
// A client is known by the address its bytes come from. Three things may put
// another in its place, each only for whom [Trust] names, and in this order:
//
//	PROXY header     once for a connection: where the proxy's client is
//	X-Real-IP, X-Forwarded-For
//	                 for each request; only if what we know by now is a proxy
//	ip=, ip field    of an announce; only if what we know by now is an announcer
//
// The last is the peer's address and nothing else: it is handed out, and it
// decides which peers are given back, as if the announce had come from there.
// So an announcer that names a public address is shown no private ones.
// Statistics and refusals are about the client.
//
// # What is shared
//
// The store, which locks by shard. The list of torrents served, behind a
// function that takes no lock. The [LAN], if there is one. The [clock], which one
// goroutine sets once a second and all others read, and in it the keys of the
// connection ids, which are replaced as a whole. The number of open connections, and since when
// the oldest of each reactor wait. The accounts of who asks how often, if there
// are budgets (package guard). Nothing else: what one reactor does, no other
// waits for. That takes a thread for each, which never blocks where Go sees it;
// see [epoll].
//
// The goroutine that sets the clock also sweeps the store, a step at a time,
// has overdue connections closed, takes samples for the history of the page, and
// looks whether a reactor is behind; see [gauge].
//
// # Who waits too long
//
// Nobody can keep others out by being slow. A client has [idleLimit] to ask,
// and as long again for its request to be complete; an answer has to get on
// every [stallLimit], and to have left within [sendLimit], or [longLimit] if a
// clerk writes it. While an answer has not left, its client is not listened to,
// so that less than 100 KB wait for it. What all of them together keep waiting
// is bounded by [maxHeld], and how many there are by [Config].MaxConns.
//
// At any of these bounds it is not the newcomer that goes, but who can best be
// spared: see [rank]. That takes a few steps, however many there are, and
// allocates nothing. A connection that asks once and is answered at once never
// is in anybody's way. Descriptors that are lacking all the same, because
// others have them, are looked for every [acceptPause], and said to be lacking
// once a minute at most.
//
// A pause takes nobody's time, and who is handed to another process has waited
// as long there as here.
//
// # Before and after
//
// Sockets may have been opened by somebody else, and be in use until we serve;
// see inherit.go. A server can be paused, and another process can go on with
// its sockets, its connections and its store; see [Heritage].
//
// # Statistics
//
// Pages of a few numbers are answered like any other request, and so is the page
// for people; see [view] for what there is. What has to look at every torrent is
// not: lists of all torrents, of the largest, of networks,
// and full scrapes. Those connections are taken out of their loop and given to
// the [desk], a handful of goroutines that were there all the time, which write
// at the speed of the client and in bounded memory. The answers always close.
// Profiles are made by one more goroutine; see profiles.go.
//
// # What it never does
//
// It starts nothing for a request or a connection: no goroutine, no timer. It
// logs no request. It sends nothing to nobody but who asked, and no more than
// was sent to who has not shown where he is. It never looks at the wall clock,
// but for statistics that tell times of day.
package loop

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tracker/loop/guard"
	"tracker/stats"
	"tracker/store"
)

// A Server is a set of running reactors.
type Server struct {
	cfg       Config
	clock     clock
	mint      idMint
	quota     quota
	guard     *guard.Guard // nil if there are no budgets
	gauges    []*gauge     // one for each reactor
	barrier   barrier
	listeners []*listener

	ledger ledger
	desk   *desk

	reactors    []*reactor // of all transports
	tcp         []tcpTransport
	tcpReactors []*reactor // of tcp
	udp         []*udpReactor
	gnetUDP     []udpTransport

	keeper  *timekeeper
	report  stats.Report // of the last sample; the keeper's
	running sync.WaitGroup
	reading sync.WaitGroup // what a pause ends
	paused  chan struct{}  // closed by Pause
	once    sync.Once      // for Stop
}

// Run binds every address of cfg, calls cfg.Ready, starts to serve and returns.
// An address that cannot be had is a [*ListenError]; after any error nothing
// is left open.
func Run(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg.withDefaults()}
	if err := s.start(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// start takes Run's steps in order.
func (s *Server) start() error {
	s.barrier = barrier{
		booted: make(chan error, s.cfg.TCPReactors+s.cfg.UDPReactors),
		serve:  make(chan struct{}),
		closed: make(chan struct{}),
	}
	s.mint.keys = &s.clock.keys
	s.mint.use(newConnIDs(s.cfg.Now()), nil, s.cfg.Now())
	s.keeper = newTimekeeper(s.cfg.Now, &s.mint, &s.clock, s.cfg.Store)
	s.openLedger()
	s.guard = newGuard(s.cfg.Rates)

	files, err := raiseFileLimit()
	if err != nil {
		return err
	}
	bindings, shares, err := s.planSockets()
	if err != nil {
		return err
	}
	reactors := s.cfg.census()
	if reactors.fit(files, addrs(bindings)); reactors != s.cfg.census() {
		s.cfg.Logf(Warning, "limit", "a file limit of %d has room for %d TCP and %d UDP reactors only", files, reactors.tcp, reactors.udp)
		s.cfg.TCPReactors, s.cfg.UDPReactors = reactors.tcp, reactors.udp
	}
	if s.listeners, err = openAll(bindings, reactors, shares); err != nil {
		return err
	}
	s.ledger.process.maxFiles = files
	for _, l := range s.listeners {
		if l.addr.Network == "udp" {
			s.ledger.process.udp = append(s.ledger.process.udp, l.fds...)
		}
	}
	if err := s.makeReactors(); err != nil {
		return err
	}
	needProcessors(len(s.tcp) + len(s.udp) + len(s.gnetUDP) + 1)
	engines, err := s.boot()
	if err != nil {
		return err
	}
	limit, err := maxConns(files, cmp.Or(s.cfg.MaxConns, s.cfg.AutoConns), engines)
	if err != nil {
		return err
	}
	s.quota.limit = int64(limit)
	if s.cfg.Bound != nil {
		s.cfg.Bound(s.bound(files, limit))
	}
	if s.cfg.Ready != nil {
		h := Heritage{IDs: s.ConnIDs()}
		if err := s.cfg.Ready(&h); err != nil {
			return err
		}
		s.inheritFrom(&h)
	}
	if err := s.setModes(); err != nil {
		return err
	}
	if s.cfg.WallMinutes {
		s.keeper.followWall(s.cfg.Wall)
	}
	if err := s.join(); err != nil {
		return err
	}
	s.sayWhere()
	s.sample(s.cfg.Now()) // from which the first is counted
	close(s.barrier.serve)
	s.read()
	if len(s.cfg.Stats) > 0 { // or nobody may have any
		s.running.Go(func() { s.desk.clerk(s.desk.studio.orders, s.barrier.closed) })
	}
	for range s.cfg.Clerks {
		s.running.Go(func() { s.desk.clerk(s.desk.orders, s.barrier.closed) })
	}
	s.running.Go(func() { s.desk.clerk(s.desk.short, s.barrier.closed) })
	return nil
}

// planSockets returns what to listen on, and which of the sockets that are there
// already each of that gets. The others are closed, which says a line.
func (s *Server) planSockets() ([]binding, [][]inherited, error) {
	have, err := inspectAll(s.cfg.Sockets)
	if err != nil {
		return nil, nil, err
	}
	bindings := decide(s.cfg.Listen, have, supported())
	shares, left := divide(bindings, have)
	for _, b := range planOf(left) {
		s.cfg.Logf(Warning, "listen", "a socket of %v was handed to us, which is not in the configuration: not used", b)
	}
	for _, h := range left {
		unix.Close(h.fd)
	}
	return bindings, shares, nil
}

// Minute returns the present as the store counts it.
func (s *Server) Minute() store.Minute { return store.Minute(s.clock.minute.Load()) }

// Count counts what happens outside of the reactors, and rarely.
func (s *Server) Count(k stats.Counter) { s.ledger.own.Inc(k, stats.V4) }

// openLedger prepares the statistics. The clock has been set.
func (s *Server) openLedger() {
	var id [4]byte
	rand.Read(id[:])
	s.ledger.store, s.ledger.clock, s.ledger.process = s.cfg.Store, &s.clock, newProcess(&s.cfg, &s.quota)
	s.ledger.started = s.clock.millis.Load()
	s.ledger.trackerID = binary.LittleEndian.Uint32(id[:])
	s.ledger.version, s.ledger.cluster = s.cfg.Version, s.cfg.Cluster
	if !s.cfg.NoPage {
		s.ledger.history = stats.NewHistory()
	}
	s.desk = newDesk(&s.ledger, &s.quota, &s.cfg)
}

// sayWhere tells the operator where we listen.
func (s *Server) sayWhere() {
	gnetUDP := false
	for _, l := range s.listeners {
		s.cfg.Logf(Info, "listen", "listening on %v", l)
		gnetUDP = gnetUDP || l.addr.Network == "udp" && l.wildcard() && s.cfg.UDP == TransportGnet
	}
	if gnetUDP {
		s.cfg.Logf(Warning, "listen", "UDP answers may leave from another address than was asked, if this machine has several")
	}
}

// makeReactors makes the reactors and gives each its sockets.
func (s *Server) makeReactors() error {
	for _, l := range s.listeners {
		for i, fd := range l.fds {
			var err error
			switch {
			case l.addr.Network == "tcp":
				err = s.addTCP(i%s.cfg.TCPReactors, l, fd)
			case s.cfg.UDP == TransportGnet:
				setReceiveBuffer(fd, s.cfg.ReceiveBuffer)
				err = s.addGnetUDP(i%s.cfg.UDPReactors, l, fd)
			default:
				setReceiveBuffer(fd, s.cfg.ReceiveBuffer)
				err = s.addUDPReactor(l, fd)
			}
			if err != nil {
				return &ListenError{l.addr, err}
			}
		}
	}
	return nil
}

// addTCP gives a socket of l to TCP reactor i, which serves socket i of every
// address. The reactor is made if it is the next.
func (s *Server) addTCP(i int, l *listener, fd int) error {
	if i == len(s.tcp) {
		switch {
		case s.cfg.TCP == TransportBatches && !hasEpoll:
			return errNoEpoll
		case s.cfg.TCP == TransportGnet && !hasGnet:
			return errNoGnet
		}
		s.tcpReactors = append(s.tcpReactors, s.newReactor(stats.HTTP))
		s.tcp = append(s.tcp, s.newTCP(s.tcpReactors[i]))
	}
	s.watch(s.tcpReactors[i], l, fd)
	s.tcp[i].add(l, fd)
	return nil
}

// setModes has the system wait in calls on a socket, or not, as its reactor wants.
// All who have an inherited socket have one mode for it, so this is done when
// nobody else reads it any more.
func (s *Server) setModes() error {
	for _, l := range s.listeners {
		waits := l.addr.Network == "udp" && s.cfg.UDP != TransportGnet
		for _, fd := range l.fds {
			if err := unix.SetNonblock(fd, !waits); err != nil {
				return &ListenError{l.addr, err}
			}
		}
	}
	return nil
}

var (
	errNoEpoll = errors.New("no batches of connections on this system")
	errNoGnet  = errors.New("the transport gnet is not part of this build; leave it away, or set it to auto")
)

// A barrier holds engines back between having their sockets and serving.
type barrier struct {
	booted chan error    // one from each engine
	serve  chan struct{} // closed when all may go on
	closed chan struct{} // closed when all shall end
}

// isClosed reports whether all shall end.
func (b *barrier) isClosed() bool {
	select {
	case <-b.closed:
		return true
	default:
		return false
	}
}

// A udpTransport reads the datagrams of some sockets by itself.
type udpTransport interface {
	add(l *listener, fd int)
	run()
	stop()
	pauser
}

// newTCP returns a TCP reactor with its transport.
func (s *Server) newTCP(r *reactor) tcpTransport {
	t := newTCPReactor(r, &s.quota, &s.cfg)
	s.quota.reactors = append(s.quota.reactors, t)
	if s.cfg.TCP == TransportBatches {
		return newEpollReactor(t, &s.barrier, s.cfg.Logf)
	}
	return s.newGnetTCP(t)
}

// addUDPReactor makes a UDP reactor for one socket.
func (s *Server) addUDPReactor(l *listener, fd int) error {
	r := s.newReactor(stats.UDP)
	u, err := newUDPReactor(r, l, fd)
	if err == nil {
		s.udp = append(s.udp, u)
		s.watch(r, l, fd)
	}
	return err
}

// newReactor returns a reactor for wire with a random source and counters of its
// own.
func (s *Server) newReactor(wire stats.Wire) *reactor {
	var seed [8]byte
	rand.Read(seed[:])
	pace := makePace(s.cfg.Interval, s.cfg.Store.Expire())
	pace.adaptive = s.cfg.Adaptive
	r := &reactor{
		store:    s.cfg.Store,
		clock:    &s.clock,
		pace:     pace,
		guard:    s.guard,
		allowed:  s.cfg.Allowed,
		clients:  makeClients(&s.cfg.Clients),
		lan:      s.cfg.LAN,
		redirect: s.cfg.Redirect,
		trust:    makeTrust(&s.cfg.Trust),
		rnd:      store.NewRand(binary.LittleEndian.Uint64(seed[:])),

		stats:       new(stats.Counters),
		woodpeckers: new(stats.Woodpeckers),
		ledger:      &s.ledger,
		desk:        s.desk,
		statsPath:   s.cfg.StatsPath,
		page:        !s.cfg.NoPage,
		readers:     makeNetworks(s.cfg.Stats),
		apart:       slices.ContainsFunc(s.cfg.Listen, func(a Addr) bool { return a.Metrics }),
	}
	s.ledger.counters[wire] = append(s.ledger.counters[wire], r.stats)
	s.ledger.woodpeckers = append(s.ledger.woodpeckers, r.woodpeckers)
	s.reactors = append(s.reactors, r)
	return r
}

// boot starts the engines and waits until all of them have their sockets. It
// returns how many there are.
func (s *Server) boot() (int, error) {
	for _, t := range s.tcp {
		s.running.Go(t.run)
	}
	for _, u := range s.gnetUDP {
		s.running.Go(u.run)
	}
	n := len(s.tcp) + len(s.gnetUDP)
	for range n {
		if err := <-s.barrier.booted; err != nil {
			return 0, fmt.Errorf("event loop: %w", err)
		}
	}
	return n, nil
}

// keepTime sets the clock, sweeps the store and closes overdue connections,
// until Stop or Pause.
func (s *Server) keepTime(paused <-chan struct{}) {
	closeEvery := s.cfg.closeEvery()
	closed := s.cfg.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.barrier.closed:
			return
		case <-paused:
			return
		case <-timer.C:
		}
		pause := s.keeper.step()
		if now := s.cfg.Now(); now-closed >= closeEvery {
			closed = now
			s.cfg.Store.Trim()
			s.sample(now)
			for _, g := range s.gauges {
				g.look()
			}
			if s.guard != nil {
				s.guard.Sweep(s.clock.millis.Load())
			}
			for _, t := range s.tcp {
				t.closeOverdue()
			}
		}
		timer.Reset(min(pause, closeEvery))
	}
}

// sample takes a sample for the history, if one is due.
func (s *Server) sample(now time.Duration) {
	if h := s.ledger.history; h != nil && h.Due(now) {
		s.ledger.report(&s.report)
		h.Sample(&s.report, now)
	}
}

// Stop ends serving. Requests that were read are answered first, but for long
// answers, which end where they are. When it
// returns, every socket is closed and every goroutine has ended. It may be
// called more than once.
func (s *Server) Stop() {
	s.once.Do(func() {
		close(s.barrier.closed)
		if s.desk != nil {
			s.desk.close()
			defer s.desk.clear()
		}
		for _, u := range s.udp {
			u.wake()
		}
		for _, t := range s.tcp {
			t.stop()
		}
		for _, u := range s.gnetUDP {
			u.stop()
		}
		s.running.Wait()
		s.reading.Wait()
		for _, u := range s.udp {
			u.close()
		}
		closeAll(s.listeners)
		if s.ledger.process != nil {
			s.ledger.process.close()
		}
	})
}

// Addrs returns where the server listens, with the ports the system chose.
func (s *Server) Addrs() []Addr {
	addrs := make([]Addr, 0, len(s.listeners))
	for _, l := range s.listeners {
		addrs = append(addrs, l.addr)
	}
	return addrs
}

// Totals returns what was counted so far. It must not be called after Stop.
func (s *Server) Totals() stats.Totals {
	var t stats.Totals
	for _, all := range s.ledger.counters {
		for _, c := range all {
			t.Add(c)
		}
	}
	t.Add(&s.ledger.own)
	for _, fd := range s.ledger.process.udp {
		t[stats.UDPDrops][stats.V4] += uint64(drops(fd))
	}
	return t
}
