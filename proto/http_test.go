package proto

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// ihText is an infohash as one client of many escapes it; ih is what it says.
const ihText = "%1f%F8%1e%2b%1c%42%c8%9a%9ae%e9%8fv%b4%b6X%cf%dc%16%86"

var ih = Infohash([]byte("\x1f\xf8\x1e\x2b\x1c\x42\xc8\x9a\x9a\x65\xe9\x8f\x76\xb4\xb6\x58\xcf\xdc\x16\x86"))

// peerID is the one in the requests of these tests.
var peerID = PeerID([]byte("-TR4050-0a1b2c3d4e5f"))

// announceRequest is one of transmission's, from which tests bend theirs.
const announceRequest = "GET /announce?info_hash=" + ihText + "&peer_id=-TR4050-0a1b2c3d4e5f&port=6881" +
	"&uploaded=0&downloaded=0&left=1000&numwant=80&key=1A2B3C4D&compact=1&supportcrypto=1&event=started HTTP/1.1\r\n" +
	"Host: tracker.test:6969\r\nUser-Agent: Transmission/4.0.5\r\nAccept: */*\r\nAccept-Encoding: deflate, gzip, br, zstd\r\n\r\n"

const scrapeRequest = "GET /scrape?info_hash=" + ihText + "&info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\nHost: tracker.test:6969\r\n\r\n"

func TestHTTPEnd(t *testing.T) {
	tests := []struct {
		name, buf string
		want      int
	}{
		{"nothing", "", 0},
		{"CRLF CRLF", "GET / HTTP/1.0\r\n\r\nmore", 18},
		{"LF LF", "GET / HTTP/1.0\n\nmore", 16},
		{"CRLF LF", "GET /\r\n\nmore", 8},
		{"LF CRLF does not end", "GET /\r\nA: b\n\r\n", 0},
		{"LF CRLF, ended later", "GET /\n\r\n\r\nmore", 10},
		{"not all there", "GET / HTTP/1.0\r\n\r", 0},
		{"nothing but the end", "\r\n\r\n", 4},
		{"nothing but LF LF", "\n\n", 2},
		{"two requests", "A\r\n\r\nB\r\n\r\n", 5},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := HTTPEnd([]byte(test.buf), 0); got != test.want {
				t.Errorf("HTTPEnd = %d, want %d", got, test.want)
			}
			if got := trickle([]byte(test.buf), 1); got != test.want {
				t.Errorf("byte by byte, HTTPEnd = %d, want %d", got, test.want)
			}
		})
	}
}

// trickle is HTTPEnd of a buffer that grows by step bytes at a time.
func trickle(buf []byte, step int) int {
	for n := 0; n < len(buf); n += step {
		if end := HTTPEnd(buf[:min(n+step, len(buf))], n); end > 0 {
			return end
		}
	}
	return 0
}

// TestPath has the path rules, each checked against opentracker.
func TestPath(t *testing.T) {
	const query = "?info_hash=" + ihText + "&port=1"
	tests := []struct {
		line string // between GET and the version
		kind Kind
		path string // for KindOther
		err  error
	}{
		{line: "/announce" + query, kind: KindAnnounce},
		{line: "/announce.php" + query, kind: KindAnnounce},
		{line: "/a" + query, kind: KindAnnounce},
		{line: "/%61" + query, kind: KindAnnounce},
		{line: "//announce" + query, kind: KindAnnounce},
		{line: "/announce%00" + query, kind: KindAnnounce},
		{line: "/announce " + query, kind: KindAnnounce},
		{line: "/announce HTTP/1.1" + query, kind: KindAnnounce},
		{line: "/announce foo\"bar" + query, kind: KindAnnounce},
		{line: "/announce\r" + query, kind: KindAnnounce},
		{line: "/announce\n" + query, err: ErrInvalid},
		{line: "/announce", err: ErrInvalid},
		{line: "/announce?", kind: KindAnnounce, err: RefuseNoInfohash},
		{line: "/announce?" + query, kind: KindAnnounce, err: RefuseNoInfohash}, // the name is "?info_hash"
		{line: "/Announce" + query, kind: KindOther, path: "Announce"},
		{line: "/passkey/announce" + query, kind: KindOther, path: "passkey/announce"},
		{line: "/%2fannounce" + query, kind: KindOther, path: "/announce"},
		{line: "/announce%" + query, err: ErrNotFound},
		{line: "/announce%4" + query, err: ErrNotFound},
		{line: "/a%zz" + query, err: ErrNotFound},
		{line: "/announce\"" + query, err: ErrNotFound},
		{line: "/announce#x" + query, err: ErrNotFound},
		{line: "/announce\x80" + query, err: ErrNotFound},
		{line: "/a&b" + query, err: ErrNotFound},
		{line: "/a=b" + query, err: ErrNotFound},
		{line: "/a@b" + query, err: ErrNotFound},
		{line: "/" + strings.Repeat("%61", 2*maxPath) + query, kind: KindAnnounce},
		{line: "/scrape" + query, kind: KindScrape},
		{line: "/sc" + query, kind: KindScrape},
		{line: "/scrape " + query, kind: KindScrape},
		{line: "/scrape", kind: KindFullScrape},
		{line: "///scrape", kind: KindFullScrape},
		{line: "/scrape ", err: ErrInvalid},
		{line: "/scrape FOO", err: ErrInvalid},
		{line: "/%73crape", err: ErrInvalid},
		{line: "/scrapes", err: ErrInvalid},
		{line: "/scrape?", err: ErrInvalid},
		{line: "/s" + query, kind: KindOther, path: "s"},
		{line: "/", kind: KindRoot},
		{line: "////", kind: KindRoot},
		{line: "/?", err: ErrNotFound},
		{line: "/" + query, err: ErrNotFound},
		{line: "/\x80", err: ErrNotFound},
		{line: "/stats", kind: KindOther, path: "stats"},
		{line: "/%73tat%73", kind: KindOther, path: "stats"},
		{line: "/stats/", kind: KindOther, path: "stats/"},
		{line: "/stats%zz", err: ErrNotFound},
		{line: " /announce" + query, err: ErrInvalid},
		{line: "http://host/announce" + query, err: ErrInvalid},
		{line: "*", err: ErrInvalid},
		{line: "", err: ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.line, func(t *testing.T) {
			var q HTTPRequest
			err := ParseHTTP([]byte("GET "+test.line+" HTTP/1.1\r\n\r\n"), &q)
			if err != test.err {
				t.Fatalf("err = %v, want %v", err, test.err)
			}
			if err == nil && q.Kind != test.kind {
				t.Errorf("Kind = %d, want %d", q.Kind, test.kind)
			}
			if err == nil && test.path != "" && string(q.Path) != test.path {
				t.Errorf("Path = %q, want %q", q.Path, test.path)
			}
		})
	}
}

func TestRequestLine(t *testing.T) {
	tests := []struct {
		req string
		err error
	}{
		{"GET /scrape HTTP/\n\n", nil},
		{"GET /scrape HTTP\n\n", ErrInvalid},
		{"GET /scrape\n\n", ErrInvalid},
		{"GET /scrape\r\n\r\n", ErrInvalid},
		{"GET /\n\n", nil},
		{"GET \n\n", ErrInvalid},
		{"GET\n\n", ErrInvalid},
		{"get / HTTP/1.1\n\n", ErrInvalid},
		{"HEAD / HTTP/1.1\n\n", ErrInvalid},
		{"POST / HTTP/1.1\n\n", ErrInvalid},
		{"\r\n\r\n", ErrInvalid},
		{"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", ErrInvalid},
		{"", ErrInvalid},
	}
	for _, test := range tests {
		var q HTTPRequest
		if err := ParseHTTP([]byte(test.req), &q); err != test.err {
			t.Errorf("%q: err = %v, want %v", test.req, err, test.err)
		}
	}
}

func TestAnnounceRequest(t *testing.T) {
	var q HTTPRequest
	if err := ParseHTTP([]byte(announceRequest), &q); err != nil {
		t.Fatal(err)
	}
	want := Announce{Infohash: ih, Left: 1000, NumWant: 80, Port: 6881, Event: EventStarted, PeerID: peerID}
	if q.Announce != want {
		t.Errorf("got %+v, want %+v", q.Announce, want)
	}
	if !q.Minor11 || q.KeepAlive {
		t.Errorf("Minor11 = %v, KeepAlive = %v, want true, false", q.Minor11, q.KeepAlive)
	}
	line, _, _ := strings.Cut(announceRequest, " HTTP/1.1")
	if _, query, _ := strings.Cut(line, "?"); string(q.Query) != query {
		t.Errorf("Query = %q, want %q", q.Query, query)
	}
}

// TestOverwrite parses a plain request after one that set everything.
func TestOverwrite(t *testing.T) {
	var q HTTPRequest
	full := "GET /announce?info_hash=" + ihText + "&port=5&left=0&numwant=1&compact=0&event=stopped HTTP/1.1\r\nConnection: keep-alive\r\n\r\n"
	if err := ParseHTTP([]byte(full), &q); err != nil {
		t.Fatal(err)
	}
	plain := "GET /announce?info_hash=" + ihText + "&port=5\n\n"
	if err := ParseHTTP([]byte(plain), &q); err != nil {
		t.Fatal(err)
	}
	want := Announce{Infohash: ih, Left: math.MaxUint64, NumWant: DefaultNumWant, Port: 5}
	if q.Announce != want || q.KeepAlive || q.Minor11 {
		t.Errorf("got %+v, KeepAlive %v, Minor11 %v, want %+v, false, false", q.Announce, q.KeepAlive, q.Minor11, want)
	}
}

func TestStatsRequest(t *testing.T) {
	var q HTTPRequest
	if err := ParseHTTP([]byte("GET /stats?mode=tpbs&format=txt HTTP/1.0\r\n\r\n"), &q); err != nil {
		t.Fatal(err)
	}
	if q.Kind != KindOther || string(q.Path) != "stats" || string(q.Query) != "mode=tpbs&format=txt" {
		t.Errorf("Kind %d, Path %q, Query %q", q.Kind, q.Path, q.Query)
	}
}

func TestScrapeRequest(t *testing.T) {
	var q HTTPRequest
	if err := ParseHTTP([]byte(scrapeRequest), &q); err != nil {
		t.Fatal(err)
	}
	second := Infohash(bytes.Repeat([]byte("a"), 20))
	if q.Scrape.N != 2 || q.Scrape.Infohashes[0] != ih || q.Scrape.Infohashes[1] != second {
		t.Errorf("got %d infohashes, %x", q.Scrape.N, q.Scrape.Infohashes[:2])
	}
	const one = "info_hash=aaaaaaaaaaaaaaaaaaaa&"
	tests := []struct {
		name, query string
		n           int
		err         error
	}{
		{"others are passed over", one + "foo=bar&port=x&" + one, 2, nil},
		{"64", strings.Repeat(one, 64), 64, nil},
		{"65", strings.Repeat(one, 65), 64, nil},
		{"200", strings.Repeat(one, 200), 64, nil},
		{"version 2", "info_hash=" + strings.Repeat("a", 32), 1, nil},
		{"short", one + "info_hash=abc", 0, ErrInvalid},
		{"no value", one + "info_hash", 0, ErrInvalid},
		{"none", "foo=bar", 0, ErrInvalid},
		{"empty", "", 0, ErrInvalid},
		{"the 65th is short", strings.Repeat(one, 64) + "info_hash=abc", 0, ErrInvalid},
		{"bad byte", one + "foo=\"", 0, ErrInvalid},
		{"bad name", one + "f@o=1", 0, ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := ParseHTTP([]byte("GET /scrape?"+test.query+" HTTP/1.1\r\n\r\n"), &q)
			if err != test.err || err == nil && q.Scrape.N != test.n {
				t.Errorf("N = %d, err = %v, want %d, %v", q.Scrape.N, err, test.n, test.err)
			}
		})
	}
}

func TestKeepAlive(t *testing.T) {
	tests := []struct {
		headers string
		want    bool
	}{
		{"", false},
		{"Connection: keep-alive\r\n", true},
		{"connection:KEEP-ALIVE\r\n", true},
		{"Host: x\r\nCONNECTION: \t Upgrade , Keep-Alive \r\n", true},
		{"Connection: close\r\n", false},
		{"Connection: keep-alive, Close\r\n", false},
		{"Connection: keep-alives\r\n", false},
		{"Connection:\r\n", false},
		{"Connection : keep-alive\r\n", false},
		{"X-Connection: keep-alive\r\n", false},
		{"Connection: ,,keep-alive,\r\n", true},
		{"\u212aeep: x\r\nConnection: \u212aeep-alive\r\n", false},
	}
	for _, test := range tests {
		var q HTTPRequest
		if err := ParseHTTP([]byte("GET / HTTP/1.0\r\n"+test.headers+"\r\n"), &q); err != nil {
			t.Fatal(err)
		}
		if q.KeepAlive != test.want || q.Minor11 {
			t.Errorf("%q: KeepAlive = %v, Minor11 = %v, want %v, false", test.headers, q.KeepAlive, q.Minor11, test.want)
		}
		lf := strings.ReplaceAll("GET / HTTP/1.1\r\n"+test.headers+"\r\n", "\r", "")
		if err := ParseHTTP([]byte(lf), &q); err != nil || q.KeepAlive != test.want || !q.Minor11 {
			t.Errorf("%q: KeepAlive = %v, Minor11 = %v, err = %v, want %v, true, nil", lf, q.KeepAlive, q.Minor11, err, test.want)
		}
	}
}

func TestHeader(t *testing.T) {
	req := []byte("GET /a:b HTTP/1.1\r\nHost: x\r\nX-Forwarded-For:  192.0.2.1, 10.0.0.1 \r\nx-forwarded-for: second\r\nEmpty:\r\n\r\n")
	tests := []struct {
		name, want string
		ok         bool
	}{
		{"X-Forwarded-For", "192.0.2.1, 10.0.0.1", true},
		{"host", "x", true},
		{"Empty", "", true},
		{"Hos", "", false},
		{"GET /a", "", false}, // the request line is no header
		{"", "", false},
	}
	for _, test := range tests {
		if got, ok := Header(req, test.name); string(got) != test.want || ok != test.ok {
			t.Errorf("Header(%q) = %q, %v, want %q, %v", test.name, got, ok, test.want, test.ok)
		}
	}
	if got, ok := Header([]byte("no line end"), "a"); ok {
		t.Errorf("a header out of nothing: %q", got)
	}
}

// TestEveryHTTPPrefix cuts valid requests at every byte. None is complete
// before its last byte, and none may crash the parser.
func TestEveryHTTPPrefix(t *testing.T) {
	for _, req := range []string{announceRequest, scrapeRequest} {
		for n := range len(req) {
			prefix := []byte(req)[:n:n]
			if end := HTTPEnd(prefix, 0); end != 0 {
				t.Errorf("%d of %d bytes are a request", n, len(req))
			}
			var q HTTPRequest
			checkHTTP(t, &q, ParseHTTP(prefix, &q))
		}
		if end := HTTPEnd([]byte(req), 0); end != len(req) {
			t.Errorf("the request of %d bytes ends at %d", len(req), end)
		}
	}
}
