package main

import (
	"testing"

	"github.com/cespare/xxhash/v2"

	"tracker/proto"
)

// TestColliding holds what is made against the hash that it is made for.
func TestColliding(t *testing.T) {
	seen := map[proto.Infohash]bool{}
	for _, ih := range colliding(20_000) {
		if sum := xxhash.Sum64(ih[:]); sum&0xffff != 0xbeef {
			t.Fatalf("%x has the sum %#x", ih, sum)
		}
		seen[ih] = true
	}
	if len(seen) != 20_000 {
		t.Errorf("%d different infohashes, want 20000", len(seen))
	}
}
