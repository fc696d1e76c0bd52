package loop

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
		if strings.HasPrefix(want, "200") && (!strings.HasSuffix(string(got), "\r\n\r\nok\n") || !strings.Contains(string(got), "\r\nCache-Control: no-store\r\n")) {
			t.Errorf("%q: %q", req, got)
		}
	}
}

// TestMetricsListener checks what is served at an address for metrics.
func TestMetricsListener(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s := serveTest(t, Config{TCP: tcpLike(tr), Listen: []Addr{addr("tcp 127.0.0.1:0"), addr("metrics 127.0.0.1:0"), addr("metrics [::1]:0")}})
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

// TestMetricsPlaces looks for metrics where they are and where they are not.
func TestMetricsPlaces(t *testing.T) {
	for _, tt := range []struct {
		path       string
		apart, via bool // there is an address for metrics; the request came there
		found      string
	}{
		{"stats", false, false, "metrics"},
		{"secret", false, false, "secret.metrics"},
		{"stats", true, false, ""},
		{"secret", true, false, ""},
		{"stats", true, true, "metrics"},
		{"secret", true, true, "metrics secret.metrics"},
	} {
		r := newTestReactor()
		r.statsPath, r.apart, r.metrics = tt.path, tt.apart, tt.via
		for _, path := range []string{"metrics", "stats.metrics", "secret.metrics", "metrics.metrics"} {
			want := "HTTP/1.0 404 "
			if slices.Contains(strings.Fields(tt.found), path) {
				want = statusOK
			}
			got, _ := r.request(nil, []byte("GET /"+path+" HTTP/1.1\r\n\r\n"), client4)
			if !strings.HasPrefix(string(got), want) {
				t.Errorf("%+v: /%s: %.50q, want %s", tt, path, got, want)
			}
			if want == statusOK && !strings.Contains(string(got), "\r\nContent-Type: text/plain; version=0.0.4") {
				t.Errorf("/%s: %.200q", path, got)
			}
		}
	}
	r := newTestReactor()
	r.readers = makeNetworks(named)
	if got, _ := r.request(nil, []byte("GET /metrics HTTP/1.1\r\n\r\n"), client4); !strings.HasPrefix(string(got), "HTTP/1.0 403 ") {
		t.Errorf("who is not named gets %.50q", got)
	}
}

// TestMetricsUnderLoad reads metrics from a server that is far behind: there is
// no better time to.
func TestMetricsUnderLoad(t *testing.T) {
	r := newTestReactor()
	r.strain.Store(uint32(overloaded))
	for _, path := range []string{"metrics", "healthz"} {
		if got, _ := r.request(nil, []byte("GET /"+path+" HTTP/1.1\r\n\r\n"), client4); !strings.HasPrefix(string(got), statusOK) {
			t.Errorf("/%s: %.50q", path, got)
		}
	}
}

// TestMetricsProcess compares what is told of the process with what it is.
func TestMetricsProcess(t *testing.T) {
	s, to := serveOne(t, Config{})
	read := func(name string) float64 {
		t.Helper()
		_, body := get(t, to, "GET /metrics HTTP/1.1\r\n\r\n")
		_, rest, _ := strings.Cut(body, "\n"+name+" ")
		line, _, _ := strings.Cut(rest, "\n")
		v, err := strconv.ParseFloat(line, 64)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return v
	}
	began := read("process_start_time_seconds")
	if now := float64(time.Now().Unix()); began < now-60 || began > now+1 {
		t.Errorf("it started at %v, and it is %v", began, now)
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil && s.ledger.process.files.read() > 0 {
		if n := read("process_open_fds"); n < float64(len(open)-3) || n > float64(len(open)+10) {
			t.Errorf("%v descriptors are open, and there are %d", n, len(open))
		}
	}
	if n := read("go_gc_cycles_total"); n < 0 {
		t.Errorf("%v collections", n)
	}
	runtime.GC()
	if n := read("go_gc_cycles_total"); n < 1 {
		t.Errorf("%v collections after one", n)
	}
}

// TestMetricsAllocs reads metrics once more.
func TestMetricsAllocs(t *testing.T) {
	r := newTestReactor()
	var dst []byte
	req := []byte("GET /metrics HTTP/1.1\r\n\r\n")
	dst, _ = r.request(dst, req, client4)
	if n := testing.AllocsPerRun(100, func() { dst, _ = r.request(dst[:0], req, client4) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
