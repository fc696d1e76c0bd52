//go:build !386 && !s390x

package loop

import (
	"bufio"
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

// Connections can be handed over where TCP has a transport of ours.

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
