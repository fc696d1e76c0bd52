package loop

import (
	"bufio"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"tracker/stats"
)

// TestHealth asks whether we serve, as one who may ask nothing else.
func TestHealth(t *testing.T) {
	r := newTestReactor()
	r.readers = makeNetworks([]netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")})
	for req, want := range map[string]string{
		"GET /healthz HTTP/1.1\r\n\r\n":      "200 OK",
		"GET /healthz?x=y HTTP/1.1\r\n\r\n":  "200 OK",
		"GET /healthzz HTTP/1.1\r\n\r\n":     "404 Not Found",
		"GET /stats HTTP/1.1\r\n\r\n":        "403 Access Denied",
		"POST /healthz HTTP/1.1\r\n\r\n":     "400 Invalid Request",
		"GET /healthz/more HTTP/1.1\r\n\r\n": "404 Not Found",
	} {
		got, _ := r.request(nil, []byte(req), client4)
		if status, _, _ := strings.Cut(string(got), "\r\n"); !strings.HasSuffix(status, want) {
			t.Errorf("%q: %q, want %s", req, status, want)
		}
		if strings.HasPrefix(want, "200") && !strings.HasSuffix(string(got), "\r\n\r\nok\n") {
			t.Errorf("%q: %q", req, got)
		}
	}
}

// TestMetricsListener checks what is served at an address for metrics.
func TestMetricsListener(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s := serveTest(t, Config{TCP: tr, Listen: []Addr{addr("tcp 127.0.0.1:0"), addr("metrics 127.0.0.1:0"), addr("metrics [::1]:0")}})
		for i, a := range s.Addrs() {
			if a.Metrics != (i > 0) {
				t.Errorf("%+v", a)
			}
			for target, clients := range map[string]bool{
				"/healthz": false, "/stats?mode=peer": false,
				"/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1": true, "/announce?port=1": true, "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa": true,
				"/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa": true, "/scrape": true,
			} {
				head, body := get(t, a.AddrPort.String(), "GET "+target+" HTTP/1.1\r\n\r\n")
				want := "HTTP/1.1 200 OK"
				if a.Metrics && clients {
					want = "HTTP/1.0 404 Not Found"
				}
				if status, _, _ := strings.Cut(head, "\r\n"); status != want {
					t.Errorf("%v: %s: %q, %q", a, target, status, body)
				}
			}
		}
		totals := s.Totals()
		if a, f := totals.Sum(stats.HTTPAnnounces), totals.Sum(stats.HTTPNotFound); a != 2 || f != 2*5 {
			t.Errorf("%d announces and %d not found", a, f)
		}
	})
}

// TestMetricsSuccessor has another server go on with a connection that came to
// an address for metrics: it stays one.
func TestMetricsSuccessor(t *testing.T) {
	if !hasEpoll {
		return // connections end
	}
	s := serveTest(t, Config{TCP: TransportBatches, Listen: []Addr{addr("tcp 127.0.0.1:0"), addr("metrics 127.0.0.1:0")}})
	addrs := s.Addrs()
	c := dialTest(t, "tcp", addrs[1].AddrPort.String())
	r := bufio.NewReader(c)
	const health = "GET /healthz HTTP/1.1\r\nConnection: keep-alive\r\n\r\n"
	io.WriteString(c, health)
	readResponse(t, r)
	s.Pause()
	next := succeed(t, s, Config{TCP: TransportBatches, Listen: addrs})
	if got := next.Addrs(); !slices.Equal(got, addrs) {
		t.Errorf("it listens on %v, want %v", got, addrs)
	}
	io.WriteString(c, health+dont)
	if status, _ := readResponse(t, r); status != statusOK {
		t.Errorf("healthz: %q", status)
	}
	if status, _ := readResponse(t, r); status != "HTTP/1.0 404 Not Found" {
		t.Errorf("an announce: %q", status)
	}
}

// TestDecide checks what is listened on where sockets are there already.
func TestDecide(t *testing.T) {
	const every = "tcp [::]:6969 (IPv4 and IPv6),udp [::]:6969 (IPv4 and IPv6)"
	for _, tt := range []struct{ named, have, want string }{
		{"", "", every},
		{"metrics 127.0.0.1:2", "", every + ",tcp 127.0.0.1:2 for metrics"},
		{"", "tcp 127.0.0.1:1", "tcp 127.0.0.1:1"},
		{"metrics 127.0.0.1:2", "tcp 127.0.0.1:1", "tcp 127.0.0.1:1,tcp 127.0.0.1:2 for metrics"},
		{"metrics 127.0.0.1:2", "tcp 127.0.0.1:2,tcp 127.0.0.1:1,udp 127.0.0.1:2", "tcp 127.0.0.1:1,udp 127.0.0.1:2,tcp 127.0.0.1:2 for metrics"},
		{"metrics 127.0.0.1:2", "tcp 127.0.0.1:2", every + ",tcp 127.0.0.1:2 for metrics"},
		{"udp 127.0.0.1:3,metrics 127.0.0.1:2", "tcp 127.0.0.1:1", "udp 127.0.0.1:3,tcp 127.0.0.1:2 for metrics"},
	} {
		var named []Addr
		var have []inherited
		for _, s := range strings.FieldsFunc(tt.named, func(r rune) bool { return r == ',' }) {
			named = append(named, addr(s))
		}
		for _, s := range strings.FieldsFunc(tt.have, func(r rune) bool { return r == ',' }) {
			have = append(have, inherited{addr: addr(s)})
		}
		var got []string
		for _, b := range decide(named, have, supportMixed) {
			got = append(got, b.String())
		}
		if s := strings.Join(got, ","); s != tt.want {
			t.Errorf("%q, there are %q: got %s, want %s", tt.named, tt.have, s, tt.want)
		}
	}
}
