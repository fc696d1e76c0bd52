package perf

import (
	"testing"
	"time"
)

// TestBusyTime reads what the kernel writes.
func TestBusyTime(t *testing.T) {
	got, err := busyTime([]byte("cpu  100 20 3 9999 1 0 5 0 0 0\ncpu0 1 1 1 1\n"))
	if err != nil || got != 1280*time.Millisecond {
		t.Errorf("%v, %v; want 1.28 s", got, err)
	}
	if _, err := busyTime([]byte("intr 1")); err == nil {
		t.Error("no error for another line")
	}
}
