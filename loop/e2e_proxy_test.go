package loop

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"tracker/stats"
)

// Headers that name 203.0.113.7 or 2001:db8::7, in version 1 and 2, and one
// that names nobody.
const (
	proxy1 = "PROXY TCP4 203.0.113.7 198.51.100.1 51413 6969\r\n"
	proxy2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0f\xcb\x00\x71\x07\xc6\x33\x64\x01\xc8\xd5\x1b\x39\x04\x00\x00"
	proxy6 = "\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xc8\xd5\x1b\x39"
	local2 = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

// serveProxies runs a server with a listener for proxies and one without.
func serveProxies(t *testing.T) *Server {
	t.Helper()
	return serveTest(t, Config{
		TCPReactors: 2,
		Listen:      []Addr{addr("tcp 127.0.0.1:0"), addr("proxy 127.0.0.1:0"), addr("tcp [::1]:0"), addr("proxy [::1]:0")},
		Trust:       Trust{Proxies: prefixes("127.0.0.0/31", "::1/128")},
	})
}

// TestPROXYConnections sends headers in all sorts of pieces, and two requests
// behind each, and looks at who the peers are.
func TestPROXYConnections(t *testing.T) {
	s := serveProxies(t)
	tests := []struct {
		name, header, forwarded string
		want                    string // bytes of the peers' address; empty: that of the connection
	}{
		{"version 1", proxy1, "", "\xcb\x00\x71\x07"},
		{"version 2", proxy2, "", "\xcb\x00\x71\x07"},
		{"version 2, IPv6", proxy6, "", "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"},
		{"local", local2, "", ""},
		{"unknown", "PROXY UNKNOWN\r\n", "", ""},
		{"forged", proxy2, "X-Forwarded-For: 192.0.2.66\r\n", "\xcb\x00\x71\x07"},
		{"another proxy", "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", "X-Forwarded-For: 203.0.113.7\r\n", "\xcb\x00\x71\x07"},
	}
	torrents := "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // one for each try
	addrs := s.Addrs()
	for _, a := range []Addr{addrs[1], addrs[3]} {
		for _, tt := range tests {
			for _, step := range []int{1, 16, 1000} {
				torrent := torrents[0]
				torrents = torrents[1:]
				requests := [2]string{
					viaProxy(announceLine(torrent, "&port=6881"), tt.forwarded+"Connection: keep-alive\r\n"),
					viaProxy(announceLine(torrent, "&port=6882"), tt.forwarded),
				}
				c := dialTest(t, "tcp", a.AddrPort.String())
				for send := tt.header + requests[0]; len(send) > 0; send = send[min(step, len(send)):] {
					io.WriteString(c, send[:min(step, len(send))])
				}
				r := bufio.NewReader(c)
				readResponse(t, r)
				io.WriteString(c, requests[1])
				readResponse(t, r)

				want := tt.want
				if want == "" {
					want = string(a.AddrPort.Addr().AsSlice())
				}
				other := dialTest(t, "tcp", addrs[0].AddrPort.String())
				io.WriteString(other, announceLine(torrent, "&port=9"))
				_, body := readResponse(t, bufio.NewReader(other))
				if !strings.Contains(body, want+"\x1a\xe1") || !strings.Contains(body, want+"\x1a\xe2") {
					t.Errorf("%s in steps of %d: peers are %q, want %q", tt.name, step, body, want)
				}
			}
		}
	}
}

// TestUnproxied checks that nobody gets in without a header, nor with one who
// may not send it, and that ordinary listeners know of no headers.
func TestUnproxied(t *testing.T) {
	s := serveProxies(t)
	plain, proxied := s.Addrs()[0].AddrPort, s.Addrs()[1].AddrPort
	closed := func(c net.Conn) {
		t.Helper()
		if b, _ := io.ReadAll(c); len(b) > 0 { // a reset is fine: there is input nobody read
			t.Errorf("got %q", b)
		}
	}
	for i, send := range []string{dont, "PROXY \r\n", "\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x00"} {
		c := dialTest(t, "tcp", proxied.String())
		io.WriteString(c, send)
		closed(c)
		s.waitFor(t, stats.TCPUnproxied, uint64(i+1))
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 66)}}
	c, err := d.Dial("tcp", proxied.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, proxy1+keep)
	closed(c)
	s.waitFor(t, stats.TCPUnproxied, 4)

	p := dialTest(t, "tcp", plain.String())
	io.WriteString(p, proxy1+"\r\n")
	if status, _ := readResponse(t, bufio.NewReader(p)); status != "HTTP/1.0 400 Invalid Request" {
		t.Errorf("a header at an ordinary listener: %q", status)
	}
	if used := s.quota.used.Load(); used > 1 { // p, perhaps
		t.Errorf("%d connections are counted as open", used)
	}
}

// TestPROXYAllocs checks that a header in two pieces costs no allocation.
func TestPROXYAllocs(t *testing.T) {
	var r requests
	one, two, rest := []byte(proxy2[:9]), []byte(proxy2[9:]+"GET"), []byte(nil)
	n := testing.AllocsPerRun(100, func() {
		c := conn{proxied: true}
		_, err := r.proxyHeader(&c, one)
		if err == nil {
			rest, err = r.proxyHeader(&c, two)
		}
		if err != nil || c.proxied || len(rest) != 3 || c.src.Port() != 51413 {
			panic("the header is not understood")
		}
		r.settle(&c)
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
