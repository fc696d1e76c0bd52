//go:build linux

package e2e

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// page returns the body of the answer to target, as curl gets it.
func (s *server) page(t *testing.T, target string, args ...string) string {
	t.Helper()
	args = append(args, "-sSf", fmt.Sprintf("http://%v%s", s.addr, target))
	out, err := exec.Command(need(t, "curl", "curl"), args...).Output()
	if err != nil {
		t.Fatalf("curl %v: %v", args, err)
	}
	return string(out)
}

// TestReaders has programs that are out there read a live tracker's statistics,
// each reduced to the line that reads.
func TestReaders(t *testing.T) {
	t.Parallel()
	s := startTracker(t)
	for torrent := range 3 {
		ih := captureHash(torrent)
		for port := range torrent + 1 {
			s.get(t, "", fmt.Sprintf("/announce?info_hash=%s&port=%d&left=%d", percent(ih[:]), 1000+port, port))
		}
	}
	want := map[string]string{}
	for torrent := range 3 {
		want[fmt.Sprintf("%X", captureHash(torrent))] = fmt.Sprint("1 ", torrent)
	}

	// ipfire.org splits each line at the colons and expects three fields.
	list := s.page(t, "/stats?mode=tpbs&format=txt")
	for line := range strings.Lines(list) {
		if fields := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(fields) != 3 || want[fields[0]] != fields[1]+" "+fields[2] {
			t.Errorf("%q has the fields %q", line, fields)
		}
	}
	if n := strings.Count(list, "\n"); n != 3 {
		t.Errorf("%d lines: %q", n, list)
	}
	if zipped := s.page(t, "/stats?mode=tpbs&format=txt", "--compressed"); zipped != list {
		t.Errorf("compressed it reads %q, not %q", zipped, list)
	}
	// A site in PHP goes by a regular expression.
	found := regexp.MustCompile(`([A-F0-9]{40}):(\d+):(\d+)`).FindAllStringSubmatch(list, -1)
	for _, m := range found {
		if want[m[1]] != m[2]+" "+m[3] {
			t.Errorf("found %q", m)
		}
	}
	if len(found) != 3 {
		t.Errorf("found %q", found)
	}
	// A plugin for Munin takes two lines and the third word of the third.
	lines := strings.Split(s.page(t, "/stats"), "\n")
	if words := strings.Fields(lines[2]); lines[0] != "6" || lines[1] != "3" || words[2] != "3" {
		t.Errorf("peers %s, seeders %s, torrents %s; want 6, 3, 3", lines[0], lines[1], words[2])
	}
	// An exporter for InfluxDB goes by the position of an element.
	children := regexp.MustCompile(`(?m)^  <([a-z_]+)>(?:\n    <[a-z_]+>(\d+))?`).FindAllStringSubmatch(s.page(t, "/stats?mode=everything"), -1)
	if len(children) < 6 || children[3][1] != "torrents" || children[3][2] != "3" || children[4][2] != "6" || children[5][2] != "3" {
		t.Errorf("children %q", children)
	}
}
