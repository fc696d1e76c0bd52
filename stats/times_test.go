package stats

import (
	"math"
	"testing"
	"time"
)

func TestTimeClass(t *testing.T) {
	for i := range NumTimes - 1 {
		bound := TimeBound(i)
		if got := timeClass(bound); got != i {
			t.Errorf("%v is in class %d, want %d", bound, got, i)
		}
		if got := timeClass(bound + 1); got != i+1 {
			t.Errorf("%v and a nanosecond is in class %d, want %d", bound, got, i+1)
		}
	}
	for _, d := range []time.Duration{-1, 0, 1, time.Microsecond} {
		if got := timeClass(d); got != 0 {
			t.Errorf("%v is in class %d", d, got)
		}
	}
	if got := timeClass(math.MaxInt64); got != NumTimes-1 {
		t.Errorf("the longest is in class %d", got)
	}
	if got := TimeBound(NumTimes - 2); got != 1048576*time.Microsecond {
		t.Errorf("the last bound is %v", got)
	}
}

func TestQuantile(t *testing.T) {
	var c Counters
	var s Snapshot
	c.Took(3*time.Microsecond, 90)
	c.Took(100*time.Microsecond, 9)
	c.Took(5*time.Second, 1)
	s.AddWire(UDP, &c)
	got := &s.Times[UDP]
	if n, sum := got.Count(), got.Nanos; n != 100 || sum != 90*3000+9*100000+5000000000 {
		t.Errorf("%d requests took %d ns", n, sum)
	}
	for _, tt := range []struct{ q, low, high float64 }{
		{0.5, 2e-6, 4e-6},
		{0.9, 4e-6, 4e-6},
		{0.95, 64e-6, 128e-6},
		{0.999, 1.04, 1.05},
	} {
		if v := got.Quantile(tt.q); v < tt.low || v > tt.high {
			t.Errorf("quantile %v is %v, want %v to %v", tt.q, v, tt.low, tt.high)
		}
	}
	if v := s.Times[HTTP].Quantile(0.5); !math.IsNaN(v) {
		t.Errorf("without requests it is %v", v)
	}
}

// TestWires keeps what each wire had apart.
func TestWires(t *testing.T) {
	var udp, http, own Counters
	var s Snapshot
	udp.Add(Refusals, V4, 1)
	http.Add(Refusals, V6, 2)
	own.Add(Refusals, V4, 4)
	s.AddWire(UDP, &udp)
	s.AddWire(HTTP, &http)
	s.Add(&own)
	if u, h, all := s.Wires[UDP].Sum(Refusals), s.Wires[HTTP].Sum(Refusals), s.Totals.Sum(Refusals); u != 1 || h != 2 || all != 7 {
		t.Errorf("UDP %d, HTTP %d, all %d", u, h, all)
	}
}
