package main

import (
	"bytes"
	"fmt"
	"html"
)

// Lengths of the drawing, in px.
const (
	plotWidth = 760
	plotLeft  = 170 // where bars begin
	plotBars  = 440 // the longest bar
	plotRow   = 22
	plotBar   = 15
	plotHead  = 40 // above the bars of a scenario
)

// style makes one drawing readable on white and on black.
const style = `text{font:13px system-ui,sans-serif;fill:#24292f}
.t{font-weight:600}.s{fill:#57606a}
.o{fill:#1a7f37}.r{fill:#8c959f}.f{fill:#d0d7de}
.w{stroke:#57606a;stroke-width:1}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.s{fill:#9198a1}
.o{fill:#3fb950}.r{fill:#6e7681}.f{fill:#3d444d}.w{stroke:#9198a1}}
`

// draw returns an SVG with a bar for the CPU time per request of each server
// in each scenario, and a line from the least to the most of its rounds. Each
// scenario has a scale of its own.
func (r *report) draw() []byte {
	var b bytes.Buffer
	y := 0
	for _, s := range r.Scenarios {
		if len(s.Runs) > 0 {
			y += s.draw(&b, y)
		}
	}
	fmt.Fprintf(&b, "<text class=\"s\" x=\"0\" y=\"%d\">%s, Linux %s, %s, commit %s</text>\n",
		y+28, html.EscapeString(r.Machine.CPU), html.EscapeString(r.Machine.Kernel), r.Machine.Go, r.Machine.Commit)
	height := y + 40
	head := fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %[1]d %[2]d\">\n<style>%s</style>\n",
		plotWidth, height, style)
	return append(append([]byte(head), b.Bytes()...), "</svg>\n"...)
}

// draw draws one scenario from y on and returns its height.
func (r *result) draw(b *bytes.Buffer, y int) int {
	fmt.Fprintf(b, "<text class=\"t\" x=\"0\" y=\"%d\">%s</text><text class=\"s\" x=\"%d\" y=\"%[1]d\" text-anchor=\"end\">CPU µs a request</text>\n",
		y+26, html.EscapeString(r.Title), plotWidth-1)
	longest := 0.0
	for _, c := range r.Runs {
		_, _, high := summary(c.column(cpu))
		longest = max(longest, high)
	}
	px := func(v float64) float64 { return v / longest * plotBars }
	for i, c := range r.Runs {
		low, mid, high := summary(c.column(cpu))
		top := y + plotHead + i*plotRow
		class := "r"
		switch {
		case c.Floor:
			class = "f"
		case c.Key == ours:
			class = "o"
		}
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>", plotLeft-8, top+12, html.EscapeString(c.Title))
		fmt.Fprintf(b, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", class, plotLeft, top, px(mid), plotBar)
		fmt.Fprintf(b, "<path class=\"w\" d=\"M%.1f %dH%.1f\"/>", plotLeft+px(low), top+plotBar/2, plotLeft+px(high))
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\">%.2f</text>\n", plotLeft+px(high)+6, top+12, mid)
	}
	return plotHead + len(r.Runs)*plotRow
}
