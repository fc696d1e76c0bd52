package stats

import (
	_ "embed" // the page
	"strconv"
)

// Page is the page for people, as it is sent: one document that needs nothing
// from elsewhere and reads the numbers for programs beside it, compressed. Its
// source is page.html.
//
//go:generate go run ./gzpage page.html
//go:embed page.html.gz
var Page string

// MaxPage is the most bytes of Page, so that it is quick on a router and there
// is room for it.
const MaxPage = 40 << 10

// AppendSummary appends what somebody is told who asks for the page and cannot
// read it: a few lines of text. Statistics are below path, metrics at that path
// unless it is empty, neither with a leading slash.
func AppendSummary(dst []byte, r *Report, path, metrics string) []byte {
	dst = append(dst, r.Version...)
	dst = append(dst, ", up "...)
	dst = appendUptime(dst, r.UptimeSeconds)
	for i, n := range [...]uint64{r.Torrents, r.Peers, r.Seeders} {
		dst = append(dst, [...]string{"\n", " torrents, ", " peers, "}[i]...)
		dst = strconv.AppendUint(dst, n, 10)
	}
	dst = append(dst, " seeders\n\n"...)
	dst = appendPath(dst, path, ".html", "this, with plots, for a browser")
	dst = appendPath(dst, path, ".json", "all numbers, for programs; ?history=hour, ?history=day, ?top=10")
	if metrics != "" {
		dst = appendPath(dst, metrics, "", "the same for Prometheus")
	}
	return appendPath(dst, path, "?mode=everything", "the same as opentracker has it")
}

// appendPath appends a line about a path.
func appendPath(dst []byte, path, suffix, what string) []byte {
	dst = append(dst, '/')
	dst = append(dst, path...)
	dst = append(dst, suffix...)
	dst = append(dst, "  "...)
	dst = append(dst, what...)
	return append(dst, '\n')
}

// appendUptime appends a time as people say it, its two largest units.
func appendUptime(dst []byte, seconds uint64) []byte {
	units := [...]struct {
		name    string
		seconds uint64
	}{{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}}
	i := 0
	for i < len(units)-1 && seconds < units[i].seconds {
		i++
	}
	for k, u := range units[i:min(i+2, len(units))] {
		if k > 0 {
			dst = append(dst, ' ')
		}
		dst = strconv.AppendUint(dst, seconds/u.seconds, 10)
		dst = append(dst, ' ')
		dst = append(dst, u.name...)
		seconds %= u.seconds
	}
	return dst
}
