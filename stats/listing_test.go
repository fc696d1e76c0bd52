package stats

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// capturedListings are the cases in which opentracker listed the torrents of
// the end of the captures. Each has a second one, which asks for gzip.
var capturedListings = map[string]Format{
	"stats-mode-statedump": FormatState,
	"stats-tpbs-txt":       FormatTxt,
	"stats-tpbs-txtp":      FormatTxtp,
	"stats-tpbs-url":       FormatURL,
	"stats-tpbs-bin":       FormatBin,
	"stats-tpbs-ben":       FormatBen,
	"stats-format-first":   FormatTxt,
}

// TestCapturedListings lists the captured torrents in every format, as the
// whole answer: head, chunks and all.
func TestCapturedListings(t *testing.T) {
	all := captures(t, "open")
	torrents := capturedTorrents(t, all)
	w := NewChunkWriter()
	for name, format := range capturedListings {
		got := answer(t, w, format, Plain, torrents)
		if want := all[name].answer; !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
		zipped := all[strings.Replace(name, "-mode", "", 1)+"-gzip"]
		if zipped == nil {
			continue
		}
		got = answer(t, w, format, Gzip, torrents)
		if !bytes.HasPrefix(got, []byte(zipped.head)) {
			t.Fatalf("%s: got the head of %q, want %q", zipped.Name, got, zipped.head)
		}
		if body := gunzip(t, dechunk(t, got[len(zipped.head):])); !bytes.Equal(body, zipped.body) {
			t.Errorf("%s:\n got %q\nwant %q", zipped.Name, body, zipped.body)
		}
	}
}

// TestCapturedFullScrape makes the three full scrapes of the same torrents, and
// that of one torrent without peers.
func TestCapturedFullScrape(t *testing.T) {
	all := captures(t, "open")
	w := NewChunkWriter()
	for _, name := range []string{"scrape-full-empty", "scrape-full", "scrape-full-http10"} {
		c := all[name]
		if got := answer(t, w, FormatBen, Plain, scraped(t, c.body)); !bytes.Equal(got, c.answer) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.answer)
		}
	}
	zipped := all["scrape-full-gzip"]
	got := answer(t, w, FormatBen, Gzip, scraped(t, zipped.body))
	if body := gunzip(t, dechunk(t, got[len(zipped.head):])); !bytes.Equal(body, all["scrape-full"].body) {
		t.Errorf("compressed: got %q", body)
	}
}

// answer returns a whole answer.
func answer(t *testing.T, w *ChunkWriter, f Format, e Encoding, torrents []Torrent) []byte {
	t.Helper()
	var out bytes.Buffer
	out.Write(AppendListingHead(nil, e))
	w.Reset(&out, e)
	if err := w.WriteHead(f); err != nil {
		t.Fatal(err)
	}
	for i := range torrents {
		if err := w.WriteTorrent(f, &torrents[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(f); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// scraped reads the torrents out of a bencoded listing.
func scraped(t *testing.T, body []byte) (torrents []Torrent) {
	t.Helper()
	rest := bytes.TrimPrefix(body, []byte("d5:filesd"))
	for bytes.HasPrefix(rest, []byte("20:")) {
		torrent := Torrent{Infohash: [20]byte(rest[3:23])}
		rest = rest[23:]
		_, err := fmt.Sscanf(string(rest), "d8:completei%de10:downloadedi%de10:incompletei%dee",
			&torrent.Seeders, &torrent.Downloaded, &torrent.Leechers)
		if err != nil {
			t.Fatalf("%v in %q", err, rest)
		}
		rest = rest[bytes.Index(rest, []byte("ee"))+2:]
		torrents = append(torrents, torrent)
	}
	if string(rest) != "ee" {
		t.Fatalf("%q ends in %q", body, rest)
	}
	return torrents
}

// TestEmptyListing is where opentracker sends the last chunk twice.
func TestEmptyListing(t *testing.T) {
	w := NewChunkWriter()
	got := answer(t, w, FormatTxt, Plain, nil)
	if want := string(AppendListingHead(nil, Plain)) + "0\r\n\r\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got = answer(t, w, FormatBen, Plain, nil)
	if want := string(AppendListingHead(nil, Plain)) + "b\r\nd5:filesdee\r\n0\r\n\r\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got = answer(t, w, FormatTxt, Gzip, nil)
	if body := gunzip(t, dechunk(t, got[len(AppendListingHead(nil, Gzip)):])); len(body) != 0 {
		t.Errorf("got %q, want nothing", body)
	}
}

// TestEntryLen lists the torrent that takes the most bytes.
func TestEntryLen(t *testing.T) {
	largest := Torrent{Seeders: math.MaxUint32, Leechers: math.MaxUint32, Downloaded: math.MaxUint32, UsedMinute: math.MaxUint32}
	longest := 0
	for f := FormatBin; f <= FormatState; f++ {
		longest = max(longest, len(f.AppendTorrent(nil, &largest)), len(f.AppendHead(nil)))
	}
	if longest != maxEntry || maxEntry != 97 {
		t.Errorf("the longest entry has %d bytes, maxEntry is %d", longest, maxEntry)
	}
}

// TestURLBytes compares what is escaped with opentracker's list of what is not.
func TestURLBytes(t *testing.T) {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789$/.=~-_"
	for c := range 256 {
		ih := [20]byte{byte(c)}
		want := string([]byte{byte(c)})
		if !strings.Contains(plain, want) {
			want = fmt.Sprintf("%%%02x", c)
		}
		if got := string(appendEscaped(nil, &ih)); got != want+strings.Repeat("%00", 19) {
			t.Errorf("byte %d: got %s, want %s", c, got, want)
		}
	}
}

func TestLoadLine(t *testing.T) {
	const ih = "12265A8791313E55C1BFCA4D8EBAA484057FB478"
	valid := Torrent{UsedMinute: 29922679, Downloaded: 5}
	_, _ = hex.Decode(valid.Infohash[:], []byte(ih))
	tests := []struct {
		name, line string
		ok         bool
	}{
		{"as written", ih + ":29922679:5", true},
		{"lower case", strings.ToLower(ih) + ":29922679:5", true},
		{"with line end", ih + ":29922679:5\n", true},
		{"from Windows", ih + ":29922679:5\r", true},
		{"a rest", ih + ":29922679:5 trailing", true},
		{"zeros in front", ih + ":0029922679:05", true},
		{"empty", "", false},
		{"infohash only", ih, false},
		{"no count", ih + ":29922679", false},
		{"empty count", ih + ":29922679:", false},
		{"empty minute", ih + "::5", false},
		{"short infohash", ih[1:] + ":29922679:5", false},
		{"long infohash", "A" + ih + ":29922679:5", false},
		{"not hex", "G" + ih[1:] + ":29922679:5", false},
		{"space in front", " " + ih + ":29922679:5", false},
		{"space between", ih + ": 29922679:5", false},
		{"negative", ih + ":29922679:-5", false},
		{"letters", ih + ":29922679:5x", false},
		{"another field", ih + ":29922679:5:6", false},
		{"count over 32 bits", ih + ":29922679:4294967296", false},
		{"minute over 32 bits", ih + ":99999999999999999999999:5", false},
	}
	for _, test := range tests {
		got, err := LoadLine([]byte(test.line))
		switch {
		case test.ok && (err != nil || got != valid):
			t.Errorf("%s: got %+v, %v", test.name, got, err)
		case !test.ok && (!errors.Is(err, ErrState) || got != Torrent{}):
			t.Errorf("%s: got %+v, %v, want ErrState", test.name, got, err)
		}
	}
}

func FuzzLoadLine(f *testing.F) {
	for _, c := range captures(f, "open") {
		if strings.Contains(c.Name, "statedump") {
			for line := range bytes.Lines(c.body) {
				f.Add(line)
			}
		}
	}
	f.Add([]byte("34fef77179a971506da0179a9a41f09c5c0f4852:29922707:4 trailing"))
	f.Add([]byte("3000e20fc8020e2e308cbd0abca3fb85828341e6"))
	f.Add([]byte("9aa63f605d649d45c63a179a852ea96f0e2406f7:29922707"))
	f.Fuzz(func(t *testing.T, line []byte) {
		torrent, err := LoadLine(line)
		if err != nil {
			if torrent != (Torrent{}) {
				t.Fatalf("%q: %+v with %v", line, torrent, err)
			}
			return
		}
		written := FormatState.AppendTorrent(nil, &torrent)
		if again, err := LoadLine(written); err != nil || again != torrent {
			t.Fatalf("%q: %+v, written as %q and read as %+v, %v", line, torrent, written, again, err)
		}
	})
}
