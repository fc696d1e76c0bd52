package stats

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Programs that are out there and read these pages, each reduced to the line
// that reads.

// listed returns the torrents of this test as the page in that format.
func listed(f Format, torrents []Torrent) string {
	page := f.AppendHead(nil)
	for i := range torrents {
		page = f.AppendTorrent(page, &torrents[i])
	}
	return string(f.AppendTail(page))
}

var twoTorrents = []Torrent{
	{Infohash: [20]byte{0x0a, 'a', 0xff}, Seeders: 3, Leechers: 14, Downloaded: 15, UsedMinute: 92},
	{Infohash: [20]byte{0xb0, 19: 1}, Seeders: 0, Leechers: 4294967295, Downloaded: 0, UsedMinute: 29922679},
}

// TestReaderIpfire splits each line at the colons and expects three fields.
func TestReaderIpfire(t *testing.T) {
	for line := range strings.Lines(listed(FormatTxt, twoTorrents)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) != 3 || len(fields[0]) != 40 {
			t.Errorf("%q has the fields %q", line, fields)
		}
	}
}

// TestReaderPHP is a site that finds torrents by a regular expression.
func TestReaderPHP(t *testing.T) {
	found := regexp.MustCompile(`([A-F0-9]{40}):(\d+):(\d+)`).FindAllStringSubmatch(listed(FormatTxt, twoTorrents), -1)
	if len(found) != 2 {
		t.Fatalf("found %q", found)
	}
	for i, torrent := range twoTorrents {
		if got, want := strings.Join(found[i][1:], " "), fmt.Sprintf("%X %d %d", torrent.Infohash, torrent.Seeders, torrent.Leechers); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestReaderBunsen splits the page at line ends, drops what is behind the last,
// and splits each at the colons.
func TestReaderBunsen(t *testing.T) {
	lines := strings.Split(listed(FormatTxt, twoTorrents), "\n")
	if len(lines) != 3 || lines[2] != "" {
		t.Fatalf("lines %q", lines)
	}
	for _, line := range lines[:2] {
		if fields := strings.Split(line, ":"); len(fields) < 3 {
			t.Errorf("%q has the fields %q", line, fields)
		}
	}
}

// TestReaderMunin takes the first line, the second, and the third word of the
// third.
func TestReaderMunin(t *testing.T) {
	lines := strings.Split(string(AppendPeer(nil, distinct())), "\n")
	got := lines[0] + " " + lines[1] + " " + strings.Fields(lines[2])[2]
	if want := "90002 90003 90001"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestReaderInfluxDB goes by position: the second to sixth child of the root
// are version, uptime, torrents, peers, seeds, counted from 0 as the tracker id.
func TestReaderInfluxDB(t *testing.T) {
	page := string(AppendEverything(nil, distinct()))
	children := regexp.MustCompile(`(?m)^  <([a-z_]+)>(\d*)`).FindAllStringSubmatch(page, -1)
	names := []string{"tracker_id", "version", "uptime", "torrents", "peers", "seeds", "completed", "connections", "debug"}
	if len(children) != len(names) {
		t.Fatalf("children %q", children)
	}
	for i, name := range names {
		if children[i][1] != name {
			t.Errorf("child %d: got %s, want %s", i, children[i][1], name)
		}
	}
	if children[2][2] != "7300" {
		t.Errorf("uptime %s", children[2][2])
	}
}

// TestReaderExporters are programs for Prometheus, which go by names.
func TestReaderExporters(t *testing.T) {
	s := distinct()
	texts := elements(t, AppendEverything(nil, s))
	for path, k := range map[string]Counter{
		"stats completed count":           Completed,
		"stats connections tcp accept":    TCPAccepts,
		"stats connections tcp announce":  HTTPAnnounces,
		"stats connections tcp scrape":    HTTPScrapes,
		"stats connections udp overall":   UDPPackets,
		"stats connections udp connect":   UDPConnects,
		"stats connections udp announce":  UDPAnnounces,
		"stats connections udp scrape":    UDPScrapes,
		"stats connections udp missmatch": UDPMissmatches,
	} {
		if got, want := texts[path], strconv.FormatUint(s.Totals.Sum(k), 10); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// TestReaderPerl is a Perl module, which has a pattern for each page.
func TestReaderPerl(t *testing.T) {
	s := distinct()
	for mode, pattern := range map[string]string{
		"conn":  `^(\d+)\n(\d+)\n(\d+) seconds \((\d+) hours\)\nopentracker connections, (\d+) conns/s :: (\d+) success/s\.`,
		"udp4":  `^(\d+)\n(\d+)\n(\d+) seconds \((\d+) hours\)\nopentracker udp4 stats, (\d+) conns/s :: (\d+) success/s\.`,
		"scrp":  `^(\d+)\n(\d+)\n(\d+) seconds \((\d+) hours\)\nopentracker scrape stats, (\d+) scrape/s \(tcp and udp\)`,
		"fscr":  `^(\d+)\n(\d+)\n(\d+) seconds \((\d+) hours\)\nopentracker full scrape stats, (\d+) conns/s :: (\d+) bytes/s\.`,
		"torr":  `^(\d+)\n(\d+)\nopentracker serving (\d+) torrents\nopentracker$`,
		"renew": `^(\d\d \d+\n){45}$`,
	} {
		m, _ := modeOf([]byte(mode))
		if page := m.AppendPage(nil, s); !regexp.MustCompile(pattern).Match(page) {
			t.Errorf("mode=%s: %q does not match %s", mode, page, pattern)
		}
	}
}
