package perf

import (
	"errors"
	"slices"
	"testing"
)

// TestHeld has one thing ended by hand, twice, and the others together.
func TestHeld(t *testing.T) {
	var h Held
	var ended []int
	var ends []func()
	for i := range 4 {
		end, err := h.Hold(func() (func(), error) { return func() { ended = append(ended, i) }, nil })
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	wrong := errors.New("wrong")
	if _, err := h.Hold(func() (func(), error) { return func() { t.Error("ended what was not made") }, wrong }); err != wrong {
		t.Error(err)
	}
	ends[1]()
	ends[1]()
	h.Release()
	ends[0]()
	if want := []int{1, 3, 2, 0}; !slices.Equal(ended, want) {
		t.Errorf("ended in order %v, want %v", ended, want)
	}
}
