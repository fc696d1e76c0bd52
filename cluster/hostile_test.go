package cluster

import (
	"encoding/binary"
	"math/rand/v2"
	"net/url"
	"testing"

	"tracker/store"
)

// testNode returns a node without a broker, to be told messages by hand. Its
// goroutines do not run.
func testNode(t testing.TB) *Node {
	t.Helper()
	c := Config{
		URLs: []*url.URL{{Scheme: "nats", Host: "127.0.0.1:1"}}, Name: "test", Minute: wallMinute,
		Store: store.New(store.Options{Shards: 2}),
	}
	n, err := newNode(c, quick)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A mouth says messages to a node as if they had come from the brokers, all
// kinds on all subjects.
type mouth struct {
	*Node
	batches, answers *inbox
}

func newMouth(n *Node) *mouth { return &mouth{n, newInbox(n), newInbox(n)} }

// say says msg on subject number on.
func (m *mouth) say(on int, msg []byte) {
	subjects := []func(h *header, body []byte) bool{
		func(h *header, body []byte) bool { return m.heardBatch(m.batches, h, body) },
		m.heardHello, m.heardDigest, m.heardRequest,
		func(h *header, body []byte) bool { return m.heardAnswer(m.answers, h, body) },
	}
	m.heard("test", msg, subjects[on%len(subjects)])
}

// fuzzMessage returns a message of that kind with that body, whose checksum is
// right.
func fuzzMessage(kind, flags byte, sender, number uint64, body []byte) []byte {
	h := header{kind: kind, flags: flags, sender: sender, number: number, clock: wall()}
	return seal(append(appendHeader(nil, &h), body...))
}

// FuzzMessages tells a node what a hostile member might: anything, with a right
// checksum or not, on any subject. Nothing may panic; memory stays below the
// ceiling; the store stays sound; questions are answered and end.
func FuzzMessages(f *testing.F) {
	now := uint32(wall() / 1000)
	var h header
	body, _ := parseHeader(testBatch(now, 1, 3), &h)
	f.Add(byte(0), byte(kindBatch), byte(0), uint64(1), body)
	hello := make([]byte, helloLen+1)
	hello[12], hello[60], hello[61] = 50, 1, 'x'
	f.Add(byte(1), byte(kindHello), byte(1), uint64(0), hello)
	f.Add(byte(1), byte(kindBye), byte(0), uint64(0), []byte{})
	digest := make([]byte, digestHead+4<<minBits)
	digest[8] = minBits
	f.Add(byte(2), byte(kindDigest), byte(0), uint64(0), digest)
	want := make([]byte, digestHead+1<<minBits/8)
	want[8] = minBits
	f.Add(byte(3), byte(kindWant), byte(0), uint64(0), want)
	f.Add(byte(3), byte(kindAsk), byte(1), uint64(3), make([]byte, askLen))
	f.Add(byte(3), byte(kindAsk), byte(1), uint64(3), append([]byte{4, 3, 0, 0}, make([]byte, store.CursorLen)...))
	c := binary.LittleEndian.AppendUint32(nil, now)
	c = append(c, 1, 0, 0, 0)
	c = append(c, make([]byte, 20)...)
	c = append(c, 1, 0, 1, 0, 5, 0, 0, 0, 1, 0)
	p4, p6 := peer4(1), peer6(1)
	c = append(append(append(c, p4.Compact()...), 0, 0), p6.Compact()...)
	c = append(c, 1, 0x80)
	f.Add(byte(4), byte(kindContent), byte(0), uint64(0), c)
	f.Add(byte(4), byte(kindChunk), byte(1), uint64(1), append(make([]byte, store.CursorLen), c...))
	n := testNode(f)
	n.digests.round = 1
	most := n.charged + 8<<20
	n.cfg.Store.SetMemory(most)
	m, a := newMouth(n), &answerer{node: n, content: content{node: n}}
	f.Fuzz(func(t *testing.T, on, kind, flags byte, number uint64, body []byte) {
		m.say(int(on), body)
		m.say(int(on), fuzzMessage(kind, flags, 1+number%100, number, body))
		for len(n.requests) > 0 {
			a.answer(<-n.requests)
		}
		if bytes := n.cfg.Store.Bytes(); bytes > most {
			t.Fatalf("the store has %d bytes", bytes)
		}
		if len(n.members) > maxMembers || len(n.retold) > n.maxRetold() {
			t.Fatalf("%d members, %d stops to be told again", len(n.members), len(n.retold))
		}
		s := n.Status()
		for _, member := range s.Members {
			if !printable(member.Name) || member.Name == "" {
				t.Fatalf("a member is called %q", member.Name)
			}
		}
	})
}

// TestHostile: a member that sends new peers without end fills what the ceiling
// allows, and no more; ids without end are no members.
func TestHostile(t *testing.T) {
	n := testNode(t)
	m := newMouth(n)
	ceiling := n.charged + 8<<20
	n.cfg.Store.SetMemory(ceiling)
	rnd := rand.New(rand.NewPCG(1, 1))
	var b batch
	for i := range 300 {
		b.begin(n.clock.seconds())
		for !b.full() {
			ih, p := torrent(rnd.Int()), peer4(rnd.Int())
			b.add(&ih, p.Compact(), markSeeder|markCompleted, n.clock.seconds())
		}
		h := header{kind: kindBatch, sender: 1 + uint64(i), number: 1, clock: wall()}
		m.say(0, seal(b.appendTo(appendHeader(nil, &h))))
	}
	s := n.Status()
	if bytes := n.cfg.Store.Bytes(); bytes > ceiling || s.Refused == 0 {
		t.Errorf("the store has %d bytes of %d, %d were refused", bytes, ceiling, s.Refused)
	}
	if len(n.members) > maxMembers || s.Rejected != 300-maxMembers {
		t.Errorf("%d members, %d rejected, want %d, %d", len(n.members), s.Rejected, maxMembers, 300-maxMembers)
	}
	before := s.RecordsReceived
	m.say(0, []byte("trkr"))
	m.say(0, testBatch(n.clock.seconds(), 1, 1)[:60])
	wrong := testBatch(n.clock.seconds(), 1, 1)
	wrong[4]++ // another version
	m.say(0, wrong)
	m.say(1, testBatch(n.clock.seconds(), 1, 1)) // on another subject
	if s = n.Status(); s.Rejected != 304-maxMembers || s.RecordsReceived != before {
		t.Errorf("%d rejected, want %d; %d records, want %d", s.Rejected, 304-maxMembers, s.RecordsReceived, before)
	}
}

// TestBye: who leaves several times, or was never there, is told of once or never.
func TestBye(t *testing.T) {
	n := testNode(t)
	lines := 0
	n.cfg.Logf = func(int, string, string, ...any) { lines++ }
	m := newMouth(n)
	hello := make([]byte, helloLen+1)
	hello[12], hello[60], hello[61] = 50, 1, 'x'
	m.say(0, testBatch(n.clock.seconds(), 1, 1)) // of somebody who says no hello
	m.say(1, fuzzMessage(kindHello, 0, 5, 0, hello))
	for _, id := range []uint64{4, 5, 5, 5, 77} {
		m.say(1, fuzzMessage(kindBye, 0, id, 0, nil))
	}
	if lines != 2 || n.Status().Rejected != 0 {
		t.Errorf("%d lines and %d rejected, want 2 and 0", lines, n.Status().Rejected)
	}
}

// TestLooks: who asks for buckets again and again is answered so often a round, and
// then in the next one.
func TestLooks(t *testing.T) {
	n := testNode(t)
	m := n.meet(7)
	for i := range 3 * roundLooks {
		m.served, m.room = uint32(n.clock.now()/n.pace.digest.Milliseconds()), roundRoom
		if room, _ := n.roomFor(7); (room > 0) != (i < roundLooks) {
			t.Errorf("look %d has room for %d bytes", i, room)
		}
	}
	m.served, m.room = 0, 0
	if room, _ := n.roomFor(7); room != roundRoom {
		t.Errorf("in the next round there is room for %d bytes, want %d", room, roundRoom)
	}
}

// TestReordered takes all batches of a churn, hands them to nodes in other orders
// and several times, and compares: in order all is the same, and in any order
// each download counts once. Who stopped or turned just before in the same minute,
// as many do here, may differ until digests are compared: see TestRelay.
func TestReordered(t *testing.T) {
	messages, want := recordedChurn(t)
	if len(want) < 1000 {
		t.Fatalf("the churn left %d peers and counts", len(want))
	}
	rnd := rand.New(rand.NewPCG(3, 9))
	for round := range 5 {
		n := testNode(t)
		n.complete.Store(true)
		m := newMouth(n)
		order := make([]int, len(messages))
		for i := range order {
			order[i] = i
		}
		if round > 0 {
			for i := range order { // each at most 5 from its place
				k := min(len(order)-1, i+rnd.IntN(6))
				order[i], order[k] = order[k], order[i]
			}
		}
		for i, k := range order {
			m.say(0, messages[k])
			if round > 0 && rnd.IntN(3) == 0 {
				m.say(0, messages[order[rnd.IntN(i+1)]])
			}
		}
		x := tester{Node: n, t: t, store: n.cfg.Store}
		got, differ, counts := x.content(), 0, 0
		for k, v := range want {
			if w, ok := got[k]; len(k) == 20 && w != v {
				counts++
			} else if !ok || w != v {
				differ++
			}
		}
		for k := range got {
			if _, ok := want[k]; !ok {
				differ++
			}
		}
		t.Logf("round %d: %d of %d peers differ", round, differ, len(want))
		if counts != 0 || round == 0 && differ != 0 || differ > len(want)/8 {
			t.Errorf("round %d: %d torrents have other counts, %d of %d peers differ", round, counts, differ, len(want))
		}
		if s := n.Status(); s.Lost != 0 {
			t.Errorf("round %d: %d batches are missing", round, s.Lost)
		}
	}
}

// recordedChurn returns the batches of a node with churn, and what it has then.
func recordedChurn(t *testing.T) (messages [][]byte, content map[string]uint32) {
	n := testNode(t)
	n.complete.Store(true)
	x := &tester{Node: n, t: t, store: n.cfg.Store, record: n.Recorder(), rnd: store.NewRand(1)}
	c := churn{rnd: rand.New(rand.NewPCG(11, 12)), torrents: 2000, peers: 20}
	p := publisher{node: n}
	p.batch.begin(n.clock.seconds())
	for i := range 20_000 {
		c.step(x)
		if i%200 == 199 {
			p.collect()
			p.flush()
			messages = append(messages, append([]byte(nil), p.msg...))
		}
	}
	return messages, x.content()
}
