package cluster

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"tracker/proto"
	"tracker/store"
)

// A tester is a node with its own store, and one reactor's worth of announces.
type tester struct {
	*Node
	t      testing.TB
	store  *store.Store
	record *Recorder
	rnd    *store.Rand
	answer store.Answer
}

// wallMinute is the present of stores in tests.
func wallMinute() store.Minute { return store.Minute(time.Now().Unix() / 60) }

// quick is the pace of tests.
var quick = pace{
	hello: 100 * time.Millisecond, gone: time.Second, alone: 300 * time.Millisecond,
	patience: 500 * time.Millisecond, digest: 2 * time.Second, settle: 300 * time.Millisecond,
}

const quickBatch = 50 * time.Millisecond

// startNode starts a node; change may change what it is started with.
func startNode(t testing.TB, name string, urls []*url.URL, change func(*Config)) *tester {
	t.Helper()
	c := Config{
		URLs: urls, Name: name, Store: store.New(store.Options{Shards: 4}), Minute: wallMinute, Batch: quickBatch,
		Logf: func(level int, event, format string, args ...any) {
			t.Logf("%s %s: %s", name, event, fmt.Sprintf(format, args...))
		},
	}
	if change != nil {
		change(&c)
	}
	n, err := start(c, quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.end() })
	x := &tester{Node: n, t: t, store: c.Store, record: n.Recorder(), rnd: store.NewRand(1)}
	return x
}

// end stops the node, if it runs.
func (n *Node) end() {
	select {
	case <-n.stop:
	default:
		n.Stop()
	}
}

// ready waits until the node is connected and complete.
func (x *tester) ready() *tester {
	x.t.Helper()
	waitFor(x.t, 15*time.Second, x.cfg.Name+" is ready", func() bool { return x.connected.Load() && x.complete.Load() })
	return x
}

// announce is what a reactor does.
func (x *tester) announce(q *store.Query) *store.Answer {
	now := x.cfg.Minute()
	x.store.Announce(q, now, x.rnd, &x.answer)
	x.record.Announced(q, &x.answer, now)
	return &x.answer
}

// torrent returns the infohash of a number.
func torrent(i int) (ih proto.Infohash) {
	binary.BigEndian.PutUint64(ih[:], uint64(i)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint32(ih[16:], uint32(i))
	return ih
}

// peer4 and peer6 return the peer of a number.
func peer4(i int) proto.Peer {
	return proto.MakePeer(netip.AddrFrom4([4]byte{80, byte(i >> 16), byte(i >> 8), byte(i)}), 6881)
}

func peer6(i int) proto.Peer {
	var a [16]byte
	a[0] = 0x20
	binary.BigEndian.PutUint32(a[4:], uint32(i))
	return proto.MakePeer(netip.AddrFrom16(a), 6881)
}

// counts returns a torrent's counts on x.
func (x *tester) counts(ih proto.Infohash) proto.Counts {
	c, _ := x.store.Scrape(&ih)
	return c
}

// TestShare announces to one node and looks for the peer in the other's answers.
func TestShare(t *testing.T) {
	b := startBrokers(t, 3)
	x := startNode(t, "x", b.urls(0), nil).ready()
	y := startNode(t, "y", b.urls(1), nil).ready()
	for _, peer := range []proto.Peer{peer4(1), peer6(1)} {
		ih := torrent(1)
		x.announce(&store.Query{Infohash: ih, Peer: peer})
		begin := time.Now()
		other := peer4(2)
		if peer.Is6() {
			other = peer6(2)
		}
		waitFor(t, 2*time.Second, "the peer is handed out", func() bool {
			a := y.announce(&store.Query{Infohash: ih, Peer: other, NumWant: 50})
			return len(a.V4)+len(a.V6) > 0
		})
		if took := time.Since(begin); took > 2*quickBatch {
			t.Errorf("it took %v, more than twice %v", took, quickBatch)
		}
	}
	waitFor(t, 2*time.Second, "both have four peers", func() bool {
		return x.counts(torrent(1)).Incomplete == 4 && y.counts(torrent(1)).Incomplete == 4
	})
	x.announce(&store.Query{Infohash: torrent(1), Peer: peer4(1), Seeder: true, Event: proto.EventCompleted})
	waitFor(t, 2*time.Second, "a download is counted", func() bool {
		return y.counts(torrent(1)) == proto.Counts{Complete: 1, Incomplete: 3, Downloaded: 1}
	})
	x.announce(&store.Query{Infohash: torrent(1), Peer: peer4(1), Event: proto.EventStopped})
	waitFor(t, 2*time.Second, "a stop is told", func() bool {
		return y.counts(torrent(1)) == proto.Counts{Incomplete: 3, Downloaded: 1}
	})
}

// TestJoin starts a node beside one that has peers, and another that has more.
func TestJoin(t *testing.T) {
	b := startBrokers(t, 1)
	x := startNode(t, "x", b.urls(0), nil).ready()
	const torrents, large = 5000, 20_000
	for i := range torrents {
		x.announce(&store.Query{Infohash: torrent(i), Peer: peer4(i), Seeder: i%3 == 0})
		x.announce(&store.Query{Infohash: torrent(i), Peer: peer6(i), Seeder: i%3 == 1})
	}
	for i := range large {
		x.announce(&store.Query{Infohash: torrent(torrents), Peer: peer4(i), Seeder: i%2 == 0})
		x.announce(&store.Query{Infohash: torrent(torrents), Peer: peer6(i), Seeder: i%2 == 0})
	}
	for i := range 10 {
		x.announce(&store.Query{Infohash: torrent(3 * i), Peer: peer4(7), Seeder: true, Event: proto.EventCompleted})
	}
	y := startNode(t, "y", b.urls(0), nil).ready()
	sameTotals(t, x, y)
	sameContent(t, x, y)                            // downloads that were under way come with the next round
	if s := y.Status(); s.Joined < torrents+large { // some came as batches meanwhile
		t.Errorf("took over %d peers of %d", s.Joined, 2*torrents+2*large)
	}
}

// totals are what nodes must agree on.
type totals struct{ torrents, seeders, leechers int }

func (x *tester) totals() (n totals) {
	n.torrents, n.seeders, n.leechers = x.store.Totals()
	return n
}

// sameTotals waits until all nodes have the same.
func sameTotals(t *testing.T, nodes ...*tester) {
	t.Helper()
	begin := time.Now()
	for end := begin.Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		same := true
		for _, x := range nodes[1:] {
			same = same && x.totals() == nodes[0].totals()
		}
		if same {
			t.Logf("totals are equal after %v: %+v", time.Since(begin).Round(time.Millisecond), nodes[0].totals())
			return
		}
		if time.Now().After(end) {
			for _, x := range nodes {
				t.Errorf("%s has %+v: %+v", x.cfg.Name, x.totals(), x.Status())
			}
			return
		}
	}
}

// content returns everything a node has, by torrent and peer: whether it is a
// seeder, and by torrent alone how often it was downloaded.
func (x *tester) content() map[string]uint32 {
	all := map[string]uint32{}
	var c store.Cursor
	var v store.Visitor
	for more := true; more; {
		more = x.store.Visit(&c, x.cfg.Minute(), &v, nil, func(p *store.Part) {
			if p.Downloaded > 0 {
				all[string(p.Infohash[:])] = p.Downloaded
			}
			n4, n6 := p.Len()
			for family, n := range [...]int{n4, n6} {
				for i := range n {
					compact, seeder, _ := p.Peer(family, i)
					state := uint32(0)
					if seeder {
						state = 1
					}
					all[string(p.Infohash[:])+string(compact)] = state
				}
			}
		})
	}
	return all
}

// sameContent waits until all nodes have the same peers in the same states.
func sameContent(t *testing.T, nodes ...*tester) {
	t.Helper()
	begin := time.Now()
	for end := begin.Add(45 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		want, differ := nodes[0].content(), ""
		for _, x := range nodes[1:] {
			if got := x.content(); !maps.Equal(got, want) {
				differ = difference(nodes[0].cfg.Name, x.cfg.Name, want, got)
			}
		}
		if differ == "" {
			t.Logf("%d nodes have the same %d peers and counts after %v", len(nodes), len(want), time.Since(begin).Round(time.Millisecond))
			return
		}
		if time.Now().After(end) {
			for _, x := range nodes {
				t.Errorf("%s has %+v: %+v", x.cfg.Name, x.totals(), x.Status())
			}
			t.Fatal(differ)
		}
	}
}

// difference says in how many places a and b differ, and names some.
func difference(aName, bName string, a, b map[string]uint32) string {
	var text []string
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			text = append(text, fmt.Sprintf("%x: %d in %s, %d (%v) in %s", k, v, aName, w, ok, bName))
		}
	}
	for k, w := range b {
		if _, ok := a[k]; !ok {
			text = append(text, fmt.Sprintf("%x: %d in %s only", k, w, bName))
		}
	}
	return fmt.Sprintf("%d differences: %s", len(text), strings.Join(text[:min(3, len(text))], "; "))
}

// TestRepair has a node lack more than is told in one round, in many torrents and
// in one.
func TestRepair(t *testing.T) {
	small, large := 120_000, 300_000
	if testing.Short() || raced {
		small, large = 10_000, 20_000
	}
	b := startBrokers(t, 1)
	x := startNode(t, "x", b.urls(0), nil).ready()
	y := startNode(t, "y", b.urls(0), nil).ready()
	fill(x.store, small) // nobody is told
	changes := make([]store.Change, large)
	for i := range changes {
		changes[i] = store.Change{Infohash: torrent(1 << 30), Peer: peer4(i), Minute: wallMinute(), Seeder: i%3 == 0}
	}
	x.store.Apply(changes, wallMinute())
	sameTotals(t, x, y)
	sameContent(t, x, y)
	if s := y.Status(); s.Repaired < uint64(small+large) {
		t.Errorf("%d peers were repaired, want %d", s.Repaired, small+large)
	}
}

// TestBuckets: torrents that begin or end alike meet in no bucket, and where they
// are depends on the salt.
func TestBuckets(t *testing.T) {
	salts := [...]salt{makeSalt(&[16]byte{1}), makeSalt(&[16]byte{2})}
	for name, make := range map[string]func(i uint32) proto.Infohash{
		"the same beginning": func(i uint32) (ih proto.Infohash) { binary.BigEndian.PutUint32(ih[16:], i); return ih },
		"the same end":       func(i uint32) (ih proto.Infohash) { binary.BigEndian.PutUint32(ih[:], i); return ih },
	} {
		used, same := map[int]int{}, 0
		for i := range uint32(maxBuckets) {
			ih := make(i)
			at := salts[0].bucketOf(&ih)
			used[at]++
			if at == salts[1].bucketOf(&ih) {
				same++
			}
		}
		if len(used) < maxBuckets*6/10 || same > 20 {
			t.Errorf("%s: %d of %d buckets are used, %d torrents have the same with another salt", name, len(used), maxBuckets, same)
		}
	}
}
