package main

import (
	"fmt"
	"io"
	"strconv"
)

// lost returns the share of what was due that was not answered, 0 to 1.
func (r *row) lost() float64 { return max(1-float64(r.res.Answered)/r.due, 0) }

// printTable prints one row a load and tracker, in Markdown.
func printTable(w io.Writer, ours, theirs []row) {
	fmt.Fprintln(w, "| load | | lost % | p50 ms | p99 ms | p99.9 ms | CPU % of a core | µs a request | periods throttled | socket drops | RSS kB | memory peak kB | killed for memory |")
	fmt.Fprintln(w, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
	for i := range max(len(ours), len(theirs)) {
		for _, rows := range [][]row{ours, theirs} {
			if i < len(rows) {
				rows[i].print(w)
			}
		}
	}
}

func (r *row) print(w io.Writer) {
	ms := func(q float64) float64 { return float64(r.res.Latency.Quantile(q).Nanoseconds()) / 1e6 }
	fmt.Fprintf(w, "| %s, %.0f a second | %s | %.3f | %.1f | %.1f | %.1f | %.2f | %.1f | %s of %s | %d | %d | %s | %s |\n",
		r.load.name, r.load.rate, r.server, 100*r.lost(), ms(0.5), ms(0.99), ms(0.999),
		100*r.cpu.Seconds()/r.res.Elapsed.Seconds(), float64(r.cpu.Nanoseconds())/1e3/float64(max(r.res.Answered, 1)),
		count(r.then.throttled-r.before.throttled, r.then.throttled), count(r.then.periods-r.before.periods, r.then.periods),
		r.drops, r.rss>>10, count(r.then.peak>>10, r.then.peak), count(r.then.killed, r.then.killed))
}

// count prints n, unless what it was made of is -1 and so not known.
func count(n, of int64) string {
	if of < 0 {
		return "–"
	}
	return strconv.FormatInt(n, 10)
}

// printGoals prints one line a goal and reports whether all are met.
func printGoals(w io.Writer, rows []row) (met bool) {
	met = true
	say := func(ok bool, format string, args ...any) {
		mark := "met"
		if !ok {
			mark, met = "NOT MET", false
		}
		fmt.Fprintf(w, "- %s: %s\n", fmt.Sprintf(format, args...), mark)
	}
	fmt.Fprintln(w)
	for i := range rows {
		r := &rows[i]
		say(r.lost() < lostLimit, "%s, %.0f %s a second: less than %.1f %% lost",
			r.load.name, r.load.rate, r.load.verb, 100*lostLimit)
	}
	if n := len(rows); n > 0 {
		say(rows[n-1].then.killed <= 0 && rows[n-1].rss > 0, "lives to the end in its memory")
	}
	return met
}
