package stats

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http/httputil" // only to read what we wrote
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A capture is one question put to opentracker over HTTP, and its answer.
type capture struct {
	Name, Kind, Req, Resp string

	query  string // behind the question mark
	answer []byte // the whole of it
	head   string // of the answer, with the empty line
	body   []byte // without chunks and compression
}

// captures reads the recorded exchanges in that file, by name.
func captures(t testing.TB, file string) map[string]*capture {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "testdata", "captures", file+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string]*capture{}
	for d := json.NewDecoder(f); d.More(); {
		c := new(capture)
		if err := d.Decode(c); err != nil {
			t.Fatal(err)
		}
		if c.Kind == "http" {
			c.open(t)
			all[c.Name] = c
		}
	}
	return all
}

// open takes the exchange apart.
func (c *capture) open(t testing.TB) {
	t.Helper()
	request, err := hex.DecodeString(c.Req)
	if err != nil {
		t.Fatal(err)
	}
	if c.answer, err = hex.DecodeString(c.Resp); err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(request), "\r\n")
	_, c.query, _ = strings.Cut(line, "?")
	head, body, found := bytes.Cut(c.answer, []byte("\r\n\r\n"))
	if !found {
		return
	}
	c.head, c.body = string(head)+"\r\n\r\n", body
	if strings.Contains(c.head, "chunked") {
		c.body = dechunk(t, c.body)
	}
	if strings.Contains(c.head, "gzip") {
		c.body = gunzip(t, c.body)
	}
}

func dechunk(t testing.TB, b []byte) []byte {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(b))
	body, err := io.ReadAll(httputil.NewChunkedReader(r))
	if err != nil {
		t.Fatalf("chunks: %v in %q", err, b)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "\r\n" {
		t.Fatalf("behind the last chunk stands %q", rest)
	}
	return body
}

func gunzip(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// numbers returns all decimal numbers in body, in order.
func numbers(t testing.TB, body []byte) (all []uint64) {
	t.Helper()
	for _, digits := range regexp.MustCompile(`[0-9]+`).FindAllString(string(body), -1) {
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// capturedTorrents returns what tpbs and statedump showed together.
func capturedTorrents(t testing.TB, all map[string]*capture) (torrents []Torrent) {
	t.Helper()
	states := strings.Split(strings.TrimSpace(string(all["stats-mode-statedump"].body)), "\n")
	lines := strings.Split(strings.TrimSpace(string(all["stats-tpbs-txtp"].body)), "\n")
	if len(lines) != len(states) || len(lines) < 7 {
		t.Fatalf("%d torrents in tpbs, %d in statedump", len(lines), len(states))
	}
	for i, line := range lines {
		torrent, err := LoadLine([]byte(states[i]))
		if err != nil {
			t.Fatalf("%q: %v", states[i], err)
		}
		n := numbers(t, []byte(line[40:]))
		torrent.Seeders, torrent.Leechers = uint32(n[0]), uint32(n[1])
		if torrent.Downloaded != uint32(n[2]) {
			t.Fatalf("%q and %q", line, states[i])
		}
		torrents = append(torrents, torrent)
	}
	return torrents
}
