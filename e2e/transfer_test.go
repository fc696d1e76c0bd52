//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// transferLimit is how long one transfer may take, from the start of the seeder
// to the last byte. Alone it takes a few seconds.
const transferLimit = 60 * time.Second

// trackerPort is where ./tracker listens when it is told nothing else.
const trackerPort = 6969

// TestTransfer sees a file travel from a seeding client to a downloading one,
// for every client, over HTTP and UDP, over IPv4 and IPv6.
func TestTransfer(t *testing.T) {
	makeNetwork(t)
	cmd := inside(namespace("tracker"), tracker(t))
	cmd.Dir = workDir
	s := &server{process: start(t, cmd), addr: netip.AddrPortFrom(family4.host(1), trackerPort)}
	if err := waitPorts(s.process, trackerPort); err != nil {
		t.Fatalf("%v\n%s", err, &s.out)
	}
	port := uint16(20000)
	t.Run("by", func(t *testing.T) {
		for _, c := range clients {
			for _, scheme := range []string{"http", "udp"} {
				for _, f := range families {
					kind := scheme + f.name
					if why := c.cannot[kind]; why != "" {
						t.Logf("not tried: %s", why)
						continue
					}
					port++
					x := &transfer{client: c, scheme: scheme, family: f, port: port}
					t.Run(c.name+"/"+kind, x.run)
				}
			}
		}
	})
	s.stopTracker(t)
}

// A transfer is one file on its way from one client to another of its kind.
type transfer struct {
	client client
	scheme string // "http" or "udp"
	family family
	port   uint16 // for peers, and to tell transfers apart
}

func (x *transfer) run(t *testing.T) {
	t.Parallel()
	content := payload(uint64(x.port))
	torrent, ih := metainfo(fmt.Sprintf("%s://%s:%d/announce", x.scheme, trackerName, trackerPort), content)

	seeder, leecher := x.side(t, "seeder", 2, torrent), x.side(t, "leecher", 3, torrent)
	write(t, filepath.Join(seeder.dir, payloadName), content)
	deadline := time.Now().Add(transferLimit)

	seeding := start(t, x.client.run(t, seeder))
	if !await(deadline, seeding, func() bool { return scrape(t, ih).complete == 1 }) {
		t.Fatalf("the tracker did not learn of the seeder within %v", transferLimit)
	}
	leeching := start(t, x.client.run(t, leecher))
	arrived := filepath.Join(leecher.dir, payloadName)
	if !await(deadline, leeching, func() bool { return holds(arrived, content) }) {
		t.Fatalf("the file did not arrive within %v", transferLimit)
	}
	want := counts{complete: 2, downloaded: 1}
	if !await(deadline, leeching, func() bool { return scrape(t, ih) == want }) {
		t.Errorf("afterwards the tracker has %+v, want %+v", scrape(t, ih), want)
	}
}

// side prepares one end of the transfer.
func (x *transfer) side(t *testing.T, role string, n int, torrent []byte) *side {
	t.Helper()
	home := t.TempDir()
	s := &side{
		ns: namespace(role + x.family.name), addr: x.family.host(n), port: x.port,
		dir: filepath.Join(home, "data"), torrent: filepath.Join(home, "payload.torrent"),
	}
	s.scratch(t, "data")
	write(t, s.torrent, torrent)
	return s
}

// await polls until the condition holds. It gives up at the deadline, and when
// p has ended.
func await(deadline time.Time, p *process, condition func() bool) bool {
	for time.Now().Before(deadline) {
		if condition() {
			return true
		}
		if p.ended() {
			return condition()
		}
		time.Sleep(10 * pollEvery)
	}
	return false
}

// holds reports whether the file has exactly that content.
func holds(path string, content []byte) bool {
	got, err := os.ReadFile(path)
	return err == nil && bytes.Equal(got, content)
}

// counts are what a scrape tells of a torrent (BEP 48).
type counts struct{ complete, downloaded, incomplete int }

var scraped = regexp.MustCompile(`d8:completei(\d+)e10:downloadedi(\d+)e10:incompletei(\d+)ee`)

// scrape asks the tracker in its namespace about a torrent. One that is not
// known counts zero.
func scrape(t *testing.T, ih [20]byte) counts {
	t.Helper()
	return scrapeFrom(t, namespace("tracker"), netip.AddrPortFrom(family4.host(1), trackerPort), ih)
}

// scrapeFrom asks a tracker from a namespace about a torrent.
func scrapeFrom(t *testing.T, ns string, at netip.AddrPort, ih [20]byte) counts {
	t.Helper()
	c, err := dialInside(ns, "tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(answerLimit))
	fmt.Fprintf(c, "GET /scrape?info_hash=%s HTTP/1.0\r\n\r\n", percent(ih[:]))
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	m := scraped.FindSubmatch(answer)
	if m == nil {
		return counts{}
	}
	number := func(b []byte) int { n, _ := strconv.Atoi(string(b)); return n }
	return counts{number(m[1]), number(m[2]), number(m[3])}
}
