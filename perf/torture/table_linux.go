package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// printVerdict prints what came of a stage: a line, and one for each lane.
func (t *trial) printVerdict(w io.Writer) {
	verdict := "held"
	switch {
	case len(t.faults) > 0 && t.ours:
		verdict = "FAULT"
	case len(t.faults) > 0:
		verdict = "would not hold"
	}
	fmt.Fprintf(w, "%s, %s: %s. %s\n", t.name, t.stage.title, verdict, strings.Join(t.said, "; "))
	const most = 8 // one is enough to know, and there may be thousands
	for i, f := range t.faults {
		if i == most {
			fmt.Fprintf(w, "    … and %d more\n", len(t.faults)-most)
			break
		}
		fmt.Fprintf(w, "    %s\n", f)
	}
	for i := range t.lanes {
		y := &t.lanes[i]
		fmt.Fprintf(w, "  %-10s %d asked, %d answered, %d when asked again, %d lost, %d wrong; p50 %s, p99 %s, most %s ms\n",
			t.witness.lanes[i].name, y.asked, y.answered, y.answered-y.first, y.lost, y.wrong, ms(y.latency.Quantile(0.5)), ms(y.latency.Quantile(0.99)), ms(y.longest))
	}
	fmt.Fprintf(w, "  CPU %.2f s, of other programs %.1f s, kernel drops %d, descriptors %d before, %d after, threads %d, %d, RSS %.1f MB before, %.1f at most, %.1f after\n",
		t.cpu.Seconds(), t.others.Seconds(), t.drops, t.before.Files, t.after.Files, t.before.Threads, t.after.Threads, mb(t.before.RSS), mb(t.peak), mb(t.after.RSS))
}

// printTable prints a row for each stage and tracker, in Markdown: what the
// witness had over IPv4, which all trackers serve, and what it cost.
func printTable(w io.Writer, rows [][]*trial) {
	fmt.Fprintln(w, "\n| stage | | witness: asked | again | lost | wrong | UDP p50, p99, most ms | HTTP p50, p99, most ms | CPU s | kernel drops | RSS MB: before, most, after | descriptors | threads |")
	fmt.Fprintln(w, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, st := range stages {
		for _, trials := range rows {
			for _, t := range trials {
				if t.stage == st {
					t.printRow(w)
				}
			}
		}
	}
}

func (t *trial) printRow(w io.Writer) {
	var sum tally
	latencies := [2]string{"–", "–"}
	for i := range t.lanes {
		y := &t.lanes[i]
		sum.asked += y.asked
		sum.answered += y.answered
		sum.first += y.first
		sum.lost += y.lost
		sum.wrong += y.wrong
		if i < len(latencies) && y.answered > 0 {
			latencies[i] = fmt.Sprintf("%s, %s, %s", ms(y.latency.Quantile(0.5)), ms(y.latency.Quantile(0.99)), ms(y.longest))
		}
	}
	fmt.Fprintf(w, "| %s | %s | %d | %d | %d | %d | %s | %s | %.2f | %d | %.1f, %.1f, %.1f | %d → %d | %d → %d |\n",
		t.stage.title, t.name, sum.asked, sum.answered-sum.first, sum.lost, sum.wrong, latencies[0], latencies[1],
		t.cpu.Seconds(), t.drops, mb(t.before.RSS), mb(t.peak), mb(t.after.RSS),
		t.before.Files, t.after.Files, t.before.Threads, t.after.Threads)
}

// ms prints a duration in ms with three digits that count, about.
func ms(d time.Duration) string {
	v := float64(d.Nanoseconds()) / 1e6
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
