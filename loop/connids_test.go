package loop

import (
	"net/netip"
	"testing"
	"time"

	"tracker/proto"
	"tracker/store"
)

// TestConnIDsGoOn starts a server after another, on a machine whose clock has
// begun anew meanwhile: ids of the first are good for as long as they would
// have been there, and not again later.
func TestConnIDsGoOn(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	now := 1000*epochLength + time.Minute
	run := func(ready func(*Heritage) error) *Server {
		s, err := Run(Config{
			Listen: []Addr{{Network: "tcp", AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}},
			Store:  store.New(store.Options{Shards: 1}), Now: func() time.Duration { return now }, Ready: ready,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Stop()
		return s
	}
	first := run(nil)
	id := first.clock.keys.Load().id(addr)
	if other := run(nil); other.clock.keys.Load().valid(id, addr) {
		t.Error("another server takes the ids of the first")
	}
	saved := first.ConnIDs()
	for _, tt := range []struct {
		away time.Duration
		want bool
	}{{0, true}, {30 * time.Minute, true}, {epochLength, true}, {2 * epochLength, false}, {1000 * epochLength, false}} {
		now = 5 * time.Second // since the machine was started
		second := run(func(h *Heritage) error {
			h.IDs = ConnIDs{saved.Secret, saved.Clock + tt.away}
			return nil
		})
		if got := second.clock.keys.Load().valid(id, addr); got != tt.want {
			t.Errorf("%v later: good is %v, want %v", tt.away, got, tt.want)
		}
		if got := second.ConnIDs(); got.Secret != saved.Secret || got.Clock != saved.Clock+tt.away {
			t.Errorf("%v later: a third server is given %v, want %v", tt.away, got.Clock, saved.Clock+tt.away)
		}
	}
}

// TestAdopt has a mint take over secrets of other trackers.
func TestAdopt(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.1")
	var c clock
	f := &fakeTime{t: 10 * time.Minute}
	m := newMint(&c)
	secret := func(n byte) [16]byte { return [16]byte{n} }
	m.use(ConnIDs{secret(1), 50 * epochLength}, nil, f.t)
	id := func() proto.ConnID { return c.keys.Load().id(addr) }
	passes := func(d time.Duration) {
		f.t += d
		m.refresh(f.t)
	}
	good := func(what string, id proto.ConnID, want bool) {
		t.Helper()
		if got := c.keys.Load().valid(id, addr); got != want {
			t.Errorf("%s: good is %v, want %v", what, got, want)
		}
	}
	alone := c.keys.Load().key.ID(addr, 51)
	good("of a clock that is ahead, alone", alone, false)
	first := id()
	m.adopt(ConnIDs{secret(2), 70*epochLength + 30*time.Minute}, f.t)
	second := id()
	good("the first", first, true)
	good("the second", second, true)
	good("of a clock that is ahead", c.keys.Load().key.ID(addr, 71), true)
	good("of one far ahead", c.keys.Load().key.ID(addr, 72), false)
	good("of one far behind", c.keys.Load().key.ID(addr, 68), false)
	if ids := m.present(f.t); ids.Secret != secret(2) || ids.Clock != 70*epochLength+30*time.Minute {
		t.Errorf("the clock is %v", ids.Clock)
	}
	m.adopt(ConnIDs{secret(2), 70 * epochLength}, f.t)
	if got := m.present(f.t).Clock; got != 70*epochLength+30*time.Minute {
		t.Errorf("the clock has gone back to %v", got)
	}
	var c2 clock // of a process that goes on with it
	m2 := newMint(&c2)
	m2.use(m.present(f.t), m.past(f.t), f.t)
	for _, id := range []proto.ConnID{first, second} {
		if !c2.keys.Load().valid(id, addr) {
			t.Error("an id is no good in another process")
		}
	}
	passes(59 * time.Minute) // the first secret's clock is at 50:59, the second's at 71:29
	good("the first, the hour over", first, true)
	good("the second, the hour over", second, true)
	passes(time.Hour + time.Minute)
	m2.refresh(f.t)
	if n := len(c2.keys.Load().earlier); n != 0 {
		t.Errorf("the other process keeps %d earlier secrets for nothing", n)
	}
	good("the first, two hours later", first, false)
	if n := len(c.keys.Load().earlier); n != 0 {
		t.Errorf("%d earlier secrets are kept for nothing", n)
	}

	// One that comes and goes, and too many.
	m.adopt(ConnIDs{secret(3), 0}, f.t)
	passes(time.Minute)
	m.adopt(ConnIDs{secret(2), 0}, f.t)
	if got := m.present(f.t).Clock; got < 72*epochLength {
		t.Errorf("a secret that comes again has a clock of %v", got)
	}
	for n := range byte(20) {
		m.adopt(ConnIDs{secret(10 + n), 0}, f.t)
	}
	if n := len(c.keys.Load().earlier); n != maxEarlier {
		t.Errorf("%d earlier secrets are kept, want %d", n, maxEarlier)
	}
}
