package whitelist

import (
	"sync"
	"testing"

	"tracker/proto"
)

// FuzzOverlay runs the input as a program, two bytes to a step (mark, key),
// against an overlay and a plain map, and compares them.
func FuzzOverlay(f *testing.F) {
	f.Add([]byte{1, 1, 2, 1, 1, 1})
	all := []byte{}
	for i := range 256 { // enough to grow twice
		all = append(all, byte(i), byte(i))
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, program []byte) {
		var o *overlay
		model := map[proto.Infohash]mark{}
		for ; len(program) >= 2; program = program[2:] {
			ih, m := proto.Infohash{program[1]}, added+mark(program[0]&1)
			var ok bool
			if o, ok = o.set(&ih, m); !ok {
				t.Fatal("full")
			}
			model[ih] = m
		}
		var adds, deletes int
		for i := range 256 {
			ih := proto.Infohash{byte(i)}
			if got := o.get(&ih); got != model[ih] {
				t.Errorf("%d: got %d, want %d", i, got, model[ih])
			}
			switch model[ih] {
			case added:
				adds++
			case deleted:
				deletes++
			}
		}
		if a, d := o.counts(); a != adds || d != deletes {
			t.Errorf("counts %d and %d, want %d and %d", a, d, adds, deletes)
		}
	})
}

// TestOverlayFull pretends that an overlay is as full as it may be.
func TestOverlayFull(t *testing.T) {
	hashes := randomHashes(2)
	o, _ := (*overlay)(nil).set(&hashes[0], added)
	o.count = MaxOverlay
	if _, ok := o.set(&hashes[0], deleted); !ok || o.get(&hashes[0]) != deleted {
		t.Error("a full overlay does not change the mark of a hash it has")
	}
	if _, ok := o.set(&hashes[1], added); ok || o.get(&hashes[1]) != unmarked {
		t.Error("a full overlay took one more")
	}
}

// TestOverlayConcurrent looks hashes up while they are being written; it is for
// the race detector.
func TestOverlayConcurrent(t *testing.T) {
	hashes := randomHashes(minOverlay)
	o := newOverlay(minOverlay)
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			for i := range hashes {
				for o.get(&hashes[i]) == unmarked { // the writer is on its way
				}
			}
		})
	}
	for i := range hashes {
		o.set(&hashes[i], added)
	}
	running.Wait()
}
