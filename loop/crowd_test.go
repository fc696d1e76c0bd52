package loop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tracker/stats"
)

// A fakeLink is a connection without a socket, of whose answers so many bytes
// have not left.
type fakeLink struct{ unsent int }

func (l *fakeLink) Write(p []byte) (int, error) { return len(p), nil }
func (l *fakeLink) OutboundBuffered() int       { return l.unsent }
func (l *fakeLink) Fd() int                     { return -1 }
func (l *fakeLink) Dup() (int, error)           { return -1, unix.EMFILE }

// A testCrowd is reactors without sockets.
type testCrowd struct {
	quota
	names map[*conn]string
	gone  string // the names of those that were hung up on, in order
}

// newTestCrowd returns a crowd of so many reactors, for so many connections. A
// reactor that is woken does its chores at once.
func newTestCrowd(reactors, limit int) *testCrowd {
	w := &testCrowd{names: map[*conn]string{}}
	w.limit = int64(limit)
	cfg := Config{}.withDefaults()
	cfg.TCPReactors = reactors
	for range reactors {
		t := newTCPReactor(newTestReactor(), &w.quota, &cfg)
		t.wake = t.oblige
		t.hangUp = func(c *conn) {
			w.gone += w.names[c]
			t.closed(c)
		}
		w.reactors = append(w.reactors, t)
	}
	return w
}

// come has a connection come to reactor i, and say in. It returns nil if it was
// not kept.
func (w *testCrowd) come(i int, name, in string, unsent int) *conn {
	t := w.reactors[i]
	c := t.opened(&fakeLink{}, client4, new(Addr))
	w.names[c] = name
	return w.say(i, c, in, unsent)
}

// say has c say in and take all but unsent bytes of the answers.
func (w *testCrowd) say(i int, c *conn, in string, unsent int) *conn {
	t := w.reactors[i]
	c.link.(*fakeLink).unsent = unsent
	if !t.traffic(c, []byte(in)) || !t.place(c) {
		t.closed(c)
		return nil
	}
	return c
}

// pass lets time pass.
func (w *testCrowd) pass(d time.Duration) {
	for _, t := range w.reactors {
		t.clock.millis.Add(d.Milliseconds())
	}
}

// TestWhoGoes shows in which order connections go when there is no room: those
// that are idle, those that ask, those that are sent to; and among them the one
// first that has waited for the longest.
func TestWhoGoes(t *testing.T) {
	w := newTestCrowd(1, 6)
	a := w.come(0, "a", keep, 100) // sending
	b := w.come(0, "b", "GET", 0)
	c := w.come(0, "c", keep, 0)
	d := w.come(0, "d", "", 0)
	e := w.come(0, "e", "GET", 0)
	f := w.come(0, "f", keep, 100)
	w.say(0, c, keep, 0) // asks again: d has been idle for longer now
	w.say(0, b, "x", 0)  // says a little more, which is no progress
	w.say(0, d, "", 0)   // an event without anything to read
	for i, want := range []string{"d", "dc", "dcb", "dcbe", "dcbex", "dcbexy", "dcbexyz", "dcbexyzx", "dcbexyzxy"} {
		name := string(rune('x' + i%3))
		if w.come(0, name, "GET", 0) == nil || w.gone != want {
			t.Fatalf("newcomer %d: %q went, want %q", i, w.gone, want)
		}
	}
	if a.rank != rankSending || f.rank != rankSending || e.rank == rankSending {
		t.Errorf("who was sent to has gone before who asked")
	}
	totals := w.reactors[0].counted
	if totals(stats.TCPEvicted) != 2 || totals(stats.TCPCut) != 7 || totals(stats.TCPRefused) != 0 {
		t.Errorf("%d evicted, %d cut, %d refused", totals(stats.TCPEvicted), totals(stats.TCPCut), totals(stats.TCPRefused))
	}
	if used := w.used.Load(); used != 6 {
		t.Errorf("%d connections are counted", used)
	}

	w = newTestCrowd(1, 2) // all of them are sent to
	a = w.come(0, "a", keep, 100)
	w.come(0, "b", keep, 100)
	a.moved = true // some of it leaves
	w.reactors[0].place(a)
	if w.come(0, "c", keep, 100) == nil || w.gone != "b" {
		t.Errorf("%q went, want b", w.gone)
	}
}

// TestWhoGoesElsewhere checks that reactors make room for one another, and that
// the one that is oldest of all goes.
func TestWhoGoesElsewhere(t *testing.T) {
	w := newTestCrowd(3, 3)
	w.come(0, "a", keep, 0)
	w.pass(time.Second)
	w.come(1, "b", "GET", 0)
	w.pass(time.Second)
	w.come(2, "c", keep, 0)
	for i, want := range []string{"a", "ac", "acb"} {
		w.pass(time.Second)
		if w.come(1, "n", "GET", 0) == nil || w.gone != want {
			t.Errorf("newcomer %d: %q went, want %q", i, w.gone, want)
		}
	}

	// Who was asked and has not done it yet is not asked again.
	w = newTestCrowd(2, 2)
	w.reactors[1].wake = func() {}
	w.come(1, "a", keep, 0)
	w.come(1, "b", keep, 0)
	for range 5 {
		w.come(0, "n", "GET", 0)
	}
	if used := w.used.Load(); used != 3 { // one newcomer too many, until a has gone
		t.Errorf("%d connections, want 3", used)
	}
	w.reactors[1].oblige()
	if w.gone[len(w.gone)-1] != 'a' {
		t.Errorf("%q went", w.gone)
	}
}

// TestNobodyCanGo checks that a newcomer is turned away if everybody is at the
// desk, and only if it would have to be kept.
func TestNobodyCanGo(t *testing.T) {
	w := newTestCrowd(1, 1)
	w.used.Add(1)
	if w.come(0, "a", keep, 0) != nil || w.reactors[0].counted(stats.TCPRefused) != 1 {
		t.Errorf("there was room for one too many")
	}
	w.come(0, "b", dont, 0)
	if w.reactors[0].counted(stats.HTTPAnnounces) != 2 || w.reactors[0].counted(stats.TCPRefused) != 1 {
		t.Errorf("who does not want to stay is turned away")
	}
}

// TestNoDescriptor checks that who asks for a long answer is turned down, and
// counted, if there is no descriptor for it.
func TestNoDescriptor(t *testing.T) {
	w := newTestCrowd(1, 10)
	w.come(0, "a", "GET /stats?mode=top10 HTTP/1.1\n\n", 0)
	if r := w.reactors[0]; r.counted(stats.HTTPBusy) != 1 || w.used.Load() != 0 {
		t.Errorf("%d turned down, %d connections are counted", r.counted(stats.HTTPBusy), w.used.Load())
	}
}

// TestDeadlines shows how long connections may take.
func TestDeadlines(t *testing.T) {
	w := newTestCrowd(1, 100)
	r := w.reactors[0]
	after := func(d time.Duration, want string) {
		t.Helper()
		w.pass(d)
		w.gone = ""
		due := r.due(r.clock.millis.Load())
		r.closeSome()
		if w.gone != want || due != (want != "") {
			t.Errorf("%q went, want %q; due: %v", w.gone, want, due)
		}
	}
	w.come(0, "a", "", 0)
	asking := w.come(0, "b", "G", 0)
	late := w.come(0, "c", keep, 0)
	slow := w.come(0, "d", keep, 100)
	w.come(0, "e", keep, 100)
	after(4*time.Second, "")
	w.say(0, asking, "E", 0)
	w.say(0, late, "GET", 0) // has time for its request from now on
	after(2*time.Second, "ab")
	after(4*time.Second, "c")
	after(20*time.Second, "")
	slow.moved = true
	r.place(slow)
	after(time.Second, "e") // did not read for stallLimit
	for range 3 {
		w.pass(28 * time.Second)
		if slow.moved = true; !r.place(slow) {
			t.Fatal("a slow reader is not heard out")
		}
	}
	w.pass(28 * time.Second)
	if slow.moved = true; r.place(slow) {
		t.Error("an answer takes for ever")
	}
	if r.counted(stats.TCPExpired) != 1 || r.counted(stats.TCPTrickled) != 2 || r.counted(stats.TCPOverrun) != 2 {
		t.Errorf("counted %d expired, %d trickled, %d overrun", r.counted(stats.TCPExpired), r.counted(stats.TCPTrickled), r.counted(stats.TCPOverrun))
	}
}

// TestHeld checks that connections that wait hold no more memory than they may
// together, and that those who hold most of it have to go.
func TestHeld(t *testing.T) {
	w := newTestCrowd(1, 1<<20)
	r := w.reactors[0]
	asker := w.come(0, "a", "GET", 0)
	n := 0
	for ; r.counted(stats.TCPCrowded) == 0; n++ {
		if w.come(0, "s", keep, maxUnread) == nil {
			t.Fatal("the newcomer goes")
		}
	}
	if n != maxHeld/maxUnread || asker.rank != rankAsking || w.gone != "s" {
		t.Errorf("%d that do not read fit, %q went", n, w.gone)
	}
	for c := r.waiting[rankSending].first; c != nil; c = r.waiting[rankSending].first {
		r.hangUp(c)
	}
	if r.held != [numRanks]int{rankAsking: smallPartial} {
		t.Errorf("%v bytes are held", r.held)
	}
	for n = 1; w.gone[len(w.gone)-1] != 'a'; n++ {
		w.come(0, "t", "GET", 0)
	}
	if n != maxHeld/smallPartial+1 {
		t.Errorf("%d that trickle fit", n)
	}
}

// TestRoomAllocs checks that to accept one more and close another for it
// allocates nothing, however many there are.
func TestRoomAllocs(t *testing.T) {
	const limit = 10_000
	w := newTestCrowd(2, limit)
	r, link, in := w.reactors[0], &fakeLink{}, []byte(keep)
	come := func() {
		if c := r.opened(link, client4, new(Addr)); !r.traffic(c, in) || !r.place(c) {
			t.Fatal("it is not kept")
		}
	}
	r.hangUp = r.closed
	for range limit {
		come()
	}
	if n := testing.AllocsPerRun(1000, come); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	if r.counted(stats.TCPEvicted) < 1000 || w.used.Load() != limit {
		t.Errorf("%d evicted, %d there", r.counted(stats.TCPEvicted), w.used.Load())
	}
}

// TestPostpone checks that nobody's time is over because nobody was listened to.
func TestPostpone(t *testing.T) {
	w := newTestCrowd(1, 10)
	c := w.reactors[0]
	for i, in := range []string{"", "GET", keep} {
		w.come(0, string(rune('a'+i)), in, i/2)
	}
	w.pass(4 * time.Second)
	w.pass(time.Hour)
	c.postpone(time.Hour.Milliseconds())
	if c.due(c.clock.millis.Load()) || c.closeSome() || w.gone != "" {
		t.Errorf("%q are gone", w.gone)
	}
	w.pass(3 * time.Second)
	if !c.due(c.clock.millis.Load()) || c.closeSome() || w.gone != "ab" {
		t.Errorf("%q are gone, want those who ask nothing", w.gone)
	}
}
