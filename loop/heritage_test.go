package loop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// TestPause has requests arrive while a server is paused. Nobody reads them, and
// all are answered when it goes on, also the second time.
func TestPause(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s := serveTest(t, Config{UDP: tr, TCP: tr})
		for range 2 {
			s.Pause()
			before := s.Totals()
			var clients []net.Conn
			for _, a := range s.Addrs() {
				c := dialTest(t, a.Network, a.AddrPort.String())
				request := []byte(dont)
				if a.Network == "udp" {
					request = udpRequest(proto.ConnIDMagic, 0, 99)
				}
				if _, err := c.Write(request); err != nil {
					t.Fatal(err)
				}
				clients = append(clients, c)
			}
			if s.Totals() != before {
				t.Error("something was read in a pause")
			}
			s.Resume()
			for _, c := range clients {
				if n, err := c.Read(make([]byte, 2048)); n == 0 || err != nil {
					t.Errorf("%v: %d bytes, %v", c.RemoteAddr(), n, err)
				}
			}
		}
		s.Pause() // and is stopped like this
	})
}

// TestPauseHalf pauses servers, of both transports, that have read half of a
// request. Nothing is lost, whether they go on or another does.
func TestPauseHalf(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s := serveTest(t, Config{TCP: tr, TCPReactors: 1, Store: store.New(store.Options{})})
		c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
		r := bufio.NewReader(c)
		for range 2 {
			io.WriteString(c, keep+keep[:20])
			readResponse(t, r)
			s.Pause()
			if conns := s.Heritage().Conns; len(conns) != 1 || string(conns[0].Partial) != keep[:20] {
				t.Fatalf("%+v are handed over", conns)
			}
			s.Resume()
			io.WriteString(c, keep[20:])
			readResponse(t, r)
		}
		if !hasEpoll {
			return
		}
		io.WriteString(c, keep+dont[:20])
		readResponse(t, r)
		s.Pause()
		io.WriteString(c, dont[20:])
		succeed(t, s, Config{Listen: s.Addrs(), TCPReactors: 1})
		readResponse(t, r)
		readEnd(t, r)
	})
}

// TestPauseSends pauses a server with an answer that the client has not read. All
// of it comes, when the server goes on and when it does not.
func TestPauseSends(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		for _, goesOn := range []bool{true, false} {
			s, to := serveSlowly(t, Config{TCP: tr, TCPReactors: 1})
			c := dialTest(t, "tcp", to)
			const n = 2
			io.WriteString(c, strings.Repeat(longRequest, n))
			s.waitFor(t, stats.HTTPAnnounces, n)
			if s.Pause(); goesOn {
				s.Resume()
			} else if hasEpoll {
				succeed(t, s, Config{Listen: s.Addrs(), TCPReactors: 1})
			}
			r := bufio.NewReader(c)
			for range n {
				if status, _ := readResponse(t, r); status != statusOK {
					t.Errorf("got %q", status)
				}
			}
		}
	})
}

// TestModes has servers get ready to take the sockets of one that serves in another
// way, and fail. Whoever reads a socket finds it as before.
func TestModes(t *testing.T) {
	modes := func(fds []int) (all []int) {
		t.Helper()
		for _, fd := range fds {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, flags&unix.O_NONBLOCK)
		}
		return all
	}
	transports(t, func(t *testing.T, tr Transport) {
		s := serveTest(t, Config{UDP: tr, TCP: tr})
		want := modes(s.Descriptors())
		for _, heir := range []Transport{TransportAuto, TransportGnet} {
			errFails := errors.New("it fails")
			var got []int
			_, err := Run(Config{
				Sockets: dupAll(t, s.Descriptors()), UDP: heir, TCP: heir, Store: s.cfg.Store,
				Ready: func(*Heritage) error { got = modes(s.Descriptors()); return errFails },
			})
			if !errors.Is(err, errFails) || !slices.Equal(got, want) {
				t.Errorf("transport %d: %v, modes are %v, were %v", heir, err, got, want)
			}
			if got := modes(s.Descriptors()); !slices.Equal(got, want) {
				t.Errorf("transport %d: modes are %v when it has failed, were %v", heir, got, want)
			}
		}
	})
}

// dupAll returns other descriptors for fds.
func dupAll(t *testing.T, fds []int) (all []int) {
	t.Helper()
	for _, fd := range fds {
		d, err := dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

// succeed runs a server in the place of s, which is paused, and stops s.
func succeed(t *testing.T, s *Server, cfg Config) *Server {
	t.Helper()
	h := s.Heritage()
	for i := range h.Conns {
		c := &h.Conns[i]
		c.FD = dupAll(t, []int{c.FD})[0]
		c.Partial, c.Unsent = slices.Clone(c.Partial), slices.Clone(c.Unsent)
	}
	cfg.Sockets, cfg.Store = dupAll(t, s.Descriptors()), s.cfg.Store
	cfg.Ready = func(to *Heritage) error { *to = *h; return nil }
	next := serveTest(t, cfg)
	s.Stop()
	return next
}

// TestSuccessor puts one server in the place of another, with other numbers of
// reactors, while datagrams wait and connections are in every state.
func TestSuccessor(t *testing.T) {
	for _, tt := range []struct{ before, after int }{{1, 1}, {1, 3}, {3, 1}, {2, 2}} {
		t.Run(fmt.Sprintf("%d to %d", tt.before, tt.after), func(t *testing.T) {
			s := serveTest(t, Config{TCPReactors: tt.before, UDPReactors: tt.before, Store: store.New(store.Options{})})
			addrs := s.Addrs()
			var idle, half []net.Conn
			ids := map[string]uint64{}
			for _, a := range addrs {
				if a.Network == "udp" {
					ids[a.AddrPort.String()] = uint64(connect(t, dialTest(t, "udp", a.AddrPort.String())))
					continue
				}
				for range 4 {
					c := dialTest(t, "tcp", a.AddrPort.String())
					io.WriteString(c, keep)
					readResponse(t, bufio.NewReader(c))
					idle = append(idle, c)
					c = dialTest(t, "tcp", a.AddrPort.String())
					io.WriteString(c, keep+dont[:20])
					readResponse(t, bufio.NewReader(c))
					half = append(half, c)
				}
			}
			s.waitFor(t, stats.TCPAccepts, uint64(len(idle)+len(half)))
			s.Pause()
			var udp []net.Conn
			for to, id := range ids {
				for range 20 { // from as many ports, so that all sockets get some
					c := dialTest(t, "udp", to)
					if _, err := c.Write(udpScrapeRequest(proto.ConnID(id), 'a')); err != nil {
						t.Fatal(err)
					}
					udp = append(udp, c)
				}
			}
			for i := range idle {
				io.WriteString(idle[i], keep)
				io.WriteString(half[i], dont[20:])
			}
			next := succeed(t, s, Config{Listen: addrs, TCPReactors: tt.after, UDPReactors: tt.after})
			if got := next.Addrs(); !slices.Equal(got, addrs) {
				t.Errorf("it listens on %v, want %v", got, addrs)
			}
			for _, c := range udp {
				if n, err := c.Read(make([]byte, 2048)); n != 8+12 || err != nil {
					t.Errorf("udp %v: %d bytes, %v", c.RemoteAddr(), n, err)
				}
			}
			for i := range idle {
				readResponse(t, bufio.NewReader(idle[i]))
				r := bufio.NewReader(half[i])
				readResponse(t, r)
				readEnd(t, r)
			}
		})
	}
}

// TestSuccessorElsewhere changes what is listened on: an address goes, another
// comes, a port that the system chose stays.
func TestSuccessorElsewhere(t *testing.T) {
	s := serveTest(t, Config{Listen: []Addr{addr("tcp 127.0.0.1:0"), addr("udp 127.0.0.1:0"), addr("udp 127.0.0.2:0")}})
	stays, goes := s.Addrs()[1], s.Addrs()[2]
	s.Pause()
	var said []string
	next := succeed(t, s, Config{
		Listen: []Addr{addr("udp 127.0.0.1:0"), addr("tcp 127.0.0.2:0")},
		Logf:   func(_ Level, _, format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) },
	})
	if got := next.Addrs(); got[0] != stays || got[1].AddrPort.Port() == 0 {
		t.Errorf("it listens on %v, before on %v", got, stays)
	}
	if n := strings.Count(strings.Join(said, "\n"), "which is not in the configuration: not used"); n != 2 {
		t.Errorf("it says %q", said)
	}
	c := dialTest(t, "udp", goes.AddrPort.String())
	c.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 10)); err == nil {
		t.Error("somebody listens on an address that is gone")
	}
}

// TestInspect refuses descriptors that are not what a tracker can use.
func TestInspect(t *testing.T) {
	open := func(family, kind int) int {
		fd, err := socket(family, kind)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	bound := func(fd int) int {
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	connected := bound(open(unix.AF_INET, unix.SOCK_DGRAM))
	if err := unix.Connect(connected, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		fd   int
		want error
	}{
		"unix":      {open(unix.AF_UNIX, unix.SOCK_STREAM), errNotIP},
		"deaf":      {bound(open(unix.AF_INET, unix.SOCK_STREAM)), errDeaf},
		"unbound":   {open(unix.AF_INET6, unix.SOCK_DGRAM), errNoPort},
		"connected": {connected, errIsConnected},
		"closed":    {1 << 20, unix.EBADF},
		"good":      {bound(open(unix.AF_INET, unix.SOCK_DGRAM)), nil},
	} {
		if _, err := inspect(tt.fd); err != tt.want {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

// TestListensOnSockets runs a server that is told of no address, but given
// sockets: it listens on those.
func TestListensOnSockets(t *testing.T) {
	all := openTest(t, []Addr{addr("tcp [::]:0"), addr("udp 127.0.0.1:0")}, 1)
	s, err := Run(Config{Sockets: dupAll(t, []int{all[0].fds[0], all[1].fds[0]}), Store: store.New(store.Options{}), UDPReactors: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	for i, l := range s.listeners {
		if l.String() != all[i].String() {
			t.Errorf("it listens on %v, want %v", l, all[i])
		}
	}
	for range 20 {
		connect(t, dialTest(t, "udp", s.Addrs()[1].AddrPort.String()))
	}
	port := s.Addrs()[0].AddrPort.Port()
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		c := dialTest(t, "tcp", fmt.Sprintf("%s:%d", host, port))
		io.WriteString(c, dont)
		readResponse(t, bufio.NewReader(c))
	}
}

// TestSuccessorSends hands over connections whose clients have not read their
// answers, one of them with nothing more to say, and one that is being drained.
// All get everything, from whoever it is.
func TestSuccessorSends(t *testing.T) {
	const n = 25
	s, to := serveSlowly(t, Config{TCPReactors: 1})
	dial := func(say string) (net.Conn, *bufio.Reader) {
		c := dialTest(t, "tcp", to)
		io.WriteString(c, say)
		return c, bufio.NewReader(c)
	}
	_, late := dial(strings.Repeat(longRequest, n))
	halfClosed, deaf := dial(strings.Repeat(longRequest, n))
	halfClosed.(*net.TCPConn).CloseWrite()
	talks, drained := dial(strings.Repeat("x", 10000))
	readResponse(t, drained) // it came last, so the others have been read
	io.WriteString(talks, "x")

	s.Pause()
	conns := s.Heritage().Conns
	rests, draining := 0, 0
	for i := range conns {
		c := &conns[i]
		if len(c.Rest) > 0 && len(c.Unsent) > 0 {
			rests++
		}
		if c.Draining && !c.Parting && len(c.Unsent) == 0 {
			draining++
		}
	}
	if rests != 2 || draining != 1 {
		t.Errorf("%d with something behind, %d that are drained; of %d", rests, draining, len(conns))
	}
	next := succeed(t, s, Config{Listen: s.Addrs(), TCPReactors: 2})
	for _, r := range []*bufio.Reader{late, deaf} {
		for range n {
			if status, _ := readResponse(t, r); status != statusOK {
				t.Errorf("got %q", status)
			}
		}
		readEnd(t, r)
	}
	talks.(*net.TCPConn).CloseWrite()
	next.waitIdle(t)
}

// TestAdoptsLast has a server go on with a connection on which nothing is left
// to do but to send the rest of an answer. It ends when that has left, and not
// before.
func TestAdoptsLast(t *testing.T) {
	at := openTest(t, []Addr{addr("tcp 127.0.0.1:0")}, 1)[0]
	c := dialTest(t, "tcp", at.addr.AddrPort.String())
	io.WriteString(c, "x") // or it might be accepted later
	fd, _, err := unix.Accept(at.fds[0])
	if err == nil {
		_, err = unix.Read(fd, make([]byte, 1))
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	answer := strings.Repeat("answer ", 1<<17)
	s := serveTest(t, Config{Ready: func(h *Heritage) error {
		src := c.LocalAddr().(*net.TCPAddr).AddrPort()
		h.Conns = []Conn{{FD: fd, Src: src, Asked: true, Draining: true, Parting: true, Unsent: []byte(answer)}}
		return nil
	}, TCPReactors: 1})
	r := s.quota.reactors[0]
	if r.front[rankSending].Load() == nobody || s.quota.used.Load() != 1 {
		t.Errorf("it is not where it belongs")
	}
	if got, _ := io.ReadAll(c); string(got) != answer {
		t.Errorf("got %d bytes, want %d", len(got), len(answer))
	}
}

// TestSuccessorWaits checks that time goes on for connections that are handed
// over: who has waited for longer goes first, and the list of each rank knows
// since when.
func TestSuccessorWaits(t *testing.T) {
	s := serveTest(t, Config{TCPReactors: 1})
	for _, say := range []string{keep, keep + "GET"} {
		c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
		io.WriteString(c, say)
		readResponse(t, bufio.NewReader(c))
	}
	s.Pause()
	s.clock.millis.Add(4000) // less than is too long
	for i, c := range s.Heritage().Conns {
		if c.Quiet < 4*time.Second || c.Age < c.Quiet || !c.Asked {
			t.Errorf("connection %d: %+v", i, c)
		}
	}
	next := succeed(t, s, Config{Listen: s.Addrs(), TCPReactors: 1})
	for _, r := range []rank{rankIdle, rankAsking} {
		since := next.quota.reactors[0].front[r].Load()
		if now := next.clock.millis.Load(); since > now-4000 || since < now-4000-patience.Milliseconds() {
			t.Errorf("rank %d: since %d, now is %d", r, since, now)
		}
	}
}

// TestSuccessorLimit hands over more connections than the successor may have:
// those go that have been idle for the longest.
func TestSuccessorLimit(t *testing.T) {
	const had, most = 12, 4
	for _, reactors := range []int{1, 3} {
		s := serveTest(t, Config{TCPReactors: 2, Listen: []Addr{addr("tcp 127.0.0.1:0")}})
		var held []net.Conn
		for range had {
			c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
			io.WriteString(c, keep)
			readResponse(t, bufio.NewReader(c))
			held = append(held, c)
		}
		s.Pause()
		for _, r := range s.quota.reactors { // in which they stand in the order in which they came
			for c := r.waiting[rankIdle].first; c != nil; c = c.next {
				i := slices.IndexFunc(held, func(h net.Conn) bool { return h.LocalAddr().String() == c.src.String() })
				c.since -= int64(10 * (had - i))
			}
		}
		next := succeed(t, s, Config{Listen: s.Addrs(), TCPReactors: reactors, MaxConns: most})
		next.waitFor(t, stats.TCPEvicted, had-most)
		if used := next.quota.used.Load(); used != most {
			t.Errorf("%d connections are counted, want %d", used, most)
		}
		for i, c := range held {
			if i < had-most {
				readEnd(t, bufio.NewReader(c))
				continue
			}
			io.WriteString(c, keep)
			readResponse(t, bufio.NewReader(c))
		}
	}
}
