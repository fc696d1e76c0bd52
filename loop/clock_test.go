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

// newMint returns a mint of ids whose clock is that of the server.
func newMint(c *clock) *idMint { return &idMint{keys: &c.keys} }

func TestTimekeeper(t *testing.T) {
	f := &fakeTime{t: 100*time.Hour + 30*time.Second}
	c := new(clock)
	k := newTimekeeper(f.now, newMint(c), c, store.New(store.Options{}))
	if c.minute.Load() != 6000 || c.keys.Load().epoch != 100 || c.millis.Load() != 360030000 {
		t.Errorf("started with minute %d, epoch %d, millis %d", c.minute.Load(), c.keys.Load().epoch, c.millis.Load())
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
		if got, want := c.keys.Load().epoch, uint32(f.t/time.Hour); got != want {
			t.Errorf("%s: epoch %d, want %d", tt.name, got, want)
		}
	}
}

// TestPeersExpire follows a peer through the clock of a whole server's life.
func TestPeersExpire(t *testing.T) {
	r := newTestReactor()
	f := &fakeTime{t: time.Hour}
	k := newTimekeeper(f.now, newMint(r.clock), r.clock, r.store)
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

// TestWallMinutes checks that minutes begin with those of the wall clock, and
// follow one that is set without haste.
func TestWallMinutes(t *testing.T) {
	f, c := &fakeTime{t: 1000*time.Hour + 42*time.Second}, new(clock)
	wall := time.Date(2026, 11, 23, 12, 0, 17, 0, time.UTC).Add(-f.t)
	k := newTimekeeper(f.now, newMint(c), c, store.New(store.Options{Shards: 1}))
	k.followWall(func() time.Time { return wall.Add(f.t) })
	// begins lets a minute begin, and returns by how much of one the wall clock
	// is past that.
	begins := func() time.Duration {
		before := c.minute.Load()
		for range 1 << 20 {
			pause := k.step()
			if c.minute.Load() != before {
				for k.sweeping {
					k.step()
				}
				return time.Duration(wall.Add(f.t).UnixNano()) % time.Minute
			}
			f.t += pause
		}
		t.Fatal("no minute begins")
		return 0
	}
	first := c.minute.Load()
	for range 3 {
		if off := begins(); off > time.Millisecond {
			t.Errorf("a minute begins %v late", off)
		}
	}
	if got := c.minute.Load(); got != first+3 {
		t.Errorf("%d minutes in two and 43 seconds", got-first)
	}
	for _, set := range []time.Duration{20 * time.Second, -25 * time.Second, 5 * time.Hour, -7*24*time.Hour - 29*time.Second} {
		wall = wall.Add(set)
		began, minutes := f.t, 0
		for off := time.Minute; off > 2*time.Millisecond && off < time.Minute-2*time.Millisecond; minutes++ {
			before := f.t
			off = begins()
			if took := f.t - before; minutes > 0 && (took < 50*time.Second || took > 70*time.Second) {
				t.Errorf("set by %v: a minute took %v", set, took)
			}
			if f.t-began > 10*time.Minute {
				t.Fatalf("set by %v: %v off after %v", set, off, f.t-began)
			}
		}
	}
}
