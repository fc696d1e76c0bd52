package loop

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"tracker/proto"
)

func TestMakePace(t *testing.T) {
	want := pace{base: 270, spread: 60, mean: 300, shortest: 300, longest: 2231}
	if p := makePace(300*time.Second, 45); p != want {
		t.Errorf("five minutes: %+v, want %+v", p, want)
	}
	want = pace{base: 4140, spread: 920, mean: 4600, shortest: 334, longest: 4600}
	if p := makePace(4600*time.Second, 127); p != want {
		t.Errorf("the longest: %+v, want %+v", p, want)
	}
}

// TestAdaptive checks what intervals peers of which swarms are told, and that
// all are within their bounds.
func TestAdaptive(t *testing.T) {
	type told struct{ leechers, seeders, want uint32 }
	for name, tt := range map[string]struct {
		interval time.Duration
		strain   strain
		leecher  []told
		seeder   []told
	}{
		"half an hour": {
			1800 * time.Second, calm,
			[]told{{1, 0, 900}, {3, 5, 900}, {3, 6, 1800}, {50, 0, 1800}, {51, 0, 2700}, {500, 500, 2700}, {500, 501, 3600}},
			[]told{{0, 1, 1800}, {7, 1, 1800}, {49, 2, 2700}, {1000, 1, 3600}},
		},
		"half an hour, strained":   {1800 * time.Second, strained, []told{{1, 0, 1800}, {50, 0, 3600}, {51, 0, 4363}}, nil},
		"half an hour, overloaded": {1800 * time.Second, overloaded, []told{{1, 0, 4363}}, []told{{0, 1, 4363}}},
		"five minutes":             {300 * time.Second, calm, []told{{1, 0, 300}, {9, 0, 300}, {51, 0, 450}, {1001, 0, 600}}, nil},
		"ten minutes":              {600 * time.Second, calm, []told{{1, 0, 334}}, nil},
		"the longest":              {4600 * time.Second, calm, []told{{1, 0, 2300}, {1001, 0, 4600}}, nil},
	} {
		r := newTestReactor()
		r.pace = makePace(tt.interval, 127)
		r.pace.adaptive = true
		r.strain.Store(tt.strain)
		check := func(seeder bool, all []told) {
			for _, s := range all {
				r.found.Counts = proto.Counts{Complete: s.seeders, Incomplete: s.leechers}
				r.query.Seeder = seeder
				for range 1000 {
					n := r.interval()
					if n < s.want-s.want/10 || n > s.want+s.want/10 || n < 300 && tt.interval > 300*time.Second || n > 4800 && tt.interval < 4600*time.Second {
						t.Fatalf("%s, seeder %v, %+v: interval %d", name, seeder, s, n)
					}
				}
			}
		}
		check(false, tt.leecher)
		check(true, tt.seeder)
	}
}

// TestAdaptiveAnswers checks that an answer has the interval of its own swarm,
// over both wires.
func TestAdaptiveAnswers(t *testing.T) {
	r := newTestReactor()
	r.pace = makePace(defaultInterval, 127)
	r.pace.adaptive = true
	id := r.connID(client4)
	for port := range uint16(60) {
		r.datagram(nil, udpAnnounceRequest(id, 'b', 1, port+1), client4)
	}
	for ih, want := range map[byte]uint32{'a': 900, 'b': 2700} {
		got := binary.BigEndian.Uint32(r.datagram(nil, udpAnnounceRequest(id, ih, 1, 1), client4)[8:])
		if got < want-want/10 || got > want+want/10 {
			t.Errorf("torrent %c: interval %d over UDP, want about %d", ih, got, want)
		}
		answer, _ := r.request(nil, []byte(announceLine(ih, "&port=1&left=1")), client4)
		_, rest, _ := strings.Cut(string(answer), "8:intervali")
		if first := map[byte]string{'a': "89", 'b': "2"}[ih]; !strings.ContainsAny(rest[:1], first) {
			t.Errorf("torrent %c: over HTTP %q", ih, answer)
		}
	}
}
