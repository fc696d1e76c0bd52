package stats

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPage fails unless what is embedded is page.html, and nothing else.
func TestPage(t *testing.T) {
	if len(Page) > MaxPage {
		t.Errorf("the page is %d bytes as sent, at most %d are allowed", len(Page), MaxPage)
	}
	z, err := gzip.NewReader(strings.NewReader(Page))
	if err != nil {
		t.Fatal(err)
	}
	if z.Name != "" || z.Comment != "" || len(z.Extra) > 0 || !z.ModTime.IsZero() {
		t.Errorf("it says where it comes from: %+v", z.Header)
	}
	got, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("page.html")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("page.html.gz is not of this page.html: run go generate ./stats")
	}
	// Whoever looks at it is to tell nobody else.
	for _, elsewhere := range regexp.MustCompile(`(?:src|href|url|fetch|import)\s*[=(]\s*["']?(?:https?:)?//[^"') ]*`).FindAllString(string(want), -1) {
		t.Errorf("it needs something from elsewhere: %s", elsewhere)
	}
}

func TestSummary(t *testing.T) {
	r := &Report{Snapshot: Snapshot{Version: "tracker 1", UptimeSeconds: 90061, Torrents: 3, Peers: 20, Seeders: 10}}
	const want = `tracker 1, up 1 d 1 h
3 torrents, 20 peers, 10 seeders

/stats.html  this, with plots, for a browser
/stats.json  all numbers, for programs; ?history=hour, ?history=day, ?top=10
/metrics  the same for Prometheus
/stats?mode=everything  the same as opentracker has it
`
	if got := string(AppendSummary(nil, r, "stats", "metrics")); got != want {
		t.Errorf("got %s", got)
	}
	if got := string(AppendSummary(nil, r, "secret", "")); strings.Contains(got, "metrics") || !strings.Contains(got, "\n/secret.json  ") {
		t.Errorf("got %s", got)
	}
	for seconds, want := range map[uint64]string{0: "0 s", 59: "59 s", 60: "1 min 0 s", 3599: "59 min 59 s", 86399: "23 h 59 min", 8640000: "100 d 0 h"} {
		if got := string(appendUptime(nil, seconds)); got != want {
			t.Errorf("%d: %s, want %s", seconds, got, want)
		}
	}
}
