package loop

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"tracker/proto"
	"tracker/stats"
)

// TestPageAnswers checks where the page is, and for whom.
func TestPageAnswers(t *testing.T) {
	const page, text = "HTTP/1.1 200 OK\r\nContent-Type: text/html; ", "HTTP/1.1 200 OK\r\nContent-Type: text/plain; "
	named := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	stranger := netip.MustParseAddrPort("198.51.100.1:1")
	type change func(r *reactor)
	secret := func(r *reactor) { r.statsPath = "secret" }
	off := func(r *reactor) { r.page = false }
	elsewhere := func(r *reactor) { r.redirect = "https://tracker.example/" }
	readers := func(r *reactor) { r.readers = makeNetworks(named) }
	for _, tt := range []struct {
		name, target, encoding string
		change                 change
		client                 netip.AddrPort
		want                   string
		as                     stats.Counter
	}{
		{"open", "/", "gzip, br", nil, stranger, page, stats.HTTPPages},
		{"by name", "/stats.html", "gzip", nil, stranger, page, stats.HTTPPages},
		{"no gzip", "/", "identity", nil, stranger, text, stats.HTTPPages},
		{"no gzip, by name", "/stats.html", "gzip;q=0", nil, stranger, text, stats.HTTPPages},
		{"named", "/", "gzip", readers, client4, page, stats.HTTPPages},
		{"not named", "/", "gzip", readers, stranger, proto.HTTP403, stats.HTTPDenied},
		{"not named, by name", "/stats.html", "gzip", readers, stranger, proto.HTTP403, stats.HTTPDenied},
		{"secret", "/secret.html", "gzip", secret, stranger, page, stats.HTTPPages},
		{"not given away at the root", "/", "gzip", secret, stranger, proto.HTTP404, stats.HTTPNotFound},
		{"not given away at the usual place", "/stats.html", "gzip", secret, stranger, proto.HTTP404, stats.HTTPNotFound},
		{"/ leads elsewhere", "/", "gzip", elsewhere, stranger, "HTTP/1.0 302 Found", stats.HTTPRedirects},
		{"/ leads elsewhere, by name", "/stats.html", "gzip", elsewhere, stranger, page, stats.HTTPPages},
		{"off", "/", "gzip", off, stranger, proto.HTTP404, stats.HTTPNotFound},
		{"off, by name", "/stats.html", "gzip", off, stranger, proto.HTTP404, stats.HTTPNotFound},
		{"off, and / leads elsewhere", "/", "gzip", func(r *reactor) { off(r); elsewhere(r) }, stranger, "HTTP/1.0 302", stats.HTTPRedirects},
	} {
		r := newTestReactor()
		if tt.change != nil {
			tt.change(r)
		}
		r.strain.Store(overloaded) // it works all the same
		if got, _ := r.request(nil, pageRequest(tt.target, "Accept-Encoding: "+tt.encoding), tt.client); !strings.HasPrefix(string(got), tt.want) {
			t.Errorf("%s: %.100q", tt.name, got)
		}
		if r.counted(tt.as) != 1 {
			t.Errorf("%s: counted %d times", tt.name, r.counted(tt.as))
		}
	}
}

// TestPageAsSent reads the page as a browser does, twice over one connection, with
// every transport.
func TestPageAsSent(t *testing.T) {
	want, err := os.ReadFile("../stats/page.html")
	if err != nil {
		t.Fatal(err)
	}
	transports(t, func(t *testing.T, tr Transport) {
		s := serveTest(t, Config{Listen: []Addr{addr("tcp 127.0.0.1:0")}, TCP: tcpLike(tr)})
		c := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
		io.WriteString(c, string(pageRequest("/", "Accept-Encoding: gzip", "Connection: keep-alive"))+
			string(pageRequest("/stats.html", "Accept-Encoding: gzip", "Connection: close")))
		answer, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			head, rest, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
			for _, line := range []string{
				"Content-Type: text/html; charset=utf-8", "Content-Encoding: gzip", "Cache-Control: no-store", "Referrer-Policy: no-referrer",
				"X-Content-Type-Options: nosniff", "Content-Security-Policy: default-src 'none'; ",
			} {
				if !strings.Contains(string(head), "\r\n"+line) {
					t.Errorf("no %q in %q", line, head)
				}
			}
			if len(rest) < len(stats.Page) {
				t.Fatalf("%d bytes of the page", len(rest))
			}
			z, err := gzip.NewReader(bytes.NewReader(rest[:len(stats.Page)]))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
			}
			answer = rest[len(stats.Page):]
		}
		if len(answer) > 0 {
			t.Errorf("behind it stands %q", answer)
		}
	})
}
