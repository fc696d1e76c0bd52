package loop

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http/httputil" // only to read what we wrote
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// longPatience is how long a test waits for an answer that takes a while, and a
// good while more with the race detector.
const longPatience = time.Minute

// fullStore returns a store with n torrents of one peer each.
func fullStore(n int) *store.Store {
	st, rnd := store.New(store.Options{}), store.NewRand(1)
	var found store.Answer
	q := store.Query{Peer: proto.MakePeer(netip.MustParseAddr("192.0.2.1"), 1)}
	for i := range n {
		binary.BigEndian.PutUint32(q.Infohash[:], uint32(i)*2654435761)
		st.Announce(&q, 0, rnd, &found)
	}
	return st
}

// manyStore is one with manyTorrents, for tests that may add to it.
var manyStore = sync.OnceValue(func() *store.Store { return fullStore(manyTorrents) })

// serveOne serves st on one address until the end of the test, and returns
// where.
func serveOne(t testing.TB, cfg Config) (s *Server, to string) {
	t.Helper()
	cfg.Listen = []Addr{addr("tcp 127.0.0.1:0")}
	cfg.Now = func() time.Duration { return 0 }
	s = serveTest(t, cfg)
	return s, s.Addrs()[0].AddrPort.String()
}

// get returns the head and the body, without chunks and compression, of the
// answer to request, which has to be the last.
func get(t testing.TB, to, request string) (head, body string) {
	t.Helper()
	c := dialTest(t, "tcp", to)
	defer c.Close()
	c.SetDeadline(time.Now().Add(longPatience))
	if _, err := io.WriteString(c, request); err != nil {
		t.Error(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%q: %v after %d bytes", request, err, len(answer))
	}
	b, ok := []byte(nil), false
	head, body, ok = strings.Cut(string(answer), "\r\n\r\n")
	if b = []byte(body); ok && strings.Contains(head, "chunked") {
		if b, err = io.ReadAll(httputil.NewChunkedReader(strings.NewReader(body))); err != nil {
			t.Errorf("%q: chunks: %v", request, err)
		}
	}
	if strings.Contains(head, "gzip") {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err == nil {
			b, err = io.ReadAll(z)
		}
		if err != nil {
			t.Errorf("%q: gzip: %v", request, err)
		}
	}
	return head, string(b)
}

// TestLongAnswers reads every page that the desk makes.
func TestLongAnswers(t *testing.T) {
	const n = 5000
	wall := time.Unix(60*29922679, 0)
	s, to := serveOne(t, Config{Store: fullStore(n), Wall: func() time.Time { return wall }})
	for _, tt := range []struct {
		target, line string
		lines        int // that match line
	}{
		{"/stats?mode=tpbs&format=txt", `^[0-9A-F]{40}:0:1$`, n},
		{"/stats?mode=tpbs&format=txtp", `^[0-9A-F]{40}:0:1:0$`, n},
		{"/stats?mode=statedump", `^[0-9A-F]{40}:29922679:0$`, n},
		{"/stats?mode=top10", `^\t1\t[0-9A-F]{40}$`, 20},
		{"/stats?mode=top100", `^\t1\t[0-9A-F]{40}$`, 200},
		{"/stats?mode=s24s", `^00005000: 192\.0\.2\.0$`, 2},
		{"/stats?mode=woodpeckers", `^Networks, limit /28:$`, 1},
	} {
		for _, header := range []string{"", "Accept-Encoding: gzip\r\n"} {
			head, body := get(t, to, "GET "+tt.target+" HTTP/1.1\r\n"+header+"\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") {
				t.Errorf("%s: %q", tt.target, head)
			}
			var matches []string
			pattern := regexp.MustCompile(tt.line)
			for line := range strings.SplitSeq(body, "\n") {
				if pattern.MatchString(line) {
					matches = append(matches, line)
				}
			}
			if len(matches) != tt.lines {
				t.Errorf("%s: %d lines, want %d", tt.target, len(matches), tt.lines)
			}
			for i := 1; i < len(matches) && tt.lines == n; i++ {
				if matches[i] <= matches[i-1] {
					t.Fatalf("%s: %s after %s", tt.target, matches[i], matches[i-1])
				}
			}
		}
	}
	_, scrape := get(t, to, "GET /scrape HTTP/1.0\r\n\r\n")
	if len(scrape) != len("d5:filesdee")+n*len("20:aaaaaaaaaaaaaaaaaaaad8:completei0e10:downloadedi0e10:incompletei1ee") {
		t.Errorf("a full scrape of %d bytes", len(scrape))
	}
	totals := s.Totals()
	if totals.Sum(stats.FullScrapes) != 1 || totals.Sum(stats.FullScrapeBytes) < uint64(len(scrape)) {
		t.Errorf("counted %d full scrapes of %d bytes", totals.Sum(stats.FullScrapes), totals.Sum(stats.FullScrapeBytes))
	}
	s.waitIdle(t)
}

// waitIdle waits until no connection is counted any more.
func (s *Server) waitIdle(t testing.TB) {
	t.Helper()
	s.waitConns(t, 0)
}

// waitConns waits until n connections are counted.
func (s *Server) waitConns(t testing.TB, n int64) {
	t.Helper()
	for end := time.Now().Add(longPatience); s.quota.used.Load() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d connections are counted, want %d", s.quota.used.Load(), n)
		}
	}
}

// TestLongAnswerBehindOthers has the long answer be the last of a pipeline, and
// input behind it that nobody reads.
func TestLongAnswerBehindOthers(t *testing.T) {
	s, to := serveOne(t, Config{Store: fullStore(100)})
	c := dialTest(t, "tcp", to)
	r := bufio.NewReader(c)
	fmt.Fprint(c, keep+"GET /stats?mode=top10 HTTP/1.1\r\n\r\n"+strings.Repeat(keep, 10))
	if status, _ := readResponse(t, r); status != statusOK {
		t.Errorf("first: %q", status)
	}
	if status, body := readResponse(t, r); status != statusOK || !strings.HasPrefix(body, "Top 10 torrents by peers:\n\t1\t") {
		t.Errorf("second: %q %q", status, body)
	}
	readEnd(t, r)
	s.waitIdle(t)
}

// TestLongAnswerHalfClosed answers a client that has nothing more to say.
func TestLongAnswerHalfClosed(t *testing.T) {
	_, to := serveOne(t, Config{Store: fullStore(5000)})
	c := dialTest(t, "tcp", to).(*net.TCPConn)
	fmt.Fprint(c, "GET /stats?mode=tpbs&format=bin HTTP/1.1\r\n\r\n")
	c.CloseWrite()
	answer, err := io.ReadAll(c)
	if err != nil || len(answer) < 5000*28 || !strings.HasSuffix(string(answer), "\r\n0\r\n\r\n") {
		t.Errorf("%d bytes, %v", len(answer), err)
	}
}

// TestLongAnswerClientLeaves has clients leave in the middle of a long answer.
func TestLongAnswerClientLeaves(t *testing.T) {
	s, to := serveOne(t, Config{Store: manyStore()})
	for i := range 8 {
		c := dialTest(t, "tcp", to).(*net.TCPConn)
		c.SetReadBuffer(4 << 10)
		fmt.Fprint(c, "GET /scrape HTTP/1.1\r\n\r\n")
		if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		if i%2 == 0 {
			c.SetLinger(0) // with a reset
		}
		c.Close()
		other := askOver(t, to, keep)
		if status, _ := readResponse(t, bufio.NewReader(other)); status != statusOK {
			t.Errorf("meanwhile: %q", status)
		}
		other.Close()
	}
	s.waitFor(t, stats.FullScrapes, 8)
	if _, body := get(t, to, "GET /stats?mode=tpbs&format=txt HTTP/1.1\r\n\r\n"); strings.Count(body, "\n") != manyTorrents+1 { // one was announced here
		t.Errorf("the next answer has %d lines", strings.Count(body, "\n"))
	}
	s.waitIdle(t)
}

// askOver sends request over a new connection.
func askOver(t testing.TB, to, request string) net.Conn {
	t.Helper()
	c := dialTest(t, "tcp", to)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSlowReaders has fifty clients that do not read. The clerks write to some,
// some wait, the others are turned down; announces go on, and in the end the
// clerks lose patience.
func TestSlowReaders(t *testing.T) {
	s, to := serveOne(t, Config{Store: manyStore(), stall: 500 * time.Millisecond})
	var slow []net.Conn
	for range 50 {
		c := askOver(t, to, "GET /scrape HTTP/1.1\r\n\r\n")
		c.(*net.TCPConn).SetReadBuffer(4 << 10)
		slow = append(slow, c)
	}
	s.waitFor(t, stats.HTTPBusy, 50-clerks-queueLen)
	c := askOver(t, to, "")
	c.SetDeadline(time.Now().Add(longPatience))
	for r := bufio.NewReader(c); ; {
		fmt.Fprint(c, keep)
		if status, _ := readResponse(t, r); status != statusOK {
			t.Fatalf("an announce meanwhile: %q", status)
		}
		if totals := s.Totals(); totals.Sum(stats.TCPOverrun) >= clerks {
			break
		}
	}
	c.Close()
	for _, c := range slow {
		c.Close()
	}
	s.waitIdle(t)
}

// TestStopEndsLongAnswers stops a server whose clerks wait for clients.
func TestStopEndsLongAnswers(t *testing.T) {
	s, to := serveOne(t, Config{Store: manyStore()})
	for range clerks + 2 {
		askOver(t, to, "GET /scrape HTTP/1.1\r\n\r\n").(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	s.waitFor(t, stats.FullScrapes, clerks)
	began := time.Now()
	s.Stop()
	if took := time.Since(began); took > patience {
		t.Errorf("took %v", took)
	}
	if n := s.quota.used.Load(); n != 0 {
		t.Errorf("%d connections are still counted", n)
	}
}

// TestStatisticsWhileAnnouncing is for the race detector.
func TestStatisticsWhileAnnouncing(t *testing.T) {
	_, to := serveOne(t, Config{Store: fullStore(1000), TCPReactors: 2})
	var asking sync.WaitGroup
	for i := range 3 {
		asking.Go(func() {
			c := dialTest(t, "tcp", to)
			r := bufio.NewReader(c)
			for j := range 300 {
				fmt.Fprintf(c, "GET /announce?info_hash=%020d&port=%d HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", j, i+1)
				readResponse(t, r)
			}
		})
	}
	for _, mode := range []string{"peer", "everything", "numwants", "s24s", "woodpeckers", "top100", "statedump", "tpbs&format=ben"} {
		asking.Go(func() {
			for range 5 {
				if head, _ := get(t, to, "GET /stats?mode="+mode+" HTTP/1.1\r\n\r\n"); !strings.HasPrefix(head, statusOK) {
					t.Errorf("%s: %q", mode, head)
				}
			}
		})
	}
	asking.Wait()
	if _, body := get(t, to, "GET /stats HTTP/1.1\r\n\r\n"); body != "1900\n0\nopentracker serving 1300 torrents\nopentracker" {
		t.Errorf("in the end: %q", body)
	}
}
