package main

import (
	"fmt"
	"slices"
)

// printTable prints one row a contender, in Markdown.
func printTable(s scenario, cs []*contender) {
	fmt.Printf("\n### %s\n\n", s.title)
	fmt.Println("| | CPU µs | × peer | × floor | a second | p50 µs | p99 µs | p99.9 µs | lost % | RSS kB |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, c := range cs {
		fmt.Printf("| %s | %s | %s | %s | %s | %s | %s | %s | %s | %d |\n", c.name,
			spread("%.2f", c.column(func(r round) float64 { return r.cpu })),
			ratio(c, find(cs, func(c *contender) bool { return c.peer })),
			ratio(c, find(cs, func(c *contender) bool { return c.floor })),
			spread("%.0f", c.column(func(r round) float64 { return r.perSecond })),
			spread("%.0f", c.column(func(r round) float64 { return r.p50 })),
			spread("%.0f", c.column(func(r round) float64 { return r.p99 })),
			spread("%.0f", c.column(func(r round) float64 { return r.p999 })),
			spread("%.3f", c.column(func(r round) float64 { return 100 * r.lost })),
			c.memory.RSS>>10)
	}
}

// find returns the first contender that is meant, or nil.
func find(cs []*contender, is func(*contender) bool) *contender {
	if i := slices.IndexFunc(cs, is); i >= 0 {
		return cs[i]
	}
	return nil
}

// column returns one number of every round.
func (c *contender) column(of func(round) float64) []float64 {
	var v []float64
	for _, r := range c.rounds {
		v = append(v, of(r))
	}
	return v
}

// ratio returns the CPU time of c to that of o, taken round by round: what
// slows the machine down for a while slows both.
func ratio(c, o *contender) string {
	if o == nil || c == o {
		return "–"
	}
	var v []float64
	for i := range c.rounds {
		v = append(v, c.rounds[i].cpu/o.rounds[i].cpu)
	}
	return spread("%.2f", v)
}

// spread prints the median of v, with the least and most if there are more.
func spread(format string, v []float64) string {
	low, mid, high := summary(v)
	text := fmt.Sprintf(format, mid)
	if len(v) > 1 {
		text += fmt.Sprintf(" ("+format+"–"+format+")", low, high)
	}
	return text
}

// summary returns the least, the median and the most of v, which has one
// element or more. The median of an even number is the mean of the middle two.
func summary(v []float64) (low, mid, high float64) {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return v[0], (v[(n-1)/2] + v[n/2]) / 2, v[n-1]
}
