package store

import "testing"

// TestWhoShares tells programs that can map another's memory from those that cannot:
// these are given a snapshot.
func TestWhoShares(t *testing.T) {
	s := New(Options{Shards: 1, Shared: true})
	defer s.shards[0].release()
	can := s.Memory() >= 0
	s.mem.close()
	for _, l := range []Limits{{}, {PortsPerAddress: 3}} {
		if got := Layout(l) == layoutOf(l, true); got != can {
			t.Errorf("%+v: it can go on with another's memory: %v; it says %v", l, can, got)
		}
	}
	if Layout(Limits{}) == Layout(Limits{PortsPerAddress: 3}) {
		t.Error("the order of peers does not matter")
	}
}
