package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReplaceForeignState has an heir find state files that it has not read: its
// predecessor's it goes on with, all others are set aside and stay as they are.
func TestReplaceForeignState(t *testing.T) {
	h := newHouse(t)
	other := h.start(nil, "listen.tcp 127.0.0.1:0", "state.file state2", "tracker.socket off")
	other.says("tracker: snapshot state2: there is none yet")
	announces(t, other.says("tracker: listening on tcp "), 'z')
	other.stop(syscall.SIGTERM)
	foreign, err := os.ReadFile(filepath.Join(h.dir, "state2"))
	if err != nil {
		t.Fatal(err)
	}
	p := h.start(nil, "listen.tcp_udp 127.0.0.1:0", "state.file state")
	p.says("tracker: snapshot state: there is none yet")
	tcp, udp := p.says("tracker: listening on tcp "), p.says("tracker: listening on udp ")
	announces(t, tcp, 'a')
	p.signal(syscall.SIGUSR2)
	p.says("tracker: snapshot state: 1 peers written in ")
	write := func(name, content string) {
		t.Helper()
		file := filepath.Join(h.dir, name)
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		os.Chmod(file, 0o666)
	}
	write("state3", "What a nice day it is.\n")
	for _, tt := range []struct{ file, content, says, aside string }{
		{"state", "", "", ""},
		{"state2", string(foreign), "it is not of the tracker that was replaced; set aside as state2.foreign; nothing of it is loaded", "state2.foreign"},
		{"state3", "What a nice day it is.\n", "damaged at byte 0: no snapshot begins like this; set aside as state3.damaged; nothing of it is loaded", "state3.damaged"},
		{"state", "", "", ""}, // of one before
	} {
		next := h.start(replaceFlag, append(listen(tcp, udp), "state.file "+tt.file)...)
		if tt.says != "" {
			next.says("tracker: snapshot " + tt.file + ": " + tt.says)
		}
		next.replaces(p)
		next.says("tracker: listening on tcp ")
		next.says("tracker: listening on udp ")
		next.signal(syscall.SIGUSR2)
		next.says("tracker: snapshot " + tt.file + ": 1 peers written in ")
		if tt.aside != "" {
			if b, err := os.ReadFile(filepath.Join(h.dir, tt.aside)); string(b) != tt.content || err != nil {
				t.Errorf("%s: %q is set aside, %v", tt.file, b, err)
			}
		}
		p = next
	}
	if got := scrapeAll(t, tcp); strings.Contains(got, strings.Repeat("7A", 20)) {
		t.Errorf("it knows %q", got)
	}
	p.stop(syscall.SIGTERM)
}
