//go:build linux

package e2e

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Answers to what is no request, byte for byte those of opentracker.
const (
	invalidAnswer  = "HTTP/1.0 400 Invalid Request\r\nContent-Type: text/html\r\nContent-Length: 31\r\n\r\n<title>Invalid Request</title>\n"
	notFoundAnswer = "HTTP/1.0 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 25\r\n\r\n<title>Not Found</title>\n"
	tooBigAnswer   = "HTTP/1.0 500 Internal Server Error\r\nContent-Type: text/html\r\nContent-Length: 37\r\n\r\n<title>Internal Server Error</title>\n"
)

// maxRequest is how many bytes an HTTP request may have, the empty line at its
// end included.
const maxRequest = 8192

// local is the address the questions of these tests come from.
const local = "127.0.0.1"

// torrentOf names a torrent of one test, so that tests do not meet in a swarm.
func torrentOf(t *testing.T) [20]byte { return sha1.Sum([]byte(t.Name())) }

// announceRequest is a whole HTTP announce with the parameters, a=b&c=d, after
// the infohash.
func announceRequest(ih [20]byte, parameters string) []byte {
	return fmt.Appendf(nil, "GET /announce?info_hash=%s&%s HTTP/1.1\r\nHost: tracker.test\r\nUser-Agent: e2e\r\n\r\n", percent(ih[:]), parameters)
}

// goesOn sees that the tracker still answers everything: announce and scrape,
// over both transports.
func (s *server) goesOn(t *testing.T) {
	t.Helper()
	if s.ended() {
		t.Fatalf("the tracker is gone: %v\n%s", s.err, &s.out)
	}
	s.probes++
	ih := sha1.Sum(fmt.Appendf(nil, "%s, probe %d", t.Name(), s.probes))
	s.seeds(t, ih, 1)
	packet := announcement(s.connID(t, local), ih, 0, 1, 2)
	got := readableUDP(question{}, s.udp(t, local, answerLimit, packet))
	if want := peersUDP(1, 1, "127.0.0.1:1"); got != want {
		t.Errorf("UDP announce afterwards: %q, want %q", got, want)
	}
	scrape := binary.BigEndian.AppendUint64(s.connID(t, local), 2<<32|0x0a0b0c0d)
	got = readableUDP(question{}, s.udp(t, local, answerLimit, append(scrape, ih[:]...)))
	if want := scrapeUDP([3]int{1, 0, 1}); got != want {
		t.Errorf("UDP scrape afterwards: %q, want %q", got, want)
	}
}

// seeds announces a seeder over HTTP and sees it counted.
func (s *server) seeds(t *testing.T, ih [20]byte, port int) {
	t.Helper()
	got, end := s.http(t, local, answerLimit, announceRequest(ih, fmt.Sprintf("left=0&port=%d", port)))
	want := peersHTTP(1, 0, 0)
	if text := readable(question{Kind: "http"}, answer{got, end}); text != want {
		t.Errorf("announce of a seeder: %q, want %q", text, want)
	}
	got, end = s.http(t, local, answerLimit, fmt.Appendf(nil, "GET /scrape?info_hash=%s HTTP/1.0\r\n\r\n", percent(ih[:])))
	want = okHTTP(fmt.Sprintf("d5:filesd20:%sd8:completei1e10:downloadedi0e10:incompletei0eeee", ih[:]))
	if text := readable(question{Kind: "http"}, answer{got, end}); text != want {
		t.Errorf("scrape: %q, want %q", text, want)
	}
}

// TestTruncatedDatagrams cuts every kind of UDP request after every byte.
func TestTruncatedDatagrams(t *testing.T) {
	t.Parallel()
	s := startTracker(t)
	ih := torrentOf(t)
	cid := s.connID(t, local)
	scrape := append(binary.BigEndian.AppendUint64(bytes.Clone(cid), 2<<32|0x0a0b0c0d), ih[:]...)
	for _, whole := range []struct {
		name   string
		packet []byte
	}{
		{"connect", connectRequest(7)},
		{"announce", announcement(cid, ih, 2, 1, 6881)},
		{"scrape", scrape},
	} {
		for n := range whole.packet {
			got := s.udpOrSilence(t, local, whole.packet[:n])
			if whole.name == "scrape" && n >= 16 { // a scrape of nothing
				if text, want := readableUDP(question{}, got), scrapeUDP(); text != want {
					t.Errorf("%s of %d bytes: %q, want %q", whole.name, n, text, want)
				}
			} else if got != nil {
				t.Errorf("%s of %d bytes: %x, want silence", whole.name, n, got)
			}
		}
	}
	s.seeds(t, ih, 6882) // alone: no cut announce was taken for one
	s.goesOn(t)
}

// TestTruncatedRequests sends every beginning of an HTTP request, and then
// closes one way or the other.
func TestTruncatedRequests(t *testing.T) {
	t.Parallel()
	s := startTracker(t)
	ih := torrentOf(t)
	request := announceRequest(ih, "port=6881&left=1")
	var wait sync.WaitGroup
	for n := range request {
		c := s.dialFrom(t, local)
		c.Write(request[:n])
		c.CloseWrite()
		wait.Go(func() {
			defer c.Close()
			if got, end := readAll(c, answerLimit); len(got) != 0 || end != endClosed {
				t.Errorf("%d bytes and a half-close: %q, %s; want nothing, %s", n, got, end, endClosed)
			}
		})
		gone := s.dialFrom(t, local)
		gone.Write(request[:n])
		if n%2 == 0 {
			gone.SetLinger(-1) // close as usual, not with a reset
		}
		gone.Close()
	}
	wait.Wait()
	s.seeds(t, ih, 6882) // alone: no cut announce was taken for one

	c := s.dialFrom(t, local)
	defer c.Close()
	c.Write(request)
	c.CloseWrite()
	got, end := readAll(c, answerLimit)
	if text, want := readable(question{Kind: "http"}, answer{got, end}), peersHTTP(1, 0, 1, "127.0.0.1:6882"); text != want {
		t.Errorf("a whole request and a half-close: %q, want %q", text, want)
	}
	s.goesOn(t)
}

// TestOneByteSegments sends a request a byte at a time.
func TestOneByteSegments(t *testing.T) {
	t.Parallel()
	s := startTracker(t)
	var segments [][]byte
	for _, b := range announceRequest(torrentOf(t), "port=6881&left=1") {
		segments = append(segments, []byte{b})
	}
	got, end := s.http(t, local, answerLimit, segments...)
	if text, want := readable(question{Kind: "http"}, answer{got, end}), peersHTTP(0, 0, 1); text != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

// TestRequestSize finds the limit where it is said to be.
func TestRequestSize(t *testing.T) {
	t.Parallel()
	s := startTracker(t)
	sized := func(n int) []byte {
		request := announceRequest(torrentOf(t), "port=6881&left=1&key=")
		head, tail, _ := bytes.Cut(request, []byte(" HTTP/"))
		filler := strings.Repeat("a", n-len(request))
		return fmt.Appendf(nil, "%s%s HTTP/%s", head, filler, tail)
	}
	got, end := s.http(t, local, answerLimit, sized(maxRequest))
	if text, want := readable(question{Kind: "http"}, answer{got, end}), peersHTTP(0, 0, 1); text != want {
		t.Errorf("%d bytes: %q, want %q", maxRequest, text, want)
	}
	if got, _ := s.http(t, local, answerLimit, sized(maxRequest+1)); string(got) != tooBigAnswer {
		t.Errorf("%d bytes: %q, want %q", maxRequest+1, got, tooBigAnswer)
	}
	s.goesOn(t)
}

// TestRefusals sends what opentracker wrongly accepts. A refusal leaves nothing
// behind, and a stopped is not refused for its port.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := startTracker(t)
	ih := torrentOf(t)
	stopped := okHTTP("d8:completei0e10:incompletei0e8:intervali<ok>e12:min intervali<half>e5:peers[]e")
	for parameters, want := range map[string]string{
		"port=0&left=1":                             failHTTP(portText),
		"left=1":                                    failHTTP(portText),
		"port=-1&left=1":                            failHTTP(portText),
		"port=6881&left=abc":                        failHTTP(leftText),
		"port=6881&left=1x":                         failHTTP(leftText),
		"port=6881&left=18446744073709551616":       failHTTP(leftText),
		"port=6881&left=99999999999999999999999999": failHTTP(leftText),
		"port=0&left=1&event=stopped":               stopped,
		"left=1&event=stopped":                      stopped,
		"port=-1&left=1&event=stopped":              stopped,
	} {
		got, end := s.http(t, local, answerLimit, announceRequest(ih, parameters))
		if text := readable(question{Kind: "http"}, answer{got, end}); text != want {
			t.Errorf("%s: %q, want %q", parameters, text, want)
		}
	}
	cid := s.connID(t, local)
	for event, want := range map[uint32]string{0: errorUDP(0x01020304, portText), 3: peersUDP(0, 0)} {
		got := s.udp(t, local, answerLimit, announcement(cid, ih, event, 1, 0))
		if text := readableUDP(question{}, got); text != want {
			t.Errorf("UDP announce with port 0 and event %d: %q, want %q", event, text, want)
		}
	}
	s.seeds(t, ih, 6881) // alone
}

// randomInputs is how many random inputs each transport gets.
const randomInputs = 500

// TestRandomDatagrams sends noise, half of it with an action that exists. No
// answer is longer than the question: who asks has not shown where it is.
func TestRandomDatagrams(t *testing.T) {
	t.Parallel()
	s := startTracker(t)
	r := rand.NewChaCha8([32]byte{1})
	for i := range randomInputs {
		packet := make([]byte, r.Uint64()%200)
		r.Read(packet)
		if i%2 == 0 && len(packet) >= 12 {
			binary.BigEndian.PutUint32(packet[8:], uint32(i/2%4))
		}
		if got := s.udpOrSilence(t, local, packet); len(got) > len(packet) {
			t.Errorf("%x: an answer of %d bytes to %d", packet, len(got), len(packet))
		}
	}
	s.goesOn(t)
}

// TestRandomRequests does so over TCP, half of it in the shape of a request.
func TestRandomRequests(t *testing.T) {
	t.Parallel()
	s := startTracker(t)
	r := rand.NewChaCha8([32]byte{2})
	for i := range randomInputs {
		noise := make([]byte, r.Uint64()%(maxRequest+1000))
		r.Read(noise)
		if i%2 == 0 {
			noise = fmt.Appendf(nil, "GET /announce?info_hash=%s&port=6881&left=1&%s HTTP/1.1\r\n\r\n", percent(noise[:min(20, len(noise))]), noise)
		}
		c := s.dialFrom(t, local)
		c.Write(noise)
		c.CloseWrite()
		got, end := readAll(c, answerLimit)
		c.Close()
		switch text := string(got); {
		case end == endOpen:
			t.Errorf("%x: still open after %v", noise, answerLimit)
		case text == "", text == invalidAnswer, text == notFoundAnswer, text == tooBigAnswer:
		case strings.HasPrefix(text, "HTTP/1.1 200 OK\r\n"):
		case end == endReset: // the end of the answer is lost where much was left unread
		default:
			t.Errorf("%x: %q", noise, text)
		}
	}
	s.goesOn(t)
}

// idleLimit is how long a client may take for its request; a test allows for
// another such time.
const idleLimit = 5 * time.Second

// TestSlowClients sees those cut off who say nothing, or a byte now and then.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := startTracker(t)
	silent, trickling := s.dialFrom(t, local), s.dialFrom(t, local)
	defer silent.Close()
	defer trickling.Close()
	since := time.Now()
	trickled := make(chan struct{})
	go func() {
		defer close(trickled)
		for range time.Tick(idleLimit / 10) {
			if _, err := trickling.Write([]byte("G")); err != nil || time.Since(since) > 2*idleLimit {
				return
			}
		}
	}()
	for name, c := range map[string]*net.TCPConn{"silent": silent, "trickling": trickling} {
		if got, end := readAll(c, 2*idleLimit-time.Since(since)); end == endOpen {
			t.Errorf("the %s client is still connected after %v, was told %q", name, time.Since(since), got)
		}
	}
	<-trickled
	s.goesOn(t)
}
