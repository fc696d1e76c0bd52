package proto

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// checkHTTP checks that what ParseHTTP made of a request is in range.
func checkHTTP(t *testing.T, q *HTTPRequest, err error) {
	t.Helper()
	if err != nil {
		if _, refused := err.(Refusal); !refused && err != ErrInvalid && err != ErrCompact && err != ErrNotFound {
			t.Errorf("unexpected error %v", err)
		}
		return
	}
	switch q.Kind {
	case KindAnnounce:
		checkAnnounce(t, &q.Announce)
	case KindScrape:
		if q.Scrape.N < 1 || q.Scrape.N > MaxHTTPScrape {
			t.Errorf("scrape of %d", q.Scrape.N)
		}
	case KindFullScrape, KindRoot:
	case KindOther:
		if len(q.Path) == 0 || q.Path[0] == 'a' || bytes.HasPrefix(q.Path, []byte("sc")) {
			t.Errorf("other path %q", q.Path)
		}
	default:
		t.Errorf("unexpected kind %d", q.Kind)
	}
}

func checkAnnounce(t *testing.T, a *Announce) {
	t.Helper()
	if a.NumWant < 0 || a.NumWant > MaxNumWant || a.Event > EventStopped {
		t.Errorf("announce out of range: %+v", *a)
	}
	if a.Port == 0 && a.Event != EventStopped {
		t.Errorf("announce without a port: %+v", *a)
	}
}

// slowHTTPEnd is [HTTPEnd] in one call.
func slowHTTPEnd(buf []byte) int {
	for n := range len(buf) {
		if bytes.HasSuffix(buf[:n+1], []byte("\r\n\r\n")) || bytes.HasSuffix(buf[:n+1], []byte("\n\n")) {
			return n + 1
		}
	}
	return 0
}

// FuzzHTTP gives any bytes to everything that reads HTTP. The step is how many
// of them arrive at a time.
func FuzzHTTP(f *testing.F) {
	for _, c := range captures(f, "open", "redirect") {
		if c.Kind == "http" {
			f.Add(c.request, uint8(7))
		}
	}
	f.Add([]byte(announceRequest), uint8(1))
	f.Add([]byte(scrapeRequest), uint8(1))
	f.Add([]byte("GET /%"), uint8(0))                           // an escape cut off in the path
	f.Add([]byte("GET /a?info_hash=%1"), uint8(0))              // and in a value
	f.Add([]byte("GET /a?port=99999999999999999999"), uint8(0)) // the first number over 64 bits
	f.Add([]byte("a\n\r\n\r\n"), uint8(1))                      // LF CRLF, then the end
	var q HTTPRequest                                           // reused on purpose: a request must not depend on the last
	f.Fuzz(func(t *testing.T, buf []byte, step uint8) {
		end := HTTPEnd(buf, 0)
		if want := slowHTTPEnd(buf); end != want {
			t.Fatalf("HTTPEnd = %d, want %d", end, want)
		}
		if got := trickle(buf, int(step)+1); got != end {
			t.Fatalf("in steps of %d, HTTPEnd = %d, want %d", int(step)+1, got, end)
		}
		if end == 0 {
			end = len(buf)
		}
		req := slices.Clip(buf[:end])
		err := ParseHTTP(req, &q)
		checkHTTP(t, &q, err)
		var fresh HTTPRequest
		if err2 := ParseHTTP(req, &fresh); err2 != err || q.Kind != fresh.Kind && err == nil ||
			q.KeepAlive != fresh.KeepAlive || q.Close != fresh.Close || q.Minor11 != fresh.Minor11 || !bytes.Equal(q.Path, fresh.Path) || !bytes.Equal(q.Query, fresh.Query) {
			t.Errorf("a fresh struct gives %v, %+v, a used one %v, %+v", err2, fresh, err, q)
		}
		q.Scrape.Sort()
		if value, ok := Header(req, "Connection"); !ok && len(value) > 0 {
			t.Errorf("no header, but a value %q", value)
		}
	})
}

// FuzzQuery compares the parser with the readable one.
func FuzzQuery(f *testing.F) {
	for _, c := range captures(f, "open") {
		if _, query, ok := bytes.Cut(c.request, []byte("?")); ok && c.Kind == "http" {
			f.Add(string(query))
		}
	}
	for _, query := range []string{
		"info_hash=" + ihText + "&port=5&left=5",
		"info_hash=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&port=5",               // BEP 52
		"info_hash=aaaaaaaaaaaaaaaaaaaa&port=%2d1&event=stopped",          // an escaped sign
		"info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&left=-&compact=0",          // a sign without a number
		"info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&left=18446744073709551616", // 2 to the 64th
		"info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&ip=2001:db8%3a%3a7",
		"info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&compact6=0&ip=::ffff:192.0.2.7",
		"info_hash=aaaaaaaaaaaaaaaaaaaa&port=1&ip=::%251",
		"k=\x80port=1&%6eumwant=00&compact6=-0&&=&",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		longNumber := slowLongNumber.MatchString(query)
		var q HTTPRequest
		err := ParseHTTP([]byte("GET /a?"+query), &q)
		want, wantErr := slowAnnounce(query)
		// Past 32 characters the real parser stops counting leading zeros.
		if !longNumber && (err != wantErr || err == nil && q.Announce != want) {
			t.Errorf("announce %q:\n got %+v, %v\nwant %+v, %v", query, q.Announce, err, want, wantErr)
		}
		q.ReadIP = true
		err = ParseHTTP([]byte("GET /a?"+query), &q)
		want, wantErr = slowAnnounce(query, "ip")
		if !longNumber && (err != wantErr || err == nil && q.Announce != want) {
			t.Errorf("announce %q with its address:\n got %+v, %v\nwant %+v, %v", query, q.Announce, err, want, wantErr)
		}
		err = ParseHTTP([]byte("GET /sc?"+query), &q)
		hashes, wantErr := slowScrape(query)
		if err != wantErr || err == nil && !slices.Equal(q.Scrape.Infohashes[:q.Scrape.N], hashes) {
			t.Errorf("scrape %q:\n got %d, %v\nwant %d, %v", query, q.Scrape.N, err, len(hashes), wantErr)
		}
	})
}

// FuzzUDP gives any bytes to everything that reads datagrams.
func FuzzUDP(f *testing.F) {
	for _, c := range captures(f, "open") {
		if c.Kind == "udp" {
			f.Add(c.request)
		}
	}
	f.Add(announcePacket())
	f.Add(scrapePacket(2))
	f.Add(scrapePacket(MaxScrape + 1))
	key := MakeConnKey([16]byte{1})
	addr := netip.MustParseAddr("192.0.2.1")
	var a Announce
	var s Scrape
	f.Fuzz(func(t *testing.T, pkt []byte) {
		pkt = slices.Clip(pkt)
		id, _, tx, ok := UDPHeader(pkt)
		if ok != (len(pkt) >= 16) {
			t.Errorf("header of %d bytes: ok = %v", len(pkt), ok)
		}
		if ok && key.Valid(id, addr, 7) {
			t.Errorf("%#x is a good guess", id)
		}
		got, err := ParseUDPAnnounce(pkt, &a)
		switch {
		case len(pkt) < 98:
			if err != ErrShort {
				t.Errorf("announce of %d bytes: err = %v", len(pkt), err)
			}
		case err != nil && err != RefusePort || got != tx:
			t.Errorf("announce: transaction %d, err = %v, want %d", got, err, tx)
		case err == nil:
			checkAnnounce(t, &a)
		}
		got, err = ParseUDPScrape(pkt, &s)
		if ok != (err == nil) || got != tx {
			t.Errorf("scrape: transaction %d, err = %v, want %d", got, err, tx)
		}
		if want := min(MaxScrape, (len(pkt)-16)/20); err == nil && s.N != want {
			t.Errorf("scrape of %d, want %d", s.N, want)
		}
	})
}

func TestCaptureSeeds(t *testing.T) {
	kinds := map[string]int{}
	for _, c := range captures(t, "open", "redirect") {
		kinds[c.Kind]++
		if strings.TrimSpace(c.Name) == "" {
			t.Error("a case has no name")
		}
	}
	if kinds["http"] < 100 || kinds["udp"] < 40 {
		t.Errorf("too few captured cases: %v", kinds)
	}
}
