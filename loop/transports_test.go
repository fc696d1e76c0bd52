package loop

import (
	"bufio"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"

	"tracker/stats"
	"tracker/store"
)

// TestQueueIsServed checks that a transport really accepts from our sockets: clients
// that come when they are bound, and it is not running, are served when it is.
func TestQueueIsServed(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s := &Server{cfg: Config{
			Listen: []Addr{addr("tcp 127.0.0.1:0"), addr("tcp [::1]:0"), addr("udp 127.0.0.1:0"), addr("udp [::1]:0")},
			Store:  store.New(store.Options{}),
			UDP:    tr,
			TCP:    tcpLike(tr),
			Logf:   func(Level, string, string, ...any) {},
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
			TCP:    tcpLike(tr),
			Ready:  func(*Heritage) error { return want },
			Logf:   func(_ Level, _, format string, args ...any) { t.Errorf("said: "+format, args...) },
		})
		if err != want {
			t.Errorf("got %v, want %v", err, want)
		}
		if n := openFiles(); n > before {
			t.Errorf("%d descriptors open, %d before", n, before)
		}
	})
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
		s := serveTest(t, Config{TCPReactors: 1, TCP: tcpLike(tr), Listen: []Addr{addr("tcp 127.0.0.1:0")}})
		most := 0.1
		if s.cfg.TCP == TransportGnet {
			most = maxConnAllocs
		}
		l := s.listeners[0].addr.AddrPort
		perConn := fewerThan(most, func() float64 { return rawClient(t, l, 500, 1) })
		perRequest := fewerThan(0.1, func() float64 { return (rawClient(t, l, 50, 101) - perConn) / 100 })
		t.Logf("%.1f allocations per connection, %.2f per further request", perConn, perRequest)
		if perConn > most {
			t.Errorf("%.1f allocations per connection, want at most %v", perConn, most)
		}
		if perRequest > 0.1 {
			t.Errorf("%.2f allocations per further request, want 0", perRequest)
		}
	})
}

// fewerThan measures again until the outcome is at most most, and returns that, or
// the least of ten: what else the process allocates meanwhile, such as what tests
// before have left running, is more the longer it takes, and comes to an end.
func fewerThan(most float64, measure func() float64) float64 {
	least := measure()
	for tries := 1; least > most && tries < 10; tries++ {
		least = min(least, measure())
	}
	return least
}

// allocs returns how many allocations there were so far.
func allocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
