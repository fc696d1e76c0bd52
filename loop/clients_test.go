package loop

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tracker/proto"
	"tracker/stats"
)

func TestClientRules(t *testing.T) {
	allow, deny := []string{"-qB", "-TR4", "-UT", "M"}, []string{"-UT1", "-XL0012", "-XL", "-qB4500-"}
	for _, tt := range []struct {
		id               string
		allowed, notDeny bool
	}{
		{"-qB4600-aaaaaaaaaaaa", true, true},
		{"-qB4500-aaaaaaaaaaaa", true, false},
		{"-TR3000-aaaaaaaaaaaa", false, true},
		{"-TR4000-aaaaaaaaaaaa", true, true},
		{"-UT1000-aaaaaaaaaaaa", true, false},
		{"-UT3000-aaaaaaaaaaaa", true, true},
		{"-XL0012-aaaaaaaaaaaa", false, false},
		{"-XL9999-aaaaaaaaaaaa", false, false},
		{"M4-4-0--aaaaaaaaaaaa", true, true},
		{"", false, true},
		{strings.Repeat("\xff", 20), false, true},
	} {
		var id proto.PeerID
		copy(id[:], tt.id)
		for _, rules := range []struct {
			ClientRules
			want bool
		}{
			{ClientRules{Allow: allow}, tt.allowed},
			{ClientRules{Deny: deny}, tt.notDeny},
			{ClientRules{Allow: allow, Deny: deny}, tt.allowed && tt.notDeny},
		} {
			if got := !makeClients(&rules.ClientRules).refuses(&id); got != rules.want {
				t.Errorf("%q by %v: served %v", tt.id, rules.ClientRules, got)
			}
		}
	}
	if makeClients(&ClientRules{}) != nil {
		t.Errorf("no rules are something")
	}
}

// TestBeginnings compares the search with trying all of them.
func TestBeginnings(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "ab\xff"[rnd.IntN(3)]
		}
		return string(b)
	}
	for range 2000 {
		var list []string
		for range rnd.IntN(12) {
			list = append(list, text(1+rnd.IntN(5)))
		}
		p := makeBeginnings(list)
		id := proto.PeerID([]byte(text(20)))
		want := false
		for _, s := range list {
			want = want || bytes.HasPrefix(id[:], []byte(s))
		}
		if got := p.begin(&id); got != want {
			t.Fatalf("%q begins with one of %q: got %v", id, list, got)
		}
	}
}

// TestDeniedClient sends announces of one that is not served over both wires.
func TestDeniedClient(t *testing.T) {
	r := newTestReactor()
	r.clients = makeClients(&ClientRules{Deny: []string{"-XX"}})
	udp := udpAnnounceRequest(r.connID(client4), 'a', 1, 6881) // -XX0000-
	refused := append([]byte{0, 0, 0, 3, 0xab, 0xcd, 0xef, 1}, proto.RefuseClient...)
	if got := r.datagram(nil, udp, client4); !bytes.Equal(got, refused) {
		t.Errorf("over UDP: %q", got)
	}
	failure := fmt.Sprintf("d14:failure reason%d:%se", len(proto.RefuseClient), proto.RefuseClient)
	for id, want := range map[string]bool{"-XX0000-aaaaaaaaaaaa": false, "%2dX%58aaaaaaaaaaaaaaaaa": false, "-XY0000-aaaaaaaaaaaa": true} {
		got, fate := r.request(nil, []byte(announceLine('a', "&port=1&peer_id="+id)), client4)
		if served := !strings.HasSuffix(string(got), failure); served != want || fate != fateDone {
			t.Errorf("over HTTP, %s: %q, fate %d", id, got, fate)
		}
	}
	if n, all := r.counted(stats.RefusedClients), r.counted(stats.Refusals); n != 3 || all != 3 {
		t.Errorf("counted %d and %d, want 3", n, all)
	}
	udp[83] = byte(proto.EventStopped)
	if got := r.datagram(nil, udp, client4); got[3] != 1 {
		t.Errorf("it may not leave: %q", got)
	}
	http, dst := []byte(announceLine('a', "&port=1&peer_id=-XX0000-aaaaaaaaaaaa")), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(1000, func() { r.datagram(dst, udp, client4); r.request(dst, http, client4) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
