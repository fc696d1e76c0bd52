//go:build linux

package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Bounds of the announce interval, in seconds: half an hour, give or take a
// tenth.
const (
	minInterval = 1620
	maxInterval = 1979
)

// isChoice reports whether q gets some of many peers, so that only their number
// can be compared. [checkChoice] looks at the peers themselves.
func isChoice(q question) bool {
	return strings.Contains(q.Name, "numwant") || strings.HasPrefix(q.Name, "many-")
}

// readable turns an answer into text in which everything that may differ
// between two correct answers is gone: a right interval reads <ok>, its half
// <half>, a time to retry that is an interval in minutes <soon>, a right
// Content-Length <n>, a connection id <id>; peers are sorted, and only counted
// where there was a choice; chunks and compression are taken off; and so on for
// [readableStatistics].
func readable(q question, a answer) string {
	if q.Kind == "udp" {
		return readableUDP(q, a.bytes)
	}
	var text strings.Builder
	for rest := a.bytes; len(rest) > 0; {
		var one string
		one, rest = readableHTTP(q, rest)
		text.WriteString(one)
	}
	// The time an open connection was watched for is of no interest.
	if !strings.HasPrefix(a.end, endClosed) {
		end, _, _ := strings.Cut(a.end, " after")
		end, _, _ = strings.Cut(end, " (")
		fmt.Fprintf(&text, "[%s]", end)
	}
	return text.String()
}

var (
	contentLength = regexp.MustCompile(`\r\nContent-Length: (\d+)`)
	retryIn       = regexp.MustCompile(`8:retry ini(\d+)ee$`)
	intervals     = regexp.MustCompile(`8:intervali(\d+)e12:min intervali(\d+)e`)
	peerString    = regexp.MustCompile(`5:peers(\d+):|6:peers6(\d+):`)
)

// readableHTTP does it for the first HTTP answer in b and returns what follows.
func readableHTTP(q question, b []byte) (text string, rest []byte) {
	head, body, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	if m := contentLength.FindSubmatch(head); m != nil {
		if n, _ := strconv.Atoi(string(m[1])); n <= len(body) {
			body, rest = body[:n], body[n:]
			head = contentLength.ReplaceAll(head, []byte("\r\nContent-Length: <n>"))
		}
	}
	body = readableStatistics(q, unwrap(head, body))
	body = intervals.ReplaceAllFunc(body, readableIntervals)
	if m := retryIn.FindSubmatch(body); m != nil {
		if n, _ := strconv.Atoi(string(m[1])); n >= minInterval/60 && n <= maxInterval/60+1 {
			body = retryIn.ReplaceAll(body, []byte("8:retry ini<soon>ee"))
		}
	}
	return string(head) + "\r\n\r\n" + readablePeers(q, body), rest
}

func readableIntervals(b []byte) []byte {
	m := intervals.FindSubmatch(b)
	interval, _ := strconv.Atoi(string(m[1]))
	half, _ := strconv.Atoi(string(m[2]))
	if interval < minInterval || interval > maxInterval || half != interval/2 {
		return b
	}
	return []byte("8:intervali<ok>e12:min intervali<half>e")
}

// readablePeers spells out the compact peers in the body of an announce.
func readablePeers(q question, body []byte) string {
	m := peerString.FindSubmatchIndex(body)
	if m == nil {
		return string(body)
	}
	key, digits, size := "5:peers", 2, 6
	if m[4] >= 0 {
		key, digits, size = "6:peers6", 4, 18
	}
	n, err := strconv.Atoi(string(body[m[digits]:m[digits+1]]))
	if err != nil || n%size != 0 || n > len(body)-m[1] {
		return string(body)
	}
	peers := compactPeers(body[m[1]:m[1]+n], size)
	return string(body[:m[0]]) + key + peerText(q, peers) + readablePeers(q, body[m[1]+n:])
}

func peerText(q question, peers []netip.AddrPort) string {
	slices.SortFunc(peers, netip.AddrPort.Compare)
	different := len(slices.Compact(slices.Clone(peers)))
	if isChoice(q) {
		return fmt.Sprintf("<%d, %d of them different>", len(peers), different)
	}
	return fmt.Sprint(peers)
}

// readableUDP does the same for a datagram.
func readableUDP(q question, b []byte) string {
	if b == nil {
		return "[" + endSilence + "]"
	}
	if len(b) < 8 {
		return fmt.Sprintf("%x", b)
	}
	action, tid, body := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), b[8:]
	text := fmt.Sprintf("action %d, transaction %08x", action, tid)
	switch {
	case action == 0 && len(body) == 8:
		return text + ", id <id>"
	case action == 1 && len(body) >= 12:
		interval := binary.BigEndian.Uint32(body)
		seconds := fmt.Sprint(interval)
		if minInterval <= interval && interval <= maxInterval {
			seconds = "<ok>"
		}
		if rest := (len(body) - 12) % 6; rest != 0 {
			text += fmt.Sprintf(", %d stray bytes", rest)
		}
		return fmt.Sprintf("%s, interval %s, %d leechers, %d seeders, peers %s", text, seconds,
			binary.BigEndian.Uint32(body[4:]), binary.BigEndian.Uint32(body[8:]), peerText(q, compactPeers(body[12:], 6)))
	case action == 2 && len(body)%12 == 0:
		for ; len(body) > 0; body = body[12:] {
			text += fmt.Sprintf("; %d seeders, %d completed, %d leechers", binary.BigEndian.Uint32(body),
				binary.BigEndian.Uint32(body[4:]), binary.BigEndian.Uint32(body[8:]))
		}
		return text
	}
	return fmt.Sprintf("%s, %q", text, body)
}

// checkChoice sees that the peers handed out where there was a choice are such
// that may be: of the swarm, no seeders to a seeder, never the asker itself.
func checkChoice(t *testing.T, q question, a answer) {
	t.Helper()
	if !isChoice(q) {
		return
	}
	var peers []netip.AddrPort
	if q.Kind == "udp" && len(a.bytes) > 20 {
		peers = compactPeers(a.bytes[20:], 6)
	} else if m := peerString.FindSubmatchIndex(a.bytes); q.Kind == "http" && m != nil {
		peers = compactPeers(a.bytes[m[1]:len(a.bytes)-1], 6)
	}
	for _, p := range peers {
		if !slices.Contains(choices(q), p) {
			t.Errorf("%s: was given %v, which may not be", q.Name, p)
		}
	}
}

// choices returns the peers of which q may be given some.
func choices(q question) []netip.AddrPort {
	if !strings.HasPrefix(q.Name, "many-") { // asked by the leechers 127.0.0.2:6881 and 127.0.0.2:7001
		return []netip.AddrPort{
			netip.MustParseAddrPort("127.0.0.3:6882"), netip.MustParseAddrPort("127.0.0.4:6883"),
			netip.MustParseAddrPort("127.0.0.5:6884"), netip.MustParseAddrPort("127.0.0.3:7002"),
		}
	}
	var leechers []netip.AddrPort // asked by a seeder
	for i := range manyPeers {
		if !manySeeder(i) {
			leechers = append(leechers, manyPeer(i))
		}
	}
	return leechers
}
