package main

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestFit holds fitted lines against those the samples were made of.
func TestFit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		name    string
		perHour float64 // bytes
		noise   float64
		flat    bool
	}{
		{"nothing moves", 0, 0, true},
		{"noise", 0, 40 << 10, true},
		{"a page now and then", 64 << 10, 0, true},
		{"a leak", 1 << 20, 40 << 10, false},
		{"it shrinks", -1 << 20, 40 << 10, true},
	} {
		var samples []sample
		for at := 30 * time.Minute; at < time.Hour; at += 10 * time.Second {
			rss := 20<<20 + tt.perHour*at.Hours() + tt.noise*r.NormFloat64()
			samples = append(samples, sample{at, int64(rss)})
		}
		got := fit(samples)
		if got.flat() != tt.flat {
			t.Errorf("%s: %+v, flat %v", tt.name, got, got.flat())
		}
		if d := math.Abs(got.perHour - tt.perHour); d > 4*got.err+1 {
			t.Errorf("%s: slope %.0f ± %.0f, want %.0f", tt.name, got.perHour, got.err, tt.perHour)
		}
	}
}

// TestFitSteps has a resident set wander: neighbours are alike, and what looks
// like a trend is none.
func TestFitSteps(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	grown, level := 0, 0.0
	const runs = 200
	for range runs {
		var samples []sample
		for i := range 180 {
			level = 0.9*level + 40e3*r.NormFloat64()
			samples = append(samples, sample{time.Duration(i) * 10 * time.Second, 1<<20 + int64(level)})
		}
		if s := fit(samples); s.perHour > maxErrors*s.err {
			grown++
		}
	}
	if grown > runs/20 {
		t.Errorf("%d of %d wanderings pass for growth", grown, runs)
	}
}
