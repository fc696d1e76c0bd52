//go:build !router || !linux || 386 || s390x

package loop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"tracker/stats"
)

// An engine is one event loop of gnet over sockets of ours, and the only place
// where the two meet. Whoever embeds it is the [gnet.EventHandler].
//
// gnet has no way to be given a socket, and we do not want it to open any:
// ours are bound before root is given up, may have been inherited, and outlive
// an event loop that ends. So gnet listens on a placeholder, a port of the
// loopback interface that we reserve for the moment, and before it looks at
// that for the first time, our socket is put in its place:
//
//	reserve          127.0.0.1:P, bound, not listening
//	gnet.Rotate      opens descriptor G for 127.0.0.1:P
//	OnBoot           finds G, dup2(ours, G), closes the reservation
//	gnet             polls and accepts from G, closes it in the end
//
// The placeholder is also what gnet gives as the local address of a
// connection, so it tells through which of our sockets the connection came.
type engine struct {
	gnet.BuiltinEventEngine // for the callbacks we do not need

	sockets  []place
	barrier  *barrier
	logf     Logf
	restarts func() // counts one

	brake brake

	reported sync.Once // the first boot, to the barrier
	served   bool      // it got past the barrier once

	mu   sync.Mutex
	eng  gnet.Engine    // while it runs
	loop gnet.EventLoop // once it is known
	down bool           // the loop is about to end; do not touch it
	err  error          // why the last boot failed
}

// A place is a socket of ours and what gnet thinks it is.
type place struct {
	ours    *Addr // what it is for
	fd      int   // ours; not closed here
	reserve int   // descriptor of the reservation, or -1
	at      netip.AddrPort
}

// hasGnet says that gnet is part of this build.
const hasGnet = true

// prepare connects an engine with the server.
func (s *Server) prepare(e *engine) {
	e.barrier, e.brake = &s.barrier, newBrake()
	e.logf = s.cfg.Logf
	e.restarts = func() { s.ledger.own.Inc(stats.EngineRestarts, stats.V4) }
}

// add gives socket fd of l to the engine. The descriptor stays the caller's.
func (e *engine) add(l *listener, fd int) {
	e.sockets = append(e.sockets, place{ours: &l.addr, fd: fd, reserve: -1})
}

// Bounds on the pause before an engine that ended unasked is started again.
// The pause doubles from one to the other, unless the engine ran for longer
// than restartReset.
const (
	restartMin   = 50 * time.Millisecond
	restartMax   = 5 * time.Second
	restartReset = time.Minute
)

// run runs the event loop until stop. gnet ends one on every accept error it
// does not know, such as a lack of descriptors, and says nothing; then it is
// started again. What waits in the queue of a socket is still there, because
// the socket is ours.
func (e *engine) run(handler gnet.EventHandler) {
	pause := restartMin
	for {
		began := time.Now()
		err := e.rotate(handler)
		e.reported.Do(func() { e.barrier.booted <- err })
		if !e.served || e.barrier.isClosed() {
			return
		}
		if e.brake.isOn() {
			e.brake.hold(e.barrier.closed)
			continue
		}
		if time.Since(began) > restartReset {
			pause = restartMin
		}
		if err == nil {
			err = errors.New("gnet gave up")
		}
		e.restarts()
		e.logf(Error, "loop", "event loop ended: %v; starting it again in %v", err, pause)
		select {
		case <-e.barrier.closed:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, restartMax)
	}
}

// rotate runs gnet once.
func (e *engine) rotate(handler gnet.EventHandler) error {
	addrs := make([]string, len(e.sockets))
	defer e.release()
	for i := range e.sockets {
		p := &e.sockets[i]
		if err := p.book(); err != nil {
			return fmt.Errorf("placeholder: %w", err)
		}
		addrs[i] = fmt.Sprintf("%s4://%v", p.ours.Network, p.at)
	}
	e.mu.Lock()
	e.down, e.err = false, nil
	e.mu.Unlock()

	err := gnet.Rotate(handler, addrs,
		gnet.WithReusePort(true), // also makes it one loop that accepts for itself
		gnet.WithNumEventLoop(1),
		gnet.WithReadBufferCap(readBuffer),
		gnet.WithLogger(logger{e.logf}))

	// gnet keeps a list of engines by address, and on it what it does not
	// stop by address.
	for _, addr := range addrs {
		//lint:ignore SA1019 there is no other way to get off that list
		_ = gnet.Stop(canceled, addr)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return errors.Join(err, e.err)
}

// canceled is for calls that would poll to see the end of something.
var canceled = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// OnBoot implements [gnet.EventHandler]. gnet has opened its sockets and not
// looked at them yet.
func (e *engine) OnBoot(eng gnet.Engine) gnet.Action {
	var err error
	for i := range e.sockets {
		err = errors.Join(err, e.sockets[i].adopt())
	}
	e.release()
	e.mu.Lock()
	e.eng, e.err = eng, err
	e.mu.Unlock()
	e.reported.Do(func() { e.barrier.booted <- err })
	if err != nil {
		return gnet.Shutdown
	}
	select {
	case <-e.barrier.closed:
	case <-e.barrier.serve:
	}
	// Both may be closed when an engine is started again. Who stops us closes
	// the one before it looks for an engine, so either it sees ours or we see
	// that it is closed.
	if e.barrier.isClosed() {
		return gnet.Shutdown
	}
	e.served = true
	if e.brake.isOn() {
		return gnet.Shutdown
	}
	return gnet.None
}

// OnShutdown implements [gnet.EventHandler]. The event loop is about to end.
func (e *engine) OnShutdown(gnet.Engine) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.eng, e.loop, e.down = gnet.Engine{}, nil, true
}

// stop has the event loop end; run returns some time later. The barrier must
// have been closed.
func (e *engine) stop() {
	e.mu.Lock()
	eng := e.eng
	e.mu.Unlock()
	_ = eng.Stop(canceled) // an error says that it has ended, or is about to
}

// halt returns when the event loop has ended, and keeps it from being started
// again until resume. Connections are closed, if there are any; sockets that
// listen are not.
func (e *engine) halt() {
	e.brake.put()
	e.stop()
	e.brake.wait()
}

func (e *engine) resume() { e.brake.release() }

// execute has the event loop run f, and reports whether there is one. It may end
// before it has come to that.
func (e *engine) execute(f gnet.RunnableFunc) bool {
	e.mu.Lock() // the loop must not end between here and there
	defer e.mu.Unlock()
	return e.loop != nil && e.loop.Execute(context.Background(), f) == nil
}

// learn remembers the event loop, which gnet shows only with a connection.
func (e *engine) learn(loop gnet.EventLoop) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.down {
		e.loop = loop
	}
}

// through returns the address of ours that a connection with that local address
// came to. The latter is a placeholder, and their ports are all different.
func (e *engine) through(local net.Addr) *Addr {
	tcp, ok := local.(*net.TCPAddr)
	for i := range e.sockets {
		if p := &e.sockets[i]; ok && int(p.at.Port()) == tcp.Port {
			return p.ours
		}
	}
	return nil
}

// release closes all reservations.
func (e *engine) release() {
	for i := range e.sockets {
		if p := &e.sockets[i]; p.reserve >= 0 {
			unix.Close(p.reserve)
			p.reserve = -1
		}
	}
}

// book reserves a placeholder address. On a machine whose loopback interface
// is down any other will do: nobody is meant to reach it.
func (p *place) book() error {
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	b := binding{addr: Addr{Network: p.ours.Network, AddrPort: netip.AddrPortFrom(local, 0)}}
	fd, err := bindSocket(b, true)
	if err != nil {
		b.addr.AddrPort = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
		fd, err = bindSocket(b, true)
	}
	if err != nil {
		return err
	}
	p.reserve = fd
	p.at, err = localAddr(fd)
	return err
}

// maxScan bounds the search for a descriptor. gnet's is a low one, because the
// system gives out the lowest that is free.
const maxScan = 1 << 20

// adopt puts our socket in the place of gnet's.
func (p *place) adopt() error {
	want := unix.SOCK_DGRAM
	if p.ours.Network == "tcp" {
		want = unix.SOCK_STREAM
	}
	for fd := range maxScan {
		if at, err := localAddr(fd); err != nil || at != p.at || fd == p.reserve {
			continue
		}
		if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err == nil && kind == want {
			return dupOver(p.fd, fd)
		}
	}
	return fmt.Errorf("no descriptor for placeholder %s %v", p.ours.Network, p.at)
}

// A logger passes on what gnet has to say if it is an error.
type logger struct {
	logf Logf
}

func (logger) Debugf(string, ...any)               {}
func (logger) Infof(string, ...any)                {}
func (logger) Warnf(string, ...any)                {}
func (l logger) Errorf(format string, args ...any) { l.logf(Error, "gnet", "gnet: "+format, args...) }
func (l logger) Fatalf(format string, args ...any) { l.logf(Error, "gnet", "gnet: "+format, args...) }
