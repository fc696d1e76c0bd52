package stats

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

// capturedPages says how the numbers on a page of opentracker get back into a
// Snapshot.
var capturedPages = map[string]func(s *Snapshot, n []uint64){
	"peer": func(s *Snapshot, n []uint64) { s.Peers, s.Seeders, s.Torrents = n[0], n[1], n[2] },
	"torr": func(s *Snapshot, n []uint64) { s.Torrents = n[0] },
	"conn": func(s *Snapshot, n []uint64) {
		s.UptimeSeconds = n[2]
		s.Totals[TCPAccepts][V4], s.Totals[TCPAccepts][V6], s.Totals[UDPPackets][V4] = n[0]-100, 60, 40
		s.Totals[HTTPAnnounces][V6], s.Totals[UDPAnnounces][V4], s.Totals[UDPConnects][V4] = n[1]-100, 60, 40
	},
	"tcp4": func(s *Snapshot, n []uint64) {
		s.UptimeSeconds = n[2]
		s.Totals[TCPAccepts][V4], s.Totals[HTTPAnnounces][V4] = n[0], n[1]
	},
	"udp4": func(s *Snapshot, n []uint64) {
		s.UptimeSeconds = n[2]
		s.Totals[UDPPackets][V4], s.Totals[UDPAnnounces][V6], s.Totals[UDPConnects][V4] = n[0], n[1]-30, 30
	},
	"scrp": func(s *Snapshot, n []uint64) {
		s.UptimeSeconds = n[2]
		s.Totals[HTTPScrapes][V4], s.Totals[UDPScrapes][V4] = n[0], n[1]
	},
	"fscr": func(s *Snapshot, n []uint64) { s.UptimeSeconds = n[2] },
	"completed": func(s *Snapshot, n []uint64) {
		s.UptimeSeconds = n[2]
		s.Totals[Completed][V4] = n[0]
	},
	"syncs": func(s *Snapshot, n []uint64) {
		s.UptimeSeconds = n[2]
		s.Totals[TCPAccepts][V4], s.Totals[HTTPAnnounces][V4] = n[4]*n[2], n[5]*n[2]
	},
	"renew": func(s *Snapshot, n []uint64) {
		for i := range s.Renew {
			s.Renew[n[2*i]] = n[2*i+1]
		}
	},
	"herr": func(s *Snapshot, n []uint64) {
		for i, k := range []Counter{HTTPRedirects, HTTPParseErrors, HTTPInvalid, HTTPCompact, HTTPDenied, HTTPNotFound, HTTPTooLong} {
			s.Totals[k][V4] = n[2*i+1]
		}
	},
}

// TestCapturedPages reads the numbers off the pages of both generations of
// opentracker, and makes the same pages of them, byte for byte.
func TestCapturedPages(t *testing.T) {
	for _, file := range []string{"open", "debian"} {
		all := captures(t, file)
		for mode, fill := range capturedPages {
			c := all["stats-mode-"+mode]
			if c == nil && file == "debian" {
				continue // answered as the newer one does
			}
			if c == nil {
				t.Errorf("%s: mode=%s was not captured", file, mode)
				continue
			}
			var s Snapshot
			n := numbers(t, c.body)
			if mode == "tcp4" || mode == "udp4" { // the name of the page is among the numbers
				n = append(n[:4:4], n[5:]...)
			}
			fill(&s, n)
			m, _ := modeOf([]byte(mode))
			if got := m.AppendPage(nil, &s); string(got) != string(c.body) {
				t.Errorf("%s, mode=%s:\n got %q\nwant %q", file, mode, got, c.body)
			}
			if got := string(AppendTextHead(nil, len(c.body))); file == "open" && got != c.head {
				t.Errorf("head: got %q, want %q", got, c.head)
			}
		}
	}
}

// capturedEverything fills a Snapshot from a page of mode=everything.
func capturedEverything(t *testing.T, body []byte) *Snapshot {
	t.Helper()
	s := new(Snapshot)
	_, rest, _ := strings.Cut(string(body), "<version>\n")
	s.Version, _, _ = strings.Cut(rest, "\n  </version>")
	text := strings.Replace(string(body), s.Version, "", 1)
	text = regexp.MustCompile(`(interval|code)="[^"]*"|<\?.*\?>`).ReplaceAllString(text, "")
	n := numbers(t, []byte(text))
	s.TrackerID, s.UptimeSeconds, s.Torrents, s.Peers, s.Seeders = uint32(n[0]), n[1], n[2], n[4], n[5]
	for i, k := range []Counter{
		Completed, TCPAccepts, HTTPAnnounces, HTTPScrapes, UDPPackets, UDPConnects,
		UDPAnnounces, UDPScrapes, UDPMissmatches, SyncRecords,
	} {
		s.Totals[k][V4] = n[6+i]
	}
	copy(s.Renew[:], n[16:])
	for i, k := range []Counter{HTTPRedirects, HTTPParseErrors, HTTPInvalid, HTTPCompact, HTTPNotModest, HTTPNotModest, HTTPDenied, HTTPNotFound, HTTPTooLong} {
		s.Totals[k][V4] += n[16+RenewMinutes+i]
	}
	return s
}

func TestCapturedEverything(t *testing.T) {
	for _, file := range []string{"open", "debian"} {
		c := captures(t, file)["stats-mode-everything"]
		s := capturedEverything(t, c.body)
		if s.Peers < 300 || s.Totals.Sum(HTTPNotFound) == 0 || s.Renew[0] == 0 {
			t.Fatalf("%s: read %+v", file, s)
		}
		if got := AppendEverything(nil, s); string(got) != string(c.body) {
			t.Errorf("%s:\n got %s\nwant %s", file, got, c.body)
		}
	}
}

// TestCapturedVersion makes opentracker's page of its version.
func TestCapturedVersion(t *testing.T) {
	c := captures(t, "open")["stats-mode-version"]
	s := Snapshot{Version: strings.TrimSuffix(string(c.body), "\n")}
	if got := AppendVersion(nil, &s); string(got) != string(c.body) {
		t.Errorf("got %q, want %q", got, c.body)
	}
}

// distinct returns a Snapshot in which every number is another one.
func distinct() *Snapshot {
	s := &Snapshot{UptimeSeconds: 7300, Torrents: 90001, Peers: 90002, Seeders: 90003, TrackerID: 90004, Version: "tracker 1.0"}
	for k := range s.Totals {
		s.Totals[k] = [numFamilies]uint64{uint64(1000 * (k + 1)), uint64(k + 1)}
	}
	for i := range s.Renew {
		s.Renew[i] = uint64(500 + i)
	}
	for i := range s.NumWant {
		s.NumWant[i] = uint64(5000 + i)
	}
	return s
}

// TestPages makes each page of numbers that are all different, so that a number
// in the wrong place, or of one family only, is seen.
func TestPages(t *testing.T) {
	s := distinct()
	sum := s.Totals.Sum
	accepts, packets := sum(TCPAccepts), sum(UDPPackets)
	announces, udp := sum(HTTPAnnounces), sum(UDPAnnounces)+sum(UDPConnects)
	const up = "7300 seconds (2 hours)\n"
	want := map[string]string{
		"peer": "90002\n90003\nopentracker serving 90001 torrents\nopentracker",
		"torr": "90001\n0\nopentracker serving 90001 torrents\nopentracker",
		"conn": fmt.Sprintf("%d\n%d\n"+up+"opentracker connections, %d conns/s :: %d success/s.",
			accepts+packets, announces+udp, (accepts+packets)/7300, (announces+udp)/7300),
		"tcp4": fmt.Sprintf("%d\n%d\n"+up+"opentracker tcp4 stats, %d conns/s :: %d success/s.",
			accepts, announces, accepts/7300, announces/7300),
		"udp4": fmt.Sprintf("%d\n%d\n"+up+"opentracker udp4 stats, %d conns/s :: %d success/s.",
			packets, udp, packets/7300, udp/7300),
		"scrp": fmt.Sprintf("%d\n%d\n"+up+"opentracker scrape stats, %d scrape/s (tcp and udp)",
			sum(HTTPScrapes), sum(UDPScrapes), (sum(HTTPScrapes)+sum(UDPScrapes))/7300),
		"fscr": fmt.Sprintf("%d\n%d\n"+up+"opentracker full scrape stats, %d conns/s :: %d bytes/s.",
			sum(FullScrapes), sum(FullScrapeBytes), sum(FullScrapes)/7300, sum(FullScrapeBytes)/7300),
		"completed": fmt.Sprintf("%d\n0\n"+up+"opentracker, %d completed/h.", sum(Completed), sum(Completed)/2),
		"syncs": fmt.Sprintf("%d\n0\n"+up+"opentracker connections, %d conns/s :: %d success/s.",
			sum(SyncRecords), (accepts+packets)/7300, (announces+udp)/7300),
		"renew":    "",
		"numwants": "",
		"herr": fmt.Sprintf("302 RED %d\n400 ... %d\n400 PAR %d\n400 COM %d\n403 IP  %d\n404 INV %d\n500 SRV %d\n",
			sum(HTTPRedirects), sum(HTTPParseErrors), sum(HTTPInvalid), sum(HTTPCompact), sum(HTTPDenied),
			sum(HTTPNotFound), sum(HTTPTooLong)+sum(HTTPSwitchedOff)+sum(HTTPBusy)),
		"version":    "tracker 1.0\n",
		"everything": "see TestEverything",
	}
	for i, n := range s.Renew {
		want["renew"] += fmt.Sprintf("%02d %d\n", i, n)
	}
	for i, n := range s.NumWant {
		want["numwants"] += fmt.Sprintf("%03d => %d\n", i, n)
	}
	for i := range modes {
		m := Mode(i)
		if m.Kind() != KindPage {
			continue
		}
		wanted, ok := want[m.String()]
		if !ok {
			t.Errorf("mode=%s has no row here", m)
		}
		if got := m.AppendPage([]byte("before "), s); wanted[:3] != "see" && string(got) != "before "+wanted {
			t.Errorf("mode=%s:\n got %q\nwant %q", m, got, "before "+wanted)
		}
	}
}

func TestEverything(t *testing.T) {
	s := distinct()
	s.Version = "a < b & c\nsecond line"
	page := AppendEverything(nil, s)
	if !bytes.HasSuffix(page, []byte("\n</stats>")) {
		t.Errorf("the page ends in %q", page[len(page)-20:])
	}
	texts := elements(t, page)
	for path, want := range map[string]string{
		"stats tracker_id":                 "90004",
		"stats version":                    "\na < b & c\nsecond line\n  ",
		"stats uptime":                     "7300",
		"stats torrents count_mutex":       "90001",
		"stats torrents count_iterator":    "90001",
		"stats peers count":                "90002",
		"stats seeds count":                "90003",
		"stats connections udp missmatch":  fmt.Sprint(s.Totals.Sum(UDPMissmatches)),
		"stats connections livesync count": fmt.Sprint(s.Totals.Sum(SyncRecords)),
		"stats debug mutex_stall count":    "0",
		"stats debug http_error count":     fmt.Sprint(s.serverErrors()), // the last of them
	} {
		if texts[path] != want {
			t.Errorf("%s: got %q, want %q", path, texts[path], want)
		}
	}
}

// elements returns the text of each element of an XML page, by path; the last
// of those with the same path.
func elements(t *testing.T, page []byte) map[string]string {
	t.Helper()
	texts, path := map[string]string{}, []string{}
	for d := xml.NewDecoder(bytes.NewReader(page)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return texts
		}
		if err != nil {
			t.Fatalf("%v in %s", err, page)
		}
		switch token := token.(type) {
		case xml.StartElement:
			path = append(path, token.Name.Local)
			texts[strings.Join(path, " ")] = ""
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if text := string(token); strings.TrimSpace(text) != "" {
				texts[strings.Join(path, " ")] = text
			}
		}
	}
}

// TestYoung makes all pages in the first second, in which rates have nothing to
// be divided by.
func TestYoung(t *testing.T) {
	var s Snapshot
	s.Totals[TCPAccepts][V4] = 7
	for i := range modes {
		if m := Mode(i); m.Kind() == KindPage {
			m.AppendPage(nil, &s)
		}
	}
	if got, want := string(AppendTCP4(nil, &s)), "7\n0\n0 seconds (0 hours)\nopentracker tcp4 stats, 7 conns/s :: 0 success/s."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPagesAllocs(t *testing.T) {
	s, dst := distinct(), make([]byte, 0, 8192)
	for i := range modes {
		m := Mode(i)
		if m.Kind() != KindPage {
			continue
		}
		query := []byte("foo=bar&mode=" + m.String() + "&format=txt HTTP/1.1\r\n")
		n := testing.AllocsPerRun(100, func() {
			r, err := ParseQuery(query)
			if err != nil || r.Mode != m {
				t.Fatalf("%q: %+v, %v", query, r, err)
			}
			if len(r.Mode.AppendPage(dst, s)) > cap(dst) {
				t.Fatalf("mode=%s is longer than %d", m, cap(dst))
			}
		})
		if n != 0 {
			t.Errorf("mode=%s: %v allocations, want 0", m, n)
		}
	}
}

// TestSnapshotAdd counts with two reactors.
func TestSnapshotAdd(t *testing.T) {
	var s Snapshot
	a, b := new(Counters), new(Counters)
	a.Inc(TCPAccepts, V4)
	b.Add(TCPAccepts, V6, 2)
	for _, minutes := range []uint32{0, 1, 44, 45, 1 << 31} {
		a.Renew(minutes)
	}
	b.Renew(1)
	for _, n := range []int{-1, 0, 50, 200, 201} {
		a.NumWant(n)
	}
	b.NumWant(50)
	s.Add(a)
	s.Add(b)
	if s.Totals.Sum(TCPAccepts) != 3 || s.Renew[0] != 1 || s.Renew[1] != 2 || s.Renew[44] != 3 ||
		s.NumWant[0] != 2 || s.NumWant[50] != 2 || s.NumWant[200] != 2 {
		t.Errorf("got %+v", s)
	}
	if n := testing.AllocsPerRun(100, func() { a.Renew(3); a.NumWant(50); a.Inc(Refusals, V4) }); n != 0 {
		t.Errorf("%v allocations per count, want 0", n)
	}
}
