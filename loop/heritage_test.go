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

	"golang.org/x/sys/unix"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// TestPause has requests arrive while a server is paused. Nobody reads them, and
// all are answered when it goes on, also the second time.
func TestPause(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s := serveTest(t, Config{UDP: tr, TCP: tcpLike(tr)})
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
		s := serveTest(t, Config{TCP: tcpLike(tr), TCPReactors: 1, Store: store.New(store.Options{})})
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
			s, to := serveSlowly(t, Config{TCP: tcpLike(tr), TCPReactors: 1})
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
		s := serveTest(t, Config{UDP: tr, TCP: tcpLike(tr)})
		want := modes(s.Descriptors())
		for _, heir := range []Transport{TransportAuto, TransportGnet} {
			if heir == TransportGnet && !hasGnet {
				continue
			}
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
