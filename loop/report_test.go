package loop

import (
	"bufio"
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tracker/proto"
	"tracker/stats"
)

// numbersOf asks for the numbers, checks the head, and returns what is at each
// of paths, as in memory.limit_bytes; nil is null.
func numbersOf(t testing.TB, to string, paths ...string) (all []any) {
	t.Helper()
	head, body := get(t, to, "GET /stats.json HTTP/1.1\r\n\r\n")
	for _, line := range []string{
		"HTTP/1.1 200 OK", "Content-Type: application/json", "Cache-Control: no-store", "X-Content-Type-Options: nosniff",
		"Referrer-Policy: no-referrer",
	} {
		if !strings.Contains(head+"\r\n", line+"\r\n") {
			t.Errorf("no %q in %q", line, head)
		}
	}
	var o map[string]any
	if err := json.Unmarshal([]byte(body), &o); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	for _, path := range paths {
		var v any = o
		for _, name := range strings.Split(path, ".") {
			var ok bool
			if v, ok = v.(map[string]any)[name]; !ok {
				t.Fatalf("no %s in %s", path, body)
			}
		}
		all = append(all, v)
	}
	return all
}

// TestNumbers compares the numbers for programs with what clients did.
func TestNumbers(t *testing.T) {
	s := serveTest(t, Config{
		Version: "tracker of a test",
		Memory:  func() (int64, int64) { return 12 << 20, 64 << 20 },
		Allowed: func(ih *proto.Infohash) bool { return ih[0] != 'z' },
	})
	to := map[string]string{} // by network and family
	for _, a := range s.Addrs() {
		family := "ipv6"
		if a.AddrPort.Addr().Is4() {
			family = "ipv4"
		}
		to[a.Network+family] = a.AddrPort.String()
	}
	ask := func(to, target string) {
		if head, _ := get(t, to, "GET "+target+" HTTP/1.0\r\n\r\n"); !strings.Contains(head, " 200 ") && !strings.Contains(head, " 404 ") {
			t.Fatalf("%s: %q", target, head)
		}
	}
	for range 3 {
		ask(to["tcpipv4"], "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&left=0")
	}
	ask(to["tcpipv6"], "/announce?info_hash=bbbbbbbbbbbbbbbbbbbb&port=1&left=1")
	ask(to["tcpipv6"], "/announce?info_hash=bbbbbbbbbbbbbbbbbbbb&port=1&left=0&event=completed")
	ask(to["tcpipv4"], "/announce?info_hash=zzzzzzzzzzzzzzzzzzzz&port=1")
	ask(to["tcpipv4"], "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=0")
	ask(to["tcpipv6"], "/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa")
	ask(to["tcpipv4"], "/scrape")
	ask(to["tcpipv4"], "/nothing")
	ask(to["tcpipv4"], "/stats")
	for i, family := range []string{"ipv4", "ipv6"} {
		c := dialTest(t, "udp", to["udp"+family])
		in := make([]byte, 2048)
		exchange := func(pkt []byte) []byte {
			c.Write(pkt)
			n, err := c.Read(in)
			if err != nil {
				t.Fatal(err)
			}
			return in[:n]
		}
		id := proto.ConnID(be64(exchange(udpRequest(proto.ConnIDMagic, 0, 1))[8:]))
		for port := range uint16(i + 2) {
			exchange(udpAnnounceRequest(id, 'c', uint64(port), port+1))
		}
		exchange(udpScrapeRequest(id, 'a'))
		exchange(udpAnnounceRequest(id+1, 'c', 0, 1))
	}
	want := map[string]float64{
		"torrents": 3, "peers": 7, "seeders": 4, "leechers": 3, "completed": 1,
		"requests.udp.ipv4.connect": 1, "requests.udp.ipv4.announce": 2, "requests.udp.ipv4.scrape": 1,
		"requests.udp.ipv6.connect": 1, "requests.udp.ipv6.announce": 3, "requests.udp.ipv6.scrape": 1,
		"requests.http.ipv4.announce": 5, "requests.http.ipv4.scrape": 0, "requests.http.ipv4.full_scrape": 1,
		"requests.http.ipv6.announce": 2, "requests.http.ipv6.scrape": 1, "requests.http.ipv4.other": 2,
		"refused.unlisted": 1, "refused.invalid": 1, "refused.connection_id": 2, "refused.not_found": 1, "refused.denied": 0,
		"connections.accepted": 12, "udp.received": 11, "udp.dropped_by_kernel": 0,
		"memory.resident_bytes": 12 << 20, "memory.limit_bytes": 64 << 20, "cpu.processors": float64(processors),
	}
	var paths []string
	for path := range want {
		paths = append(paths, path)
	}
	for i, v := range numbersOf(t, to["tcpipv4"], paths...) {
		if v != want[paths[i]] {
			t.Errorf("%s is %v, want %v", paths[i], v, want[paths[i]])
		}
	}
	rest := numbersOf(t, to["tcpipv6"], "version", "time", "memory.store_bytes", "memory.heap_bytes", "cpu.seconds", "connections.open",
		"latency.udp.count", "latency.udp.p99_seconds")
	if rest[0] != "tracker of a test" {
		t.Errorf("version %v", rest[0])
	}
	if age := time.Since(time.Unix(int64(rest[1].(float64)), 0)); age < -time.Minute || age > time.Minute {
		t.Errorf("the numbers are %v old", age)
	}
	for i, name := range []string{"store", "heap", "CPU time", "connections", "timed", "latency"} {
		if v, ok := rest[i+2].(float64); !ok || v <= 0 {
			t.Errorf("%s: %v", name, rest[i+2])
		}
	}
}

func be64(b []byte) (n uint64) {
	for _, c := range b[:8] {
		n = n<<8 | uint64(c)
	}
	return n
}

// TestNumbersAnswers checks who gets the numbers, and under which path.
func TestNumbersAnswers(t *testing.T) {
	named := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	stranger, here := netip.MustParseAddrPort("198.51.100.1:1"), client4
	for _, tt := range []struct {
		name, path, target string
		readers            []netip.Prefix
		client             netip.AddrPort
		want               string
		as                 stats.Counter
	}{
		{"open", "stats", "/stats.json", nil, stranger, "HTTP/1.1 200 OK", stats.HTTPPages},
		{"named", "stats", "/stats.json", named, here, "HTTP/1.1 200 OK", stats.HTTPPages},
		{"not named", "stats", "/stats.json", named, stranger, proto.HTTP403, stats.HTTPDenied},
		{"nonsense", "stats", "/stats.json?history=week", nil, stranger, proto.HTTP400, stats.HTTPInvalid},
		{"secret path", "secret", "/secret.json", nil, stranger, "HTTP/1.1 200 OK", stats.HTTPPages},
		{"not at the default one then", "secret", "/stats.json", nil, stranger, proto.HTTP404, stats.HTTPNotFound},
		{"longer", "stats", "/stats.jsonx", nil, stranger, proto.HTTP404, stats.HTTPNotFound},
		{"shorter", "stats", "/stats.jso", nil, stranger, proto.HTTP404, stats.HTTPNotFound},
	} {
		r := newTestReactor()
		r.statsPath, r.readers = tt.path, makeNetworks(tt.readers)
		r.strain.Store(overloaded) // numbers are told all the same
		if got, _ := r.request(nil, pageRequest(tt.target), tt.client); !strings.HasPrefix(string(got), tt.want) {
			t.Errorf("%s: %q", tt.name, got)
		}
		if r.counted(tt.as) != 1 {
			t.Errorf("%s: counted %d times", tt.name, r.counted(tt.as))
		}
	}
}

// TestNumbersKept asks twice over one connection.
func TestNumbersKept(t *testing.T) {
	s := serveTest(t, Config{Listen: []Addr{addr("tcp 127.0.0.1:0")}})
	c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
	r := bufio.NewReader(c)
	for range 2 {
		io.WriteString(c, "GET /stats.json HTTP/1.1\r\nConnection: keep-alive\r\n\r\n")
		if status, body := readResponse(t, r); status != statusOK || !json.Valid([]byte(body)) {
			t.Fatalf("%s, %q", status, body)
		}
	}
}
