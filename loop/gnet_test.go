package loop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"tracker/stats"
	"tracker/store"
)

// TestQueueIsServed checks that gnet really accepts from our sockets: clients
// that come when they are bound, and gnet is not running, are served when it
// is.
func TestQueueIsServed(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s := &Server{cfg: Config{
			Listen: []Addr{addr("tcp 127.0.0.1:0"), addr("tcp [::1]:0"), addr("udp 127.0.0.1:0"), addr("udp [::1]:0")},
			Store:  store.New(store.Options{}),
			UDP:    tr,
			TCP:    tr,
			Logf:   func(string, ...any) {},
		}.withDefaults()}
		var tcp, udp []net.Conn
		s.cfg.Ready = func(*Heritage) error {
			for _, l := range s.listeners {
				for range 20 {
					c := dialTest(t, l.addr.Network, l.addr.AddrPort.String())
					if l.addr.Network == "tcp" {
						io.WriteString(c, dont)
						tcp = append(tcp, c)
					} else {
						c.Write(udpRequest(0x41727101980, 0, 1))
						udp = append(udp, c)
					}
				}
			}
			totals := s.Totals()
			if totals.Sum(stats.TCPAccepts)+totals.Sum(stats.UDPPackets) != 0 {
				t.Errorf("something is served before Ready returns")
			}
			return nil
		}
		err := s.start()
		t.Cleanup(s.Stop)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range tcp {
			r := bufio.NewReader(c)
			readResponse(t, r)
			readEnd(t, r)
		}
		for _, c := range udp {
			if n, err := c.Read(make([]byte, 100)); n != 16 {
				t.Errorf("%v: %d bytes, %v", c.RemoteAddr(), n, err)
			}
		}
	})
}

// TestReadyFails checks that an error ends it all.
func TestReadyFails(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		before := openFiles()
		want := errors.New("cannot give up root")
		_, err := Run(Config{
			Listen: []Addr{addr("tcp 127.0.0.1:0"), addr("udp 127.0.0.1:0")},
			Store:  store.New(store.Options{}),
			UDP:    tr,
			TCP:    tr,
			Ready:  func(*Heritage) error { return want },
			Logf:   func(format string, args ...any) { t.Errorf("said: "+format, args...) },
		})
		if err != want {
			t.Errorf("got %v, want %v", err, want)
		}
		if n := openFiles(); n > before {
			t.Errorf("%d descriptors open, %d before", n, before)
		}
	})
}

// TestEngineRestarts checks that an event loop that ends unasked is started
// again, and that clients who come meanwhile wait for it.
func TestEngineRestarts(t *testing.T) {
	said := make(chan string, 10)
	s := serveTest(t, Config{TCPReactors: 1, UDPReactors: 1, UDP: TransportGnet, TCP: TransportGnet, Logf: func(format string, args ...any) {
		if line := fmt.Sprintf(format, args...); strings.HasPrefix(line, "event loop ended") {
			said <- line
		}
	}})
	held := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
	io.WriteString(held, keep)
	readResponse(t, bufio.NewReader(held))
	for range 3 {
		s.tcp[0].stop()
		s.gnetUDP[0].stop()
		<-said
		<-said
		s.each(t, "tcp", func(t *testing.T, to string) {
			c := dialTest(t, "tcp", to)
			io.WriteString(c, dont)
			readResponse(t, bufio.NewReader(c))
		})
		s.each(t, "udp", func(t *testing.T, to string) { connect(t, dialTest(t, "udp", to)) })
	}
	totals := s.Totals()
	if n := totals.Sum(stats.EngineRestarts); n != 6 {
		t.Errorf("%d restarts counted, want 6", n)
	}
	s.waitIdle(t)
}

// TestStopRestarting stops a server while an engine of it is being started
// again, at many moments.
func TestStopRestarting(t *testing.T) {
	quiet := func(string, ...any) {} // it will say that it starts again
	for i := range 20 {
		s := serveTest(t, Config{TCPReactors: 1, TCP: TransportGnet, Listen: []Addr{addr("tcp 127.0.0.1:0")}, Logf: quiet})
		s.tcp[0].stop()
		time.Sleep(restartMin + time.Duration(i-10)*time.Millisecond/2)
		stopped := make(chan struct{})
		go func() {
			s.Stop()
			close(stopped)
		}()
		select {
		case <-stopped:
		case <-time.After(patience):
			t.Fatal("Stop does not return")
		}
	}
}

// TestConnsOverGnet runs the tests of connections once more, where they are
// not gnet's by default.
func TestConnsOverGnet(t *testing.T) {
	if !hasEpoll {
		return // it was gnet
	}
	defer func() { tcpOfTests = TransportAuto }()
	tcpOfTests = TransportGnet
	t.Run("HTTP", TestHTTP)
	t.Run("HalfClosed", TestHalfClosed)
	t.Run("Idle", TestIdle)
	t.Run("DoesNotRead", TestDoesNotRead)
	t.Run("ReadsLate", TestReadsLate)
	t.Run("HalfClosedReadsLate", TestHalfClosedReadsLate)
	t.Run("TalksOn", TestTalksOn)
	t.Run("Cap", TestCap)
	t.Run("PROXYConnections", TestPROXYConnections)
	t.Run("Unproxied", TestUnproxied)
	t.Run("LongAnswers", TestLongAnswers)
}

// maxConnAllocs is how many allocations a connection may cost with one request
// over gnet, nearly all of them gnet's: its connection, a callback, two forms
// of the client's address. A newer gnet that needs more should be looked at.
// Over a transport of ours there are none.
const maxConnAllocs = 12

// TestConnAllocs counts what a connection costs in memory that has to be
// collected, and what a further request on it does.
func TestConnAllocs(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s := serveTest(t, Config{TCPReactors: 1, TCP: tr, Listen: []Addr{addr("tcp 127.0.0.1:0")}})
		most := 0.1
		if s.cfg.TCP == TransportGnet {
			most = maxConnAllocs
		}
		l := s.listeners[0].addr.AddrPort
		perConn := rawClient(t, l, 500, 1)
		perRequest := (rawClient(t, l, 50, 101) - perConn) / 100
		t.Logf("%.1f allocations per connection, %.2f per further request", perConn, perRequest)
		if perConn > most {
			t.Errorf("%.1f allocations per connection, want at most %v", perConn, most)
		}
		if perRequest > 0.1 {
			t.Errorf("%.2f allocations per further request, want 0", perRequest)
		}
	})
}

// allocs returns how many allocations there were so far.
func allocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
