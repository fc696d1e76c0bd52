package perf

import (
	"slices"
	"testing"
	"time"
)

// TestHistogramBuckets walks every bucket: they must follow each other
// without gap, and each hold what lies between the last one's end and its own.
func TestHistogramBuckets(t *testing.T) {
	last := time.Duration(-1)
	for i := range histBuckets {
		upper := histUpper(i)
		if histBucket(last+1) != i || histBucket(upper) != i {
			t.Fatalf("bucket %d: %d to %d ns fall into buckets %d and %d", i, last+1, upper, histBucket(last+1), histBucket(upper))
		}
		if width := upper - last; i >= 2<<histSub && float64(width) > float64(upper)/(1<<histSub) {
			t.Fatalf("bucket %d is %d ns wide at %d ns", i, width, upper)
		}
		last = upper
	}
	if last != 1<<histMaxBits-1 {
		t.Errorf("the last bucket ends at %d ns", last)
	}
}

func TestHistogramQuantiles(t *testing.T) {
	rnd := splitmix(1)
	var h Histogram
	all := make([]time.Duration, 0, 10_000)
	for range cap(all) {
		x := rnd.next()
		d := time.Duration(x >> (24 + x&31)) // over nine decades
		all = append(all, d)
		h.Add(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.1, 0.5, 0.9, 0.99, 0.999, 1} {
		exact := all[min(int(q*float64(len(all))), len(all)-1)]
		got := h.Quantile(q)
		if got < exact || float64(got) > float64(exact)*1.032+1 {
			t.Errorf("quantile %g is %v, want %v or up to 3.2 %% more", q, got, exact)
		}
	}
}

func TestHistogramMerge(t *testing.T) {
	var a, b Histogram
	a.Add(time.Millisecond)
	b.Add(time.Second)
	b.Add(-time.Second)
	b.Add(1000 * time.Hour)
	a.Merge(&b)
	if a.Count() != 4 {
		t.Errorf("%d durations, want 4", a.Count())
	}
	if got := a.Quantile(0); got != 0 {
		t.Errorf("a negative duration counts as %v, want 0", got)
	}
	if got := a.Quantile(1); got != 1<<histMaxBits-1 {
		t.Errorf("a long one counts as %v", got)
	}
	var none Histogram
	if got := none.Quantile(0.5); got != 0 {
		t.Errorf("median of nothing is %v", got)
	}
}

func BenchmarkHistogramAdd(b *testing.B) {
	var h Histogram
	d := time.Microsecond
	for b.Loop() {
		h.Add(d)
	}
}
