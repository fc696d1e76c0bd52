package main

import "testing"

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		v    []float64
		want string
	}{
		{[]float64{2}, "2.0"},
		{[]float64{3, 1, 2}, "2.0 (1.0–3.0)"},
		{[]float64{4, 1, 2, 3}, "2.5 (1.0–4.0)"},
	} {
		if got := spread("%.1f", tt.v); got != tt.want {
			t.Errorf("spread of %v is %s, want %s", tt.v, got, tt.want)
		}
	}
}

// TestRatio has the machine twice as slow in one round: the ratio is taken
// within rounds, so it does not show.
func TestRatio(t *testing.T) {
	a := &contender{rounds: []round{{cpu: 5}, {cpu: 10}, {cpu: 5}}}
	b := &contender{rounds: []round{{cpu: 10}, {cpu: 20}, {cpu: 10}}}
	if got, want := ratio(a, b), "0.50 (0.50–0.50)"; got != want {
		t.Errorf("ratio is %s, want %s", got, want)
	}
	if got := ratio(a, nil); got != "–" {
		t.Errorf("ratio to nobody is %s", got)
	}
}
