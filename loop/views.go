package loop

import (
	"bytes"
	"net/netip"

	"tracker/stats"
)

// A view is one way of telling how the tracker is. Most are below one path,
// which the operator may choose so that it is not guessed:
//
//	/stats?mode=…   viewPages     what opentracker tells
//	/stats.json     viewNumbers   the same and more, for programs
//	/stats.html     viewPage      the same, for people
//	/               viewPage      unless the path was chosen, or / leads elsewhere
//	/metrics        viewMetrics   the same, for Prometheus; /PATH.metrics if the path was chosen
//	/healthz        viewHealth    that it serves, to anybody
//	/debug/pprof/…  viewProfiles  where its time and memory go
type view uint8

const (
	viewNone view = iota
	viewPages
	viewNumbers
	viewPage
	viewMetrics
	viewHealth
	viewProfiles
)

// healthPath is where anybody is told that we serve, and nothing else.
const healthPath = "healthz"

// viewOf returns the view at that path, which is decoded and without leading
// slashes.
func (r *reactor) viewOf(path []byte) view {
	switch {
	case string(path) == healthPath:
		return viewHealth
	case bytes.HasPrefix(path, profilesPrefix):
		return viewProfiles
	}
	if string(path) == metricsPath && (r.metrics || r.hasMetrics() && r.statsPath == defaultStatsPath) {
		return viewMetrics
	}
	if len(path) < len(r.statsPath) || string(path[:len(r.statsPath)]) != r.statsPath {
		return viewNone
	}
	switch string(path[len(r.statsPath):]) {
	case "":
		return viewPages
	case ".json":
		return viewNumbers
	case ".metrics":
		if r.hasMetrics() && r.statsPath != defaultStatsPath {
			return viewMetrics
		}
	case ".html":
		if r.page {
			return viewPage
		}
	}
	return viewNone
}

// hasRoot reports whether the page is at /, too. Who has chosen the path of
// statistics does not want them to be found by everybody.
func (r *reactor) hasRoot() bool {
	return r.page && r.redirect == "" && r.statsPath == defaultStatsPath
}

// metricsPath is where metrics are, unless the path of statistics was chosen.
const metricsPath = "metrics"

// hasMetrics reports whether metrics are told at the address the request came
// to. If some are for metrics, it has to be one of those.
func (r *reactor) hasMetrics() bool { return r.metrics || !r.apart }

// whereMetrics returns the path of metrics at the address the request came to,
// or "" if there are none.
func (r *reactor) whereMetrics() string {
	switch {
	case !r.hasMetrics():
		return ""
	case r.metrics || r.statsPath == defaultStatsPath:
		return metricsPath
	}
	return r.statsPath + ".metrics"
}

// tellMetrics answers the request for metrics.
func (r *reactor) tellMetrics(dst []byte, client netip.Addr) ([]byte, fate) {
	family := familyOf(client)
	if !r.mayRead(client) {
		return r.deny(dst, family)
	}
	r.ledger.report(r.news())
	r.body = stats.AppendMetrics(r.body[:0], r.report, &r.ledger.floor)
	r.stats.Inc(stats.HTTPPages, family)
	return r.told(dst, stats.ContentMetrics)
}

// health answers whether we serve. Nobody between is to answer that later.
func (r *reactor) health(dst []byte) ([]byte, fate) {
	r.body = append(r.body[:0], "ok\n"...)
	return r.told(dst, stats.ContentText)
}
