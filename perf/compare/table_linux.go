package main

import (
	"fmt"
	"io"
)

// ours and debians are the keys of the two that all others are held against;
// listed is that of ours with the whitelist that Debian's must have.
const (
	ours    = "tracker"
	debians = "opentracker"
	listed  = "listed"
)

// print writes one row a server, in Markdown, and what the generator needed.
func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n", r.Title)
	fmt.Fprintln(w, "| | CPU µs | tracker's × this | × opentracker | × floor | a second | p50 µs | p99 µs | p99.9 µs | lost % | bytes | RSS kB |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, c := range r.Runs {
		_, bytes, _ := summary(c.column(answerBytes))
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %.0f | %d |\n", c.Title,
			spread("%.2f", c.column(cpu)),
			spread("%.2f", ratios(r.run(ours), c, cpu)),
			spread("%.2f", ratios(c, r.run(debians), cpu)),
			spread("%.2f", ratios(c, r.floor(), cpu)),
			spread("%.0f", c.column(perSecond)),
			spread("%.0f", c.column(p50)),
			spread("%.0f", c.column(p99)),
			spread("%.0f", c.column(p999)),
			spread("%.3f", c.column(lost)),
			bytes, c.Memory.RSS>>10)
	}
	fmt.Fprint(w, "\nGenerator, CPU µs a request, and how busy it was:")
	for i, c := range r.Runs {
		_, mid, _ := summary(c.column(generator))
		_, share, _ := summary(c.column(busy))
		fmt.Fprintf(w, "%s %s %.2f, %.0f %%", separator(i, ";"), c.Title, mid, share)
	}
	fmt.Fprintln(w, ".")
	for _, n := range r.Notes {
		fmt.Fprintf(w, "\n%s\n", n)
	}
}

// separator returns s but before the first of a list.
func separator(i int, s string) string {
	if i == 0 {
		return ""
	}
	return s
}

// printProcesses writes what was learnt of idle servers and of the collector.
func printProcesses(w io.Writer, all []process) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(w, "\n### Idle process, and the collector under full load")
	fmt.Fprintln(w, "\n| | idle RSS kB | collector, % of CPU, UDP | HTTP, a connection each |")
	fmt.Fprintln(w, "|---|--:|--:|--:|")
	for _, p := range all {
		fmt.Fprintf(w, "| %s | %d | %s | %s |\n", p.Title, p.Idle>>10, percent(p.GCUDP), percent(p.GCHTTP))
	}
}

// percent prints a share, or a dash if it was not measured.
func percent(share *float64) string {
	if share == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f", 100**share)
}
