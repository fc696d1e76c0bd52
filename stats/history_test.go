package stats

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// told is a history as a program reads it.
type told struct {
	Time     int64                 `json:"time"`
	Interval int64                 `json:"interval_seconds"`
	Series   map[string][]*float64 `json:"series"`
}

// tell returns what h tells of span at now.
func tell(t *testing.T, h *History, span Span, now time.Duration) (all told) {
	t.Helper()
	body := AppendHistory(nil, h, span, now, int64(now/time.Second))
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if len(all.Series) != numSeries {
		t.Errorf("%d series, want %d", len(all.Series), numSeries)
	}
	for name, s := range all.Series {
		if len(s) != spans[span].samples {
			t.Fatalf("%s has %d samples", name, len(s))
		}
	}
	return all
}

// TestHistory runs for a day and a half with a request more each second.
func TestHistory(t *testing.T) {
	h := NewHistory()
	var c Counters
	report := func(second int) *Report {
		r := new(Report)
		r.AddWire(HTTP, &c)
		r.Torrents, r.Peers, r.Seeders = uint64(second), 2, 1
		r.Process.CPUSeconds = float64(second) / 4
		return r
	}
	const end = 36*3600 + 1
	for second := range end {
		if now := time.Duration(second) * time.Second; h.Due(now) {
			h.Sample(report(second), now)
		}
		c.Add(HTTPAnnounces, V6, uint64(second))
		if second%100 == 0 {
			c.Took(3*time.Microsecond, 1)
		}
	}
	for _, span := range []Span{SpanHour, SpanDay} {
		got := tell(t, h, span, (end+10)*time.Second)
		every := spans[span].interval.Seconds()
		if got.Interval != int64(every) || got.Time != end-1 {
			t.Errorf("every %d s, the last at %d", got.Interval, got.Time)
		}
		for i, v := range got.Series["http6_announce"] {
			at := float64(end-1) - every*float64(spans[span].samples-1-i) // when it was taken
			if want := at - (every+1)/2; math.Abs(*v-want) > 1+want/1000 {
				t.Fatalf("sample %d of %s is %v, want %v", i, spans[span].name, *v, want)
			}
			if want := at; math.Abs(*got.Series["torrents"][i]-want) > want/1000 {
				t.Fatalf("sample %d of %s has %v torrents, want %v", i, spans[span].name, *got.Series["torrents"][i], want)
			}
			if cpu := *got.Series["cpu"][i]; math.Abs(cpu-0.25) > 0.001 {
				t.Fatalf("CPU %v", cpu)
			}
			if v := *got.Series["http4_announce"][i]; v != 0 {
				t.Fatalf("%v announces over IPv4", v)
			}
			if v := got.Series["udp_p50"][i]; v != nil {
				t.Fatalf("latency without requests: %v", *v)
			}
		}
	}
	if v := tell(t, h, SpanDay, end*time.Second).Series["http_p50"][0]; v == nil || *v != 3e-6 {
		t.Errorf("latency %v", v)
	}
}

// TestHistoryMissing begins a history, misses samples, and misses more than
// there are.
func TestHistoryMissing(t *testing.T) {
	h := NewHistory()
	var c Counters
	sample := func(now time.Duration) {
		r := new(Report)
		r.AddWire(UDP, &c)
		h.Sample(r, now)
	}
	present := func(now time.Duration) (at string) {
		for _, v := range tell(t, h, SpanHour, now).Series["udp4_connect"] {
			if v == nil {
				at += "-"
			} else {
				at += "x"
			}
		}
		return strings.TrimLeft(at, "-")
	}
	if got := present(0); got != "" {
		t.Errorf("before the first: %q", got)
	}
	sample(0)
	if got := present(14 * time.Second); got != "" || h.Due(14*time.Second) {
		t.Errorf("after 14 s: %q", got)
	}
	sample(15 * time.Second)
	sample(31 * time.Second) // a little late
	c.Add(UDPConnects, V4, 440)
	sample(75 * time.Second) // two were missed
	if got := present(80 * time.Second); got != "xx--x" {
		t.Errorf("two missed: %q", got)
	}
	if v := tell(t, h, SpanHour, 80*time.Second).Series["udp4_connect"]; *v[len(v)-1] != 10 {
		t.Errorf("440 in 44 seconds are %v a second", *v[len(v)-1])
	}
	if h.Due(89*time.Second) || !h.Due(90*time.Second) {
		t.Error("due at another time than every 15 seconds")
	}
	sample(100 * time.Hour)
	if got := present(100 * time.Hour); got != "x" {
		t.Errorf("after a long while: %q", got)
	}
	if got := tell(t, h, SpanHour, 100*time.Hour+7*time.Second).Time; got != 100*3600 {
		t.Errorf("the last sample was at %d", got)
	}
}

func TestHistoryAllocs(t *testing.T) {
	h, r, now := NewHistory(), fullReport(), time.Duration(0)
	sample := func() {
		h.Sample(r, now)
		now += 15 * time.Second
	}
	for now < 25*time.Hour { // until it is full
		sample()
	}
	n := testing.AllocsPerRun(1000, sample)
	if n != 0 {
		t.Errorf("%v allocations per sample", n)
	}
}

// TestSeries fails unless every series has a name of its own that the README
// tells.
func TestSeries(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range numSeries {
		name := seriesName(i)
		if seen[name] {
			t.Errorf("two series are %s", name)
		}
		seen[name] = true
		if !strings.Contains(string(readme), "`"+name+"`") {
			t.Errorf("the README does not tell of %s", name)
		}
	}
}

func TestParseNumbers(t *testing.T) {
	for query, want := range map[string]NumbersRequest{
		"": {}, "_=123": {}, "history=hour": {History: SpanHour}, "x=y&history=d%61y&z=1": {History: SpanDay},
		"top=1": {Top: 1}, "top=100": {Top: 100}, "top=10 HTTP/1.1\r\n": {Top: 10},
	} {
		if got, err := ParseNumbers([]byte(query)); got != want || err != nil {
			t.Errorf("%q: %+v, %v", query, got, err)
		}
	}
	for _, query := range []string{
		"history=week", "history=", "history", "top=0", "top=101", "top=-1", "top=x", "top=", "top=99999999999999999999",
		"top=1&history=hour", "info_hash=a", "history=%4", "a=#",
	} {
		if got, err := ParseNumbers([]byte(query)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %+v, %v", query, got, err)
		}
	}
}

func TestLeaders(t *testing.T) {
	var l Leaders
	for i := range 1000 {
		n := i * 7 % 1000 // in no order, each once
		l.Add(&Torrent{Infohash: [20]byte{byte(n >> 8), byte(n)}, Seeders: uint32(n / 2), Leechers: uint32(n - n/2), Downloaded: 5})
	}
	l.Add(&Torrent{Infohash: [20]byte{0xff}, Seeders: 998})
	for _, n := range []int{1, 10, MaxTop} {
		var got struct {
			Torrents []struct {
				InfoHash                     string `json:"info_hash"`
				Seeders, Leechers, Completed int
			}
		}
		if err := json.Unmarshal(AppendLeaders(nil, &l, n), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Torrents) != n {
			t.Fatalf("%d torrents, want %d", len(got.Torrents), n)
		}
		for i, torrent := range got.Torrents {
			want := 999
			if i > 0 {
				want = 1000 - max(2, i) // 998 twice
			}
			if torrent.Seeders+torrent.Leechers != want || len(torrent.InfoHash) != 40 || torrent.Completed != 5 && i != 1 {
				t.Errorf("at %d: %+v, want %d peers", i, torrent, want)
			}
		}
	}
	if got := string(AppendLeaders(nil, new(Leaders), 10)); got != "{\"torrents\":[]}\n" {
		t.Errorf("without torrents: %s", got)
	}
	var few Leaders
	few.Add(&Torrent{})
	few.Add(&Torrent{Leechers: 1})
	if got := string(AppendLeaders(nil, &few, 10)); !json.Valid([]byte(got)) || strings.Count(got, "info_hash") != 1 {
		t.Errorf("one torrent, and one with nobody: %s", got)
	}
}
