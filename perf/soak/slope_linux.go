package main

import (
	"math"
	"time"
)

// A sample is the resident set at a moment.
type sample struct {
	at  time.Duration // since the soak began
	rss int64         // bytes
}

// A slope is that of a line fitted to samples by least squares.
type slope struct {
	perHour float64 // bytes
	err     float64 // its standard error
	mean    float64 // bytes
}

// fit fits a line to samples, three at least. Resident sets come in steps, and
// a sample is much like the one before; as if each were news, the standard
// error would be far too small. It is taken as that of as many independent
// samples as there would be of a process in which neighbours' residuals agree
// as much as here (Bartlett: n (1-r) / (1+r), r their correlation).
func fit(samples []sample) slope {
	n := float64(len(samples))
	var t, y float64
	for _, s := range samples {
		t += s.at.Hours() / n
		y += float64(s.rss) / n
	}
	var tt, ty float64
	for _, s := range samples {
		d := s.at.Hours() - t
		tt += d * d
		ty += d * (float64(s.rss) - y)
	}
	b := ty / tt
	var sum, neighbours, last float64
	for i, s := range samples {
		residual := float64(s.rss) - y - b*(s.at.Hours()-t)
		sum += residual * residual
		if i > 0 {
			neighbours += residual * last
		}
		last = residual
	}
	if sum == 0 {
		return slope{perHour: b, mean: y}
	}
	r := min(max(neighbours/sum, 0), 0.99)
	free := max(n*(1-r)/(1+r)-2, 1)
	return slope{perHour: b, err: math.Sqrt(sum / free / tt), mean: y}
}

// Limits of growth.
const (
	maxErrors = 3    // standard errors
	maxShare  = 0.01 // of the resident set, in an hour
)

// flat reports whether the resident set may be said not to grow.
func (s slope) flat() bool {
	return s.perHour <= maxErrors*s.err || s.perHour <= maxShare*s.mean
}
