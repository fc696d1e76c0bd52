//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReplayOpen(t *testing.T) {
	t.Parallel()
	s := startTracker(t)
	compare(t, s, captures(t, "open.jsonl"), withStatistics(differences, true), startTracker)
}

func TestReplayWhitelist(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(t.TempDir(), "tracker.conf")
	if err := os.WriteFile(conf, []byte("access.stats 127.0.0.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := startTracker(t, "-f", conf, "-w", writeWhitelist(t))
	listed := withStatistics(differences, false)
	maps.Copy(listed, whitelistDifferences)
	for name, d := range listed {
		if d.reason == "" {
			delete(listed, name)
		}
	}
	compare(t, s, captures(t, "open.jsonl", "whitelist.jsonl"), listed, startTracker)
}

func TestReplayRedirect(t *testing.T) {
	t.Parallel()
	s := startTracker(t, "-r", "https://example.org/tracker")
	compare(t, s, captures(t, "redirect.jsonl"), nil, startTracker)
}

// TestReplayOpentracker asks Debian's opentracker, whose answers are among the
// captures. It has to answer everything as recorded; otherwise it is these
// tests that ask something else than was asked then.
func TestReplayOpentracker(t *testing.T) {
	t.Parallel()
	opentracker := need(t, "opentracker", "opentracker")
	s := startServer(t, opentracker, "-d", workDir, "-u", "nobody", "-w", filepath.Base(writeWhitelist(t)), "-A", "127.0.0.1")
	compare(t, s, captures(t, "open.jsonl", "whitelist.jsonl", "debian.jsonl"), nil, nil)
}

// compare asks s all the questions in order and compares with the recorded
// answers, or with what differs on purpose. A question that would leave s in
// another state than opentracker was in is put to a tracker of its own, which
// fresh starts.
func compare(t *testing.T, s *server, questions []question, differs map[string]difference, fresh func(*testing.T, ...string) *server) {
	r := &replay{t: t, s: s}
	equal, deliberate := 0, 0
	seen := map[string]bool{}
	for _, q := range questions {
		seen[q.Name] = true
		d, differ := differs[q.Name]
		asked := r
		if d.apart {
			asked = &replay{t: t, s: fresh(t)}
		}
		got := asked.ask(q)
		if s.ended() {
			t.Fatalf("%s: the tracker is gone: %v\n%s", q.Name, s.err, &s.out)
		}
		have, captured := readable(q, got), readable(q, answer{q.Resp, q.End})
		if d.edits != nil {
			var err error
			if d.want, err = edited(captured, d.edits); err != nil {
				t.Errorf("%s: edits of what is captured: %v", q.Name, err)
			}
		}
		switch {
		case differ && d.want == captured:
			t.Errorf("%s: listed as different, but it is as captured", q.Name)
		case differ && have == d.want:
			deliberate++
		case !differ && have == captured:
			equal++
		case differ:
			t.Errorf("%s, different because %s:\n got %q\nwant %q\ncaptured %q", q.Name, d.reason, have, d.want, captured)
		default:
			t.Errorf("%s:\n got %q\nwant %q", q.Name, have, captured)
		}
		if fresh != nil {
			checkChoice(t, q, got)
		}
	}
	for name := range differs {
		if !seen[name] {
			t.Errorf("%s: listed as different, but there is no such case", name)
		}
	}
	t.Logf("%d equal, %d deliberately different, %d unexplained",
		equal, deliberate, len(questions)-equal-deliberate)
}

// A replay asks questions as they were asked for the captures, the unrecorded
// ones in between included.
type replay struct {
	t         *testing.T
	s         *server
	scrapeCID []byte // one connection id served all scrapes
}

// An answer is what came back, nil if nothing did, and how the exchange ended.
type answer struct {
	bytes []byte
	end   string
}

// ask puts one question, after those unrecorded ones that came before it.
func (r *replay) ask(q question) answer {
	r.t.Helper()
	if q.Kind == "udp" {
		got := r.s.udp(r.t, q.Src, limitOf(q), r.withConnID(q))
		return answer{bytes: got}
	}
	if q.Name == "many-default" {
		r.announceMany()
	}
	got, end := r.s.http(r.t, q.Src, limitOf(q), segmentsOf(q)...)
	return answer{got, end}
}

// withConnID returns the packet of q with the connection id that a client at
// its address would use now, in place of the recorded one.
func (r *replay) withConnID(q question) []byte {
	r.t.Helper()
	packet, isAnnounce := bytes.Clone(q.Req), strings.HasPrefix(q.Name, "udp-announce") || strings.HasPrefix(q.Name, "many-")
	switch {
	case strings.HasPrefix(q.Name, "udp-connect"), q.Name == "udp-empty", strings.HasSuffix(q.Name, "bad-connid"):
		return packet
	case q.Name == "udp-announce-connid-of-other-ip":
		copy(packet, r.s.connID(r.t, "127.0.0.3"))
	case isAnnounce:
		copy(packet, r.s.connID(r.t, q.Src))
	default:
		if r.scrapeCID == nil {
			r.scrapeCID = r.s.connID(r.t, q.Src)
		}
		copy(packet, r.scrapeCID)
	}
	return packet
}

// announceMany fills the swarm of the "many" cases: 300 peers, every third a
// seeder.
func (r *replay) announceMany() {
	r.t.Helper()
	ih := captureHash(manyTorrent)
	for i := range manyPeers {
		p := manyPeer(i)
		left := 9
		if manySeeder(i) {
			left = 0
		}
		got := r.s.get(r.t, p.Addr().String(), fmt.Sprintf(
			"/announce?info_hash=%s&peer_id=%s&port=%d&uploaded=0&downloaded=0&left=%d&compact=1&numwant=0",
			percent(ih[:]), percent(fmt.Appendf(nil, "-XX0001-%012d", p.Port())), p.Port(), left))
		if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") && !strings.HasPrefix(got, "HTTP/1.0 200 OK\r\n") {
			r.t.Fatalf("announce of peer %d: %q", i, got)
		}
	}
}
