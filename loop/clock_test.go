package loop

import (
	"testing"
	"time"

	"tracker/proto"
	"tracker/store"
)

// A fakeTime is a clock that moves when it is told.
type fakeTime struct{ t time.Duration }

func (f *fakeTime) now() time.Duration { return f.t }

// settle takes steps until the timekeeper has nothing to do, and returns how
// many minutes went by for the store.
func settle(t *testing.T, k *timekeeper) (minutes uint32) {
	t.Helper()
	before := k.clock.minute.Load()
	last := before
	for range 1 << 20 {
		pause := k.step()
		now := k.clock.minute.Load()
		if now-last > 1 {
			t.Fatalf("the store's minute jumps from %d to %d", last, now)
		}
		if last = now; pause == tick {
			return last - before
		}
	}
	t.Fatal("no end of sweeping")
	return 0
}

func TestTimekeeper(t *testing.T) {
	f := &fakeTime{t: 100*time.Hour + 30*time.Second}
	c := new(clock)
	k := newTimekeeper(f.now, f.now, c, store.New(store.Options{}))
	if c.minute.Load() != 6000 || c.epoch.Load() != 100 || c.millis.Load() != 360030000 {
		t.Errorf("started with minute %d, epoch %d, millis %d", c.minute.Load(), c.epoch.Load(), c.millis.Load())
	}
	tests := []struct {
		name    string
		passes  time.Duration
		minutes uint32
	}{
		{"nothing", 0, 0},
		{"less than a minute", 29 * time.Second, 0},
		{"the rest of it", time.Second, 1},
		{"a minute", time.Minute, 1},
		{"an hour asleep", time.Hour, 60},
		{"a weekend asleep", 60 * time.Hour, maxCatchUp},
		{"a minute after that", time.Minute, 1},
		{"a clock that goes back", -10 * time.Minute, 0},
		{"and comes forward again", 11 * time.Minute, 1},
	}
	for _, tt := range tests {
		f.t += tt.passes
		if got := settle(t, k); got != tt.minutes {
			t.Errorf("%s: %d minutes swept, want %d", tt.name, got, tt.minutes)
		}
		if got, want := c.epoch.Load(), uint32(f.t/time.Hour); got != want {
			t.Errorf("%s: epoch %d, want %d", tt.name, got, want)
		}
	}
}

// TestPeersExpire follows a peer through the clock of a whole server's life.
func TestPeersExpire(t *testing.T) {
	r := newTestReactor()
	f := &fakeTime{t: time.Hour}
	k := newTimekeeper(f.now, f.now, r.clock, r.store)
	ih := proto.Infohash{0: 'a'}
	known := func() bool {
		counts, _ := r.store.Scrape(&ih)
		return counts.Incomplete == 1
	}
	r.announce(&proto.Announce{Infohash: ih, Left: 1, Port: 1}, client4.Addr(), 0, ownFamily)
	for range int(store.DefaultExpire) - 1 {
		f.t += time.Minute
		settle(t, k)
	}
	if !known() {
		t.Errorf("the peer expired too early")
	}
	f.t += 3 * time.Minute
	settle(t, k)
	if known() {
		t.Errorf("the peer did not expire")
	}
	r.announce(&proto.Announce{Infohash: ih, Left: 1, Port: 1}, client4.Addr(), 0, ownFamily)
	f.t += 1000 * time.Hour
	settle(t, k)
	if known() {
		t.Errorf("the peer outlived a long suspension")
	}
}
