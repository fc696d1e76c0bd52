package loop

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestWallClockStep checks that time comes from the boot clock, which does not
// move when somebody sets the wall clock: it agrees with what the system says
// about how long it has been up, and has nothing of 1970 in it.
func TestWallClockStep(t *testing.T) {
	b, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(b), " ")
	up, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	if diff := bootTime().Seconds() - up; diff < -0.1 || diff > 10 {
		t.Errorf("the clock differs by %v s from the machine's uptime", diff)
	}
}
