package loop

import (
	"net/netip"
	"testing"
	"time"

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
	id := first.key.ID(addr, first.clock.epoch.Load())
	if other := run(nil); other.key.Valid(id, addr, first.clock.epoch.Load()) {
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
		if got := second.key.Valid(id, addr, second.clock.epoch.Load()); got != tt.want {
			t.Errorf("%v later: good is %v, want %v", tt.away, got, tt.want)
		}
		if got := second.ConnIDs(); got.Secret != saved.Secret || got.Clock != saved.Clock+tt.away {
			t.Errorf("%v later: a third server is given %v, want %v", tt.away, got.Clock, saved.Clock+tt.away)
		}
	}
}
