package loop

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// TestHistoryGrows serves while its clock makes jumps, and looks at the history.
func TestHistoryGrows(t *testing.T) {
	var late atomic.Int64
	s := serveTest(t, Config{
		Listen:    []Addr{addr("tcp 127.0.0.1:0")},
		IdleLimit: 50 * time.Millisecond, // and so the clock is looked at every 10 ms
		Now:       func() time.Duration { return time.Duration(late.Load()) + bootTime() },
		Logf:      func(Level, string, string, ...any) {},
	})
	to := s.Addrs()[0].AddrPort.String()
	ask := func(span string) (last []*float64, sum float64) {
		head, body := get(t, to, "GET /stats.json?history="+span+" HTTP/1.1\r\n\r\n")
		if !strings.Contains(head, "Content-Type: application/json\r\n") || !strings.Contains(head, "Cache-Control: no-store\r\n") {
			t.Fatalf("head %q", head)
		}
		var h struct{ Series map[string][]*float64 }
		if err := json.Unmarshal([]byte(body), &h); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		last = h.Series["http4_announce"]
		for _, v := range last {
			if v != nil {
				sum += *v
			}
		}
		return last, sum
	}
	if all, sum := ask("hour"); len(all) != 240 || sum != 0 {
		t.Errorf("%d samples at the start, of %v", len(all), sum)
	}
	const n = 30
	for range n {
		get(t, to, "GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.1\r\n\r\n")
	}
	late.Add(int64(15 * time.Second))
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		all, sum := ask("hour")
		if sum > n/15.0*0.7 && sum <= n/15.0 { // it took somewhat longer than 15 seconds
			if all[len(all)-1] == nil {
				t.Error("what is told first is not the oldest")
			}
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a rate of %v, want %v", sum, n/15.0)
		}
	}
	if all, _ := ask("day"); len(all) != 288 || all[len(all)-1] != nil {
		t.Errorf("%d samples of the day", len(all))
	}
}

// TestNoHistory has no page, and so no history; numbers there are.
func TestNoHistory(t *testing.T) {
	s := serveTest(t, Config{Listen: []Addr{addr("tcp 127.0.0.1:0")}, NoPage: true})
	to := s.Addrs()[0].AddrPort.String()
	if head, _ := get(t, to, "GET /stats.json?history=day HTTP/1.1\r\n\r\n"); !strings.HasPrefix(head, "HTTP/1.0 404") {
		t.Errorf("got %q", head)
	}
	numbersOf(t, to, "torrents")
}

// leadersOf asks for the n largest torrents, and returns their peers.
func leadersOf(t testing.TB, to string, n int) (peers []int) {
	t.Helper()
	_, body := get(t, to, fmt.Sprintf("GET /stats.json?top=%d HTTP/1.1\r\n\r\n", n))
	var all struct {
		Torrents []struct{ Seeders, Leechers int }
	}
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Errorf("%v in %q", err, body)
	}
	for _, torrent := range all.Torrents {
		peers = append(peers, torrent.Seeders+torrent.Leechers)
	}
	return peers
}

// TestLeaders looks for the largest torrents, and again before and after it may.
func TestLeaders(t *testing.T) {
	var clock atomic.Int64
	st, rnd := store.New(store.Options{}), store.NewRand(1)
	add := func(torrent byte, port int) {
		var found store.Answer
		q := store.Query{Peer: proto.MakePeer(netip.MustParseAddr("192.0.2.1"), uint16(port+1)), Seeder: port%2 == 0}
		q.Infohash[0] = torrent
		st.Announce(&q, 0, rnd, &found)
	}
	for torrent := range byte(50) {
		for port := range int(torrent) + 1 {
			add(torrent, port)
		}
	}
	s := serveTest(t, Config{
		Listen: []Addr{addr("tcp 127.0.0.1:0")}, Store: st, Now: func() time.Duration { return time.Duration(clock.Load()) },
	})
	to := s.Addrs()[0].AddrPort.String()
	var asking sync.WaitGroup
	for range 5 {
		asking.Go(func() {
			if got := fmt.Sprint(leadersOf(t, to, 3)); got != "[50 49 48]" {
				t.Errorf("the largest have %s peers", got)
			}
		})
	}
	asking.Wait()
	if all := leadersOf(t, to, 100); len(all) != 50 {
		t.Errorf("%d torrents", len(all))
	}
	add(49, 1000)
	if got := leadersOf(t, to, 1)[0]; got != 50 {
		t.Errorf("%d peers, so soon after the last look", got)
	}
	clock.Add(int64(topPause))
	if got := leadersOf(t, to, 1)[0]; got != 51 {
		t.Errorf("%d peers, long after the last look", got)
	}
}

// TestNumbersUnderLoad: history is told under any load, torrents only if somebody
// has just looked.
func TestNumbersUnderLoad(t *testing.T) {
	r := newTestReactor()
	r.ledger.history = stats.NewHistory()
	r.strain.Store(overloaded)
	if _, fate := r.request(nil, pageRequest("/stats.json?history=hour"), client4); fate != fateLeft || !r.order.isShort() {
		t.Errorf("history: fate %d", fate)
	}
	if _, fate := r.request(nil, pageRequest("/stats.json?top=5"), client4); fate != fateClose || r.counted(stats.LoadPages) != 1 {
		t.Errorf("the largest torrents: fate %d", fate)
	}
	r.desk.leaders()
	if _, fate := r.request(nil, pageRequest("/stats.json?top=5"), client4); fate != fateLeft || r.order.isShort() {
		t.Errorf("the largest torrents, again: fate %d", fate)
	}
}
