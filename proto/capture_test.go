package proto

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// capture is one question put to opentracker and its answer.
type capture struct {
	Name, Kind, Req, Resp string
	request, answer       []byte
}

// captures reads the recorded exchanges in those files.
func captures(t testing.TB, files ...string) (all []capture) {
	t.Helper()
	for _, name := range files {
		f, err := os.Open(filepath.Join("..", "testdata", "captures", name+".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for d := json.NewDecoder(f); d.More(); {
			var c capture
			if err := d.Decode(&c); err != nil {
				t.Fatal(err)
			}
			if c.request, err = hex.DecodeString(c.Req); err != nil {
				t.Fatal(err)
			}
			if c.answer, err = hex.DecodeString(c.Resp); err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
	}
	return all
}

// refused lists the cases that opentracker answers and we refuse.
var refused = map[string]Refusal{
	"lenient-port-0":        RefusePort, // it hands out port 0
	"lenient-port-missing":  RefusePort, // likewise
	"lenient-port-negative": RefusePort, // it wraps around to 65535
	"lenient-amp-html":      RefusePort, // the port is called amp;port
	"announce-left-alpha":   RefuseLeft, // it takes the client for a seeder
}

// accepted lists the cases that opentracker refuses and we accept.
var accepted = map[string]string{
	"announce-compact-0": "compact=0 gets the dictionary list of BEP 3",
}

// fixedAnswer is the answer to a request that nothing but the request decides,
// or nil.
func fixedAnswer(req []byte, redirect string) []byte {
	if len(req) > MaxHTTPRequest {
		return []byte(HTTP500)
	}
	var q HTTPRequest
	switch err := ParseHTTP(req, &q); {
	case err == ErrInvalid, err == ErrCompact:
		return []byte(HTTP400)
	case err == ErrNotFound, err == nil && q.Kind == KindRoot && redirect == "",
		err == nil && q.Kind == KindOther && string(q.Path) != "stats":
		return []byte(HTTP404)
	case err == nil && q.Kind == KindRoot:
		return AppendHTTPRedirect(nil, redirect)
	case err == nil:
		return nil
	default:
		body := AppendHTTPFailure(nil, err.(Refusal))
		return append(AppendHTTPHead(nil, len(body), q.KeepAlive), body...)
	}
}

// TestCapturedErrors replays what opentracker was asked over HTTP. What it
// answers without looking at a swarm must be equal byte for byte, but for the
// lists above.
func TestCapturedErrors(t *testing.T) {
	for file, redirect := range map[string]string{"open": "", "redirect": "https://example.org/tracker"} {
		for _, c := range captures(t, file) {
			if c.Kind != "http" || strings.HasPrefix(c.Name, "stats") || len(c.answer) == 0 {
				continue
			}
			want := c.answer
			if strings.HasPrefix(string(want), "HTTP/1.1 200 OK") && !strings.Contains(string(want), "14:failure reason") {
				want = nil
			}
			if accepted[c.Name] != "" {
				want = nil
			}
			if r, ok := refused[c.Name]; ok {
				body := AppendHTTPFailure(nil, r)
				want = append(AppendHTTPHead(nil, len(body), false), body...)
			}
			if got := fixedAnswer(c.request, redirect); !bytes.Equal(got, want) {
				t.Errorf("%s:\n got %q\nwant %q", c.Name, got, want)
			}
		}
	}
}

// capturedAnnounce takes an announce answer of opentracker apart.
var capturedAnnounce = regexp.MustCompile(`(?s)^d8:completei(\d+)e(?:10:downloadedi(\d+)e)?10:incompletei(\d+)e` +
	`8:intervali(\d+)e12:min intervali(\d+)e(?:5:peers(\d+):(.*))?e$`)

// TestCapturedAnnounceAnswers takes opentracker's announce answers apart, and
// puts them together again.
func TestCapturedAnnounceAnswers(t *testing.T) {
	found := 0
	for _, c := range captures(t, "open") {
		head, body, _ := bytes.Cut(c.answer, []byte("\r\n\r\n"))
		m := capturedAnnounce.FindSubmatch(body)
		if c.Kind != "http" || m == nil {
			continue
		}
		found++
		number := func(b []byte) uint32 {
			n, _ := strconv.ParseUint("0"+string(b), 10, 32)
			return uint32(n)
		}
		r := AnnounceReply{
			Form:     FormCompact,
			Interval: number(m[4]),
			Counts:   Counts{Complete: number(m[1]), Downloaded: number(m[2]), Incomplete: number(m[3])},
			Peers4:   m[7],
		}
		if m[2] == nil {
			r.Form = FormStopped
		} else if m[6] == nil {
			r.Form = FormNoPeers
		}
		var q HTTPRequest
		if err := ParseHTTP(c.request, &q); err == nil && q.Announce.Form() != r.Form {
			t.Errorf("%s: Form() = %d, want %d", c.Name, q.Announce.Form(), r.Form)
		}
		got := AppendHTTPAnnounce(nil, &r)
		if !bytes.Equal(got, body) {
			t.Errorf("%s:\n got %q\nwant %q", c.Name, got, body)
		}
		if got := AppendHTTPHead(nil, len(body), false); string(got) != string(head)+"\r\n\r\n" {
			t.Errorf("%s: head\n got %q\nwant %q", c.Name, got, head)
		}
	}
	if found < 40 {
		t.Errorf("only %d announce answers found", found)
	}
}

// capturedCounts is what follows the infohash in a scrape answer.
var capturedCounts = regexp.MustCompile(`^d8:completei(\d+)e10:downloadedi(\d+)e10:incompletei(\d+)ee`)

// TestCapturedScrapeAnswers does the same with scrape answers, in opentracker's
// order.
func TestCapturedScrapeAnswers(t *testing.T) {
	found := 0
	for _, c := range captures(t, "open") {
		_, body, _ := bytes.Cut(c.answer, []byte("\r\n\r\n"))
		rest, ok := bytes.CutPrefix(body, []byte("d5:filesd"))
		if c.Kind != "http" || !ok {
			continue
		}
		found++
		got := AppendHTTPScrapeHead(nil)
		for bytes.HasPrefix(rest, []byte("20:")) {
			ih := Infohash(rest[3:23])
			m := capturedCounts.FindSubmatch(rest[23:])
			if m == nil {
				t.Fatalf("%s: no counts in %q", c.Name, rest)
			}
			var counts [3]uint32
			for i := range counts {
				n, _ := strconv.ParseUint(string(m[1+i]), 10, 32)
				counts[i] = uint32(n)
			}
			got = AppendHTTPScrapeEntry(got, &ih, Counts{counts[0], counts[1], counts[2]})
			rest = rest[23+len(m[0]):]
		}
		if got = AppendHTTPScrapeTail(got); !bytes.Equal(got, body) {
			t.Errorf("%s:\n got %q\nwant %q", c.Name, got, body)
		}
	}
	if found < 8 {
		t.Errorf("only %d scrape answers found", found)
	}
}

// TestCapturedDatagrams parses what opentracker was asked over UDP, takes its
// answers apart, and puts them together again.
func TestCapturedDatagrams(t *testing.T) {
	u32 := binary.BigEndian.Uint32
	for _, c := range captures(t, "open") {
		if c.Kind != "udp" {
			continue
		}
		id, action, tx, ok := UDPHeader(c.request)
		if !ok {
			if len(c.answer) > 0 {
				t.Errorf("%s: answered by opentracker, too short for us", c.Name)
			}
			continue
		}
		b := c.answer
		var got []byte
		switch {
		case len(b) >= 8 && u32(b) == ActionError:
			got = append(AppendUDPError(nil, tx, RefuseConnID), 0) // the NUL is left out on purpose
		case IsUDPConnect(id, action):
			got = AppendUDPConnect(nil, tx, ConnID(binary.BigEndian.Uint64(b[8:])))
		case action == ActionAnnounce:
			var a Announce
			tx, err := ParseUDPAnnounce(c.request, &a)
			if err == ErrShort || err != nil && c.Name != "udp-announce-port-0" {
				if len(b) > 0 {
					t.Errorf("%s: answered by opentracker, but %v", c.Name, err)
				}
				continue
			}
			if want := 6 * a.NumWant; len(b)-20 > want {
				t.Errorf("%s: wants %d peers, opentracker gives %d", c.Name, a.NumWant, (len(b)-20)/6)
			}
			got = AppendUDPAnnounce(nil, tx, u32(b[8:]), Counts{Incomplete: u32(b[12:]), Complete: u32(b[16:])}, b[20:])
		case action == ActionScrape:
			var s Scrape
			tx, err := ParseUDPScrape(c.request, &s)
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
			got = AppendUDPScrapeHead(nil, tx)
			for i := range s.N {
				e := b[8+12*i:]
				got = AppendUDPScrapeEntry(got, Counts{u32(e), u32(e[4:]), u32(e[8:])})
			}
			if c.Name == "udp-scrape-partial" { // it answers a partial infohash, with what it last read there
				b = b[:20]
			}
		}
		if !bytes.Equal(got, b) {
			t.Errorf("%s:\n got %x\nwant %x", c.Name, got, b)
		}
	}
}
