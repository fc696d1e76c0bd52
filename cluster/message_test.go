package cluster

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"tracker/proto"
	"tracker/store"
)

// testBatch returns the message of a batch with some records of both families,
// made at now.
func testBatch(now uint32, number uint64, records int) []byte {
	var b batch
	b.begin(now)
	for i := range records {
		ih := torrent(i)
		p4, p6 := peer4(i), peer6(i)
		b.add(&ih, p4.Compact(), [...]mark{0, markSeeder, markStopped, markSeeder | markCompleted}[i%4], now-uint32(i))
		b.add(&ih, p6.Compact(), 0, now)
	}
	h := header{kind: kindBatch, sender: 77, number: number, clock: int64(now) * 1000}
	return seal(b.appendTo(appendHeader(nil, &h)))
}

// TestBatch: what is read is what was written.
func TestBatch(t *testing.T) {
	const now, records = 1_700_000_000, 9
	var h header
	body, ok := parseHeader(testBatch(now, 5, records), &h)
	if !ok || h != (header{kind: kindBatch, sender: 77, number: 5, clock: now * 1000}) {
		t.Fatalf("header %+v, %v", h, ok)
	}
	if !possibleBatch(body, now) {
		t.Fatal("the batch is not one")
	}
	n := 0
	eachRecord(body, func(ih *proto.Infohash, compact []byte, m mark, when uint32) {
		i, want, flags := n, peer4(n), [...]mark{0, markSeeder, markStopped, markSeeder | markCompleted}[n%4]
		seen := uint32(now - i)
		if n >= records {
			i, flags, seen = n-records, 0, now
			want = peer6(i)
		}
		if *ih != torrent(i) || !bytes.Equal(compact, want.Compact()) || m&^maxAge != flags || when != seen {
			t.Errorf("record %d: %x %x %x %d, want %x %x %x %d", n, ih, compact, m, when, torrent(i), want.Compact(), flags, seen)
		}
		n++
	})
	if n != 2*records {
		t.Errorf("%d records, want %d", n, 2*records)
	}
}

// TestEveryPrefix feeds every truncation and every flipped bit of messages to
// what reads them.
func TestEveryPrefix(t *testing.T) {
	msg := testBatch(1_700_000_000, 5, 3)
	var h header
	for n := range msg {
		if _, ok := parseHeader(msg[:n:n], &h); ok {
			t.Errorf("%d of %d bytes are a message", n, len(msg))
		}
		for bit := range 8 {
			bent := bytes.Clone(msg)
			bent[n] ^= 1 << bit
			if _, ok := parseHeader(bent, &h); ok {
				t.Errorf("a message with bit %d of byte %d wrong is one", bit, n)
			}
		}
	}
	body, _ := parseHeader(msg, &h)
	for n := range body {
		if possibleBatch(body[:n:n], 1_700_000_000) {
			t.Errorf("%d of %d bytes are a batch", n, len(body))
		}
	}
}

// TestImpossible bends a batch from a valid one.
func TestImpossible(t *testing.T) {
	const now = 1_700_000_000
	first := batchHead // the first record
	tests := []struct {
		name string
		bend func(b []byte) []byte
		now  uint32
		want bool
	}{
		{"valid", func(b []byte) []byte { return b }, now, true},
		{"a byte more", func(b []byte) []byte { return append(b, 0) }, now, false},
		{"port 0", func(b []byte) []byte { copy(b[first+24:], "\x00\x00"); return b }, now, false},
		{"stopped and completed", func(b []byte) []byte { b[first+27] |= 0x60; return b }, now, false},
		{"completed, not seeder", func(b []byte) []byte { b[first+27] = b[first+27]&0x1f | 0x20; return b }, now, false},
		{"more records than there are", func(b []byte) []byte { b[0]++; return b }, now, false},
		{"none", func(b []byte) []byte { clear(b[:4]); return b[:batchHead] }, now, false},
		{"mapped address", func(b []byte) []byte {
			copy(b[len(b)-markLen-proto.Peer6Len:], "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x50\x00\x00\x01")
			return b
		}, now, false},
		{"of yesterday", func(b []byte) []byte { return b }, now + 86400, false},
		{"of tomorrow", func(b []byte) []byte { return b }, now - 86400, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var h header
			body, _ := parseHeader(testBatch(now, 1, 2), &h)
			if got := possibleBatch(test.bend(bytes.Clone(body)), test.now); got != test.want {
				t.Errorf("possible %v, want %v", got, test.want)
			}
		})
	}
}

// TestWindow compares a window with what is known of every number.
func TestWindow(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for round := range 50 {
		var w window
		seen := map[uint64]bool{}
		var newest, first, here uint64
		next := uint64(100)
		for range 5000 {
			n := next
			switch r := rnd.IntN(20); {
			case r == 0:
				next += uint64(rnd.IntN(5)) + 1 // some are lost
				n = next
				next++
			case r == 1 && round%5 == 0:
				next += uint64(rnd.IntN(3000))
				n = next
				next++
			case r < 6:
				n = next - min(next-50, uint64(rnd.IntN(1500))) // late or again
			default:
				next++
			}
			want := late
			switch {
			case first == 0 || n > newest:
				want = inOrder
			case seen[n] || newest-n >= windowLen:
				want = repeated
			}
			if got := w.arrive(n); got != want {
				t.Fatalf("round %d: number %d after %d: %d, want %d", round, n, newest, got, want)
			}
			if first == 0 {
				first = n
			}
			if want != repeated {
				seen[n] = true
				if n >= first {
					here++
				}
			}
			newest = max(newest, n)
			if want := newest - first + 1 - here; w.lost != want {
				t.Fatalf("round %d: lost %d, want %d", round, w.lost, want)
			}
		}
	}
}

// TestStops compares the memory of stops with a plain map, where it has room.
func TestStops(t *testing.T) {
	type memory struct {
		when uint32
		back bool
	}
	s, want := newStops(99), map[uint64]memory{}
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 100_000 {
		key, when := peerHash(new(proto.Infohash), []byte{byte(rnd.IntN(250)), byte(rnd.IntN(8))}), 1000+uint32(rnd.IntN(500))
		m, known := want[key&^1]
		if rnd.IntN(2) == 0 {
			ok := !known || m.when <= when
			if got := s.stopped(key, when); got != ok {
				t.Fatalf("stopped at %d after %+v: %v, want %v", when, m, got, ok)
			}
			if ok {
				want[key&^1] = memory{when, false}
			}
			continue
		}
		stopped := uint32(0)
		switch {
		case !known:
		case m.when <= when:
			want[key&^1] = memory{when, true}
		case !m.back:
			stopped = m.when
		}
		if got := s.heard(key, when); got != stopped {
			t.Fatalf("heard at %d after %+v: stopped %d, want %d", when, m, got, stopped)
		}
	}
	for i := range uint64(4 * stopsLen) {
		s.stopped(i*0x9e3779b97f4a7c15, 5000+uint32(i/1000))
	}
	kept := 0
	for i := uint64(4*stopsLen - stopsLen/2); i < 4*stopsLen; i++ {
		if s.find(i*0x9e3779b97f4a7c15) >= 0 {
			kept++
		}
	}
	if kept < stopsLen/2*95/100 {
		t.Errorf("of the last %d stops %d are remembered", stopsLen/2, kept)
	}
}

// TestRetold: stops that nobody takes away to tell are counted from some number on.
func TestRetold(t *testing.T) {
	n := testNode(t)
	ih, peer := torrent(1), peer4(1)
	for range n.maxRetold() + 3 {
		n.tellAgain(&ih, &peer, 1)
	}
	if s := n.Status(); len(n.retold) != n.maxRetold() || s.Dropped != 3 {
		t.Errorf("%d stops wait and %d were dropped, want %d and 3", len(n.retold), s.Dropped, n.maxRetold())
	}
}

// TestBoundary: in every period there is one boundary, and peers have different
// ones.
func TestBoundary(t *testing.T) {
	const p = 16
	used := map[uint32]int{}
	for i := range 1000 {
		ih, peer := torrent(i), peer4(i)
		hash := peerHash(&ih, peer.Compact())
		last := boundary(hash, 29_000_000, p)
		used[last%p]++
		for m := uint32(29_000_000); m < 29_000_000+5*p; m++ {
			b := boundary(hash, m, p)
			if b > m || m-b >= p || b != last && b != last+p {
				t.Fatalf("peer %d: boundary of %d is %d, after %d", i, m, b, last)
			}
			last = b
		}
	}
	for phase, n := range used {
		if n < 30 || n > 110 {
			t.Errorf("%d of 1000 peers have phase %d of %d", n, phase, p)
		}
	}
}

// TestRecorderAllocs: a reactor allocates nothing for what is shared.
func TestRecorderAllocs(t *testing.T) {
	n := testNode(t)
	r := n.Recorder()
	q := store.Query{Infohash: torrent(1), Peer: peer4(1)}
	a := store.Answer{Known: true, Age: 20}
	if n := testing.AllocsPerRun(3*recorderLen, func() { r.Announced(&q, &a, 100) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	if r.dropped.Load() == 0 {
		t.Error("nothing was dropped although nobody took anything away")
	}
}

// TestRecorderTells looks which announces are told.
func TestRecorderTells(t *testing.T) {
	n := testNode(t)
	n.complete.Store(true)
	r := n.Recorder()
	s, rnd := store.New(store.Options{Shards: 1}), store.NewRand(1)
	now := store.Minute(1000)
	var told []mark
	announce := func(event proto.Event, seeder bool) {
		q, a := store.Query{Infohash: torrent(1), Peer: peer4(1), Event: event, Seeder: seeder}, store.Answer{}
		s.Announce(&q, now, rnd, &a)
		r.Announced(&q, &a, now)
		for _, e := range r.take() {
			told = append(told, e.flags)
		}
	}
	expect := func(what string, want ...mark) {
		t.Helper()
		if len(told) != len(want) || len(want) > 0 && told[0] != want[0] {
			t.Errorf("%s: told %x, want %x", what, told, want)
		}
		told = nil
	}
	announce(proto.EventStopped, false)
	expect("a stop of nobody")
	announce(proto.EventStarted, false)
	expect("a new peer", 0)
	announce(proto.EventNone, false)
	expect("again in the same minute")
	announce(proto.EventCompleted, true)
	expect("a download", markSeeder|markCompleted)
	announce(proto.EventNone, false)
	expect("a leecher again", 0)
	renewals := 0
	for range 10 * n.period {
		now++
		announce(proto.EventNone, false)
		renewals += len(told)
		told = nil
	}
	if renewals != 10 {
		t.Errorf("%d renewals were told in 10 periods, want 10", renewals)
	}
	announce(proto.EventStopped, false)
	expect("a stop", markStopped)
	n.complete.Store(false)
	announce(proto.EventStopped, false)
	expect("a stop of nobody while joining", markStopped)
}
