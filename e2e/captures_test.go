//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A question is one recorded exchange: what was asked of opentracker, and what
// it answered. The README beside the files describes them.
type question struct {
	Name string
	Kind string // "http" or "udp"
	Src  string
	End  string
	Req  hexBytes
	Resp hexBytes // nil if there was no answer
}

// hexBytes are bytes that stand in JSON as hex.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) error {
	*h = make([]byte, hex.DecodedLen(len(b)))
	_, err := hex.Decode(*h, b)
	return err
}

// captures reads the questions of the first file, in order, with those of the
// others in their place.
func captures(t *testing.T, names ...string) []question {
	t.Helper()
	var all []question
	at := map[string]int{}
	for i, name := range names {
		f, err := os.Open(filepath.Join("..", "testdata", "captures", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var q question
			if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if i == 0 {
				at[q.Name] = len(all)
				all = append(all, q)
			} else {
				all[at[q.Name]] = q
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

// captureHash returns torrent i of the captures.
func captureHash(i int) [20]byte {
	return sha1.Sum(fmt.Appendf(nil, "opentracker-capture-%d", i))
}

// writeWhitelist writes the list the white list captures were made with.
func writeWhitelist(t *testing.T) (path string) {
	t.Helper()
	var list []byte
	for i := range 16 {
		list = fmt.Appendf(list, "%x\n", captureHash(i))
	}
	f, err := os.CreateTemp(workDir, "whitelist-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(list); err != nil {
		t.Fatal(err)
	}
	f.Chmod(0o644) // for a tracker that gave up root
	return f.Name()
}

// limitOf says how long to wait for the answer to q: long, unless there was
// none.
func limitOf(q question) time.Duration {
	if q.Kind == "udp" && q.Resp == nil || strings.HasPrefix(q.End, endOpen) {
		return silenceLimit
	}
	return answerLimit
}

// segmentsOf returns the request of q in the pieces it was sent in.
func segmentsOf(q question) [][]byte {
	if q.Name != "lenient-split-packets" {
		return [][]byte{q.Req}
	}
	head, query, _ := bytes.Cut(q.Req, []byte("GET /ann"))
	if len(head) != 0 {
		panic("e2e: the request of lenient-split-packets begins otherwise")
	}
	line, rest, _ := bytes.Cut(query, []byte(" HTTP/1.1\r\n"))
	header := bytes.TrimSuffix(rest, []byte("\r\n"))
	return [][]byte{[]byte("GET /ann"), line, slices.Concat([]byte(" HTTP/1.1\r\n"), header), []byte("\r\n")}
}

// The swarm of the "many" cases: 300 peers, every third a seeder.
const (
	manyTorrent = 5
	manyPeers   = 300
)

func manyPeer(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(10 + i%100)}), uint16(20000+i))
}

func manySeeder(i int) bool { return i%3 == 0 }
