package loop

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tracker/stats"
)

// named is a Config.Stats that names who runs the tests.
var named = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

// TestProfiles fetches one of each.
func TestProfiles(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s, to := serveOne(t, Config{Stats: named, TCP: tcpLike(tr)})
		for target, want := range map[string]string{
			"profile?seconds=1":             "\x1f\x8b",
			"heap":                          "\x1f\x8b",
			"heap?gc=1&debug=1":             "heap profile: ",
			"allocs":                        "\x1f\x8b",
			"goroutine?debug=1":             "goroutine profile: total ",
			"goroutine?debug=2":             "goroutine ",
			"threadcreate?debug=1":          "threadcreate profile: total ",
			"block?seconds=1&debug=1":       "--- contention:",
			"mutex?seconds=1&debug=1&x=y&&": "--- mutex:",
			"":                              "profile\nheap\n",
		} {
			head, body := get(t, to, "GET /debug/pprof/"+target+" HTTP/1.1\r\n\r\n")
			if !strings.HasPrefix(head, statusOK) || !strings.HasPrefix(body, want) {
				t.Errorf("%s: %q, %.100q", target, head, body)
			}
		}
		for target, want := range map[string]string{
			"nothing":             "HTTP/1.0 404 ",
			"heap/":               "HTTP/1.0 404 ",
			"profile?seconds=0":   "HTTP/1.0 400 ",
			"profile?seconds=121": "HTTP/1.0 400 ",
			"profile?seconds=":    "HTTP/1.0 400 ",
			"heap?seconds=5":      "HTTP/1.0 400 ",
		} {
			if head, _ := get(t, to, "GET /debug/pprof/"+target+" HTTP/1.1\r\n\r\n"); !strings.HasPrefix(head, want) {
				t.Errorf("%s: %q, want %s", target, head, want)
			}
		}
		noProfile(t, s)
	})
}

// TestProfilesDenied keeps profiles from all whom the operator has not named.
func TestProfilesDenied(t *testing.T) {
	for _, readers := range [][]netip.Prefix{nil, named} {
		r := newTestReactor()
		r.readers = makeNetworks(readers)
		for _, client := range []string{"127.0.0.2:1", "192.0.2.1:1", "[::1]:1"} {
			for _, path := range []string{"", "heap", "profile?seconds=1", "nothing"} {
				got, fate := r.request(nil, []byte("GET /debug/pprof/"+path+" HTTP/1.1\r\n\r\n"), netip.MustParseAddrPort(client))
				if !strings.HasPrefix(string(got), "HTTP/1.0 403 ") || fate != fateClose {
					t.Errorf("%s gets %q of %v: %q", client, path, readers, got)
				}
			}
		}
	}
}

// pose asks for a profile, and returns when it is being made.
func pose(t *testing.T, s *Server, to, target string) net.Conn {
	t.Helper()
	c := dialTest(t, "tcp", to)
	io.WriteString(c, "GET /debug/pprof/"+target+" HTTP/1.1\r\n\r\n")
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.desk.mu.Lock()
		posing := s.desk.studio.posing != nil && s.desk.studio.making
		s.desk.mu.Unlock()
		if posing {
			return c
		}
		if time.Now().After(end) {
			t.Fatal("no profile is being made")
		}
	}
}

// noProfile waits for the end of profiles.
func noProfile(t *testing.T, s *Server) {
	t.Helper()
	for end := time.Now().Add(patience); s.desk.isProfiling(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a profile is still being made")
		}
	}
}

// TestProfileAlone asks for other things while a profile takes its time, and
// then the client leaves, and another can have one.
func TestProfileAlone(t *testing.T) {
	s, to := serveOne(t, Config{Stats: named, Clerks: 1})
	c := pose(t, s, to, "profile?seconds=120")
	for _, target := range []string{"profile", "heap"} {
		head, body := get(t, to, "GET /debug/pprof/"+target+" HTTP/1.1\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.0 500 ") || !strings.Contains(head, "X-Go-Pprof") || body != errProfileTaken.Error()+"\n" {
			t.Errorf("%s: %q, %q", target, head, body)
		}
	}
	if n := s.Busy(); n != 0 {
		t.Errorf("%d long answers are waited for", n)
	}
	for _, target := range []string{"/stats?mode=top10", "/stats?mode=peer", "/healthz", "/scrape"} {
		if head, _ := get(t, to, "GET "+target+" HTTP/1.1\r\n\r\n"); !strings.HasPrefix(head, statusOK) {
			t.Errorf("%s: %q", target, head)
		}
	}
	totals := s.Totals()
	if n := totals.Sum(stats.HTTPBusy); n != 2 {
		t.Errorf("%d turned down, want 2", n)
	}
	c.Close()
	noProfile(t, s)
	if head, _ := get(t, to, "GET /debug/pprof/heap HTTP/1.1\r\n\r\n"); !strings.HasPrefix(head, statusOK) {
		t.Errorf("after it: %q", head)
	}
}

// TestProfileCut ends a profile by a pause, and one by the end of the server.
// Neither waits for it.
func TestProfileCut(t *testing.T) {
	s, to := serveOne(t, Config{Stats: named})
	c := pose(t, s, to, "profile?seconds=120")
	s.Pause()
	readEnd(t, bufio.NewReader(c))
	s.Resume()
	if head, _ := get(t, to, "GET /debug/pprof/profile?seconds=1 HTTP/1.1\r\n\r\n"); !strings.HasPrefix(head, statusOK) {
		t.Errorf("after a pause: %q", head)
	}
	c = pose(t, s, to, "mutex?seconds=120")
	s.Stop()
	readEnd(t, bufio.NewReader(c))
	if n := s.quota.used.Load(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
}
