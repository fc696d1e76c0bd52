package loop

import (
	"encoding/binary"
	"strings"
	"testing"

	"tracker/proto"
	"tracker/stats"
)

// TestGauge shows a gauge what it is to make of looks, one letter each.
func TestGauge(t *testing.T) {
	for _, tt := range []struct {
		looks string // b: behind
		want  strain
	}{
		{"", calm},
		{"b", calm},
		{strings.Repeat("b..", 100), calm}, // now and then a burst
		{"b.b.b", strained},
		{"bb", strained},
		{"bb...", strained},
		{"bb....", calm},
		{strings.Repeat("b", 9), strained},
		{strings.Repeat("b", 10), overloaded},
		{strings.Repeat("bb.", 14), overloaded},
		{strings.Repeat("b", 1000) + strings.Repeat(".", 20), overloaded},
		{strings.Repeat("b", 1000) + strings.Repeat(".", 21), strained},
		{strings.Repeat("b", 1000) + strings.Repeat(".", 29), strained},
		{strings.Repeat("b", 1000) + strings.Repeat(".", 30), calm},
		{strings.Repeat("b", 1000) + strings.Repeat(".", 30) + "bb", strained},
	} {
		g := gauge{reactor: newTestReactor()}
		for _, look := range tt.looks {
			g.note(look == 'b')
		}
		if got := g.reactor.strain.Load(); got != tt.want {
			t.Errorf("%q: strain %d, want %d", tt.looks, got, tt.want)
		}
	}
}

// TestStrained checks what becomes of which request.
func TestStrained(t *testing.T) {
	const full = "GET /scrape HTTP/1.0\r\n\r\n"
	for _, tt := range []struct {
		strain    strain
		low, high uint32 // interval
		ids       bool   // wrong ids are answered
		pages     fate
	}{
		{calm, 1620, 1979, true, fateLeft},
		{strained, 2229, 2727, true, fateLeft},
		{overloaded, 2229, 2727, false, fateClose},
	} {
		r := newTestReactor()
		r.strain.Store(tt.strain)
		id := r.connID(client4)
		for range 100 {
			got := r.datagram(nil, udpAnnounceRequest(id, 'a', 1, 6881), client4)
			if n := binary.BigEndian.Uint32(got[8:]); n < tt.low || n > tt.high {
				t.Errorf("strain %d: interval %d", tt.strain, n)
			}
		}
		if n := r.counted(stats.LoadSlowed); (n == 100) != (tt.strain != calm) {
			t.Errorf("strain %d: %d longer intervals are counted", tt.strain, n)
		}
		if got := r.datagram(nil, udpAnnounceRequest(id+1, 'a', 1, 6881), client4); (got != nil) != tt.ids {
			t.Errorf("strain %d: a wrong id is answered %x", tt.strain, got)
		}
		if r.datagram(nil, udpRequest(proto.ConnIDMagic, 0, 1), client4) == nil || r.datagram(nil, udpScrapeRequest(id, 'a'), client4) == nil {
			t.Errorf("strain %d: connects or scrapes are not answered", tt.strain)
		}
		got, fate := r.request(nil, []byte(full), client4)
		if len(got) > 0 || fate != tt.pages {
			t.Errorf("strain %d: a full scrape: %q, fate %d", tt.strain, got, fate)
		}
		if n := r.counted(stats.LoadPages) + r.counted(stats.LoadUnproven); (n == 2) != (tt.strain == overloaded) {
			t.Errorf("strain %d: %d refused are counted", tt.strain, n)
		}
	}
}

// TestStrainedConnects checks that of connects only those over a budget are left
// without an answer, and only by who is behind.
func TestStrainedConnects(t *testing.T) {
	for _, s := range []strain{calm, strained, overloaded} {
		r := newGuardedReactor(testRates)
		r.strain.Store(s)
		answered := 0
		for range 100 {
			if r.datagram(nil, udpRequest(proto.ConnIDMagic, 0, 1), client4) != nil {
				answered++
			}
		}
		if want := map[strain]int{calm: 100, strained: 10, overloaded: 10}[s]; answered != want {
			t.Errorf("strain %d: %d connects are answered, want %d", s, answered, want)
		}
		if r.datagram(nil, udpRequest(proto.ConnIDMagic, 0, 1), client6) == nil {
			t.Errorf("strain %d: another's connect is not answered", s)
		}
	}
}
