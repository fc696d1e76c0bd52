package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestNumbersInside asks a tracker that has given up everything, with and without
// a limit of memory and the page, what it takes: all of it has to be known there.
func TestNumbersInside(t *testing.T) {
	for _, tt := range []struct {
		conf  []string
		limit uint64
		page  bool
	}{
		{[]string{"limit.memory 64m"}, 64 << 20, true},
		{[]string{"limit.memory off"}, 0, true},
		{[]string{"limit.memory 64m", "stats.page off"}, 64 << 20, false},
	} {
		p := startTracker(t, "-f", confFile(t, append(tt.conf, "listen.tcp_udp 127.0.0.1:0")...))
		tcp := p.says("tracker: listening on tcp ")
		p.says("tracker: listening on udp ")
		announces(t, tcp, 'a')
		var n struct {
			Torrents uint64
			Memory   struct {
				Resident uint64 `json:"resident_bytes"`
				Limit    uint64 `json:"limit_bytes"`
				Store    uint64 `json:"store_bytes"`
				Heap     uint64 `json:"heap_bytes"`
			}
			CPU         struct{ Seconds float64 }
			Connections struct{ Limit uint64 }
		}
		if err := json.Unmarshal([]byte(get(t, tcp, "/stats.json")), &n); err != nil {
			t.Fatalf("%s: %v", tt.conf, err)
		}
		if n.Torrents != 1 || n.Memory.Limit != tt.limit || n.Connections.Limit == 0 {
			t.Errorf("%s: %+v", tt.conf, n)
		}
		if n.Memory.Resident < 2<<20 || n.Memory.Resident > 1<<30 || n.Memory.Store == 0 || n.Memory.Heap == 0 || n.CPU.Seconds == 0 {
			t.Errorf("%s: not all is known: %+v", tt.conf, n)
		}
		page, err := tryGet(tcp, "/")
		if tt.page != (err == nil && strings.Contains(page, "\n1 torrents, 1 peers, ")) {
			t.Errorf("%s: the page is %q, %v", tt.conf, page, err)
		}
	}
}
