package stats

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// parseMetrics returns the series of an exposition with their values, and fails
// unless each belongs to a metric that is described right before it, once.
func parseMetrics(t *testing.T, b []byte) map[string]float64 {
	t.Helper()
	pattern := regexp.MustCompile(`^([a-z_0-9]+?)(_bucket|_sum|_count)?((?:\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)+\})?) (\S+)$`)
	all, seen, name, kind := map[string]float64{}, map[string]bool{}, "", ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if help, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, _, _ = strings.Cut(help, " ")
			if seen[name] {
				t.Errorf("%s comes twice", name)
			}
			seen[name] = true
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "+name+" "); ok {
			kind = rest
			if (kind == "counter") != strings.HasSuffix(name, "_total") {
				t.Errorf("%s is a %s", name, kind)
			}
			continue
		}
		m := pattern.FindStringSubmatch(line)
		if m == nil || m[1] != name && m[1]+m[2] != name {
			t.Errorf("%s: line %q", name, line)
			continue
		}
		key := m[1] + m[2] + m[3]
		if _, ok := all[key]; ok {
			t.Errorf("%s twice", key)
		}
		v, err := strconv.ParseFloat(m[4], 64)
		if err != nil || m[2] != "" && kind != "histogram" {
			t.Errorf("line %q: %v", line, err)
		}
		all[key] = v
	}
	return all
}

// TestMetrics looks at some of a report.
func TestMetrics(t *testing.T) {
	r := fullReport()
	r.Process.StartUnix, r.Process.OpenFiles, r.Process.MaxFiles, r.Process.Goroutines, r.Process.Collections = 1699999989, 9, 1024, 12, 7
	got := parseMetrics(t, AppendMetrics(nil, r, new(Floor)))
	for key, want := range map[string]float64{
		`tracker_requests_total{protocol="udp",family="ipv4",action="connect",outcome="answered"}`:  float64(1000 + 2*uint64(UDPConnects)),
		`tracker_requests_total{protocol="udp",family="ipv6",action="scrape",outcome="answered"}`:   float64(1000 + 2*uint64(UDPScrapes) + 1),
		`tracker_requests_total{protocol="udp",family="ipv4",action="announce",outcome="refused"}`:  float64(1000 + 2*uint64(Refusals)),
		`tracker_requests_total{protocol="http",family="ipv4",action="announce",outcome="refused"}`: 0,
		`tracker_refused_total{protocol="udp",family="ipv6",reason="rate_prefix"}`:                  float64(1000 + 2*uint64(RatePrefix) + 1),
		`tracker_udp_kernel_drops_total`:                                float64(2000 + 4*uint64(UDPDrops) + 1),
		`tracker_connections_closed_total{family="ipv4",reason="idle"}`: float64(1000 + 2*uint64(TCPExpired)),
		`tracker_peers{role="seeder"}`:                                  15,
		`tracker_peers{role="leecher"}`:                                 25,
		`tracker_torrents`:                                              12,
		`tracker_connections`:                                           31,
		`tracker_memory_limit_bytes`:                                    22,
		`tracker_handler_seconds_bucket{protocol="udp",le="2e-06"}`:     0,
		`tracker_handler_seconds_bucket{protocol="udp",le="4e-06"}`:     10,
		`tracker_handler_seconds_bucket{protocol="udp",le="1.048576"}`:  10,
		`tracker_handler_seconds_bucket{protocol="udp",le="+Inf"}`:      10,
		`tracker_handler_seconds_sum{protocol="udp"}`:                   3e-05,
		`tracker_handler_seconds_count{protocol="udp"}`:                 10,
		`tracker_handler_seconds_count{protocol="http"}`:                0,
		`process_cpu_seconds_total`:                                     2.5,
		`process_resident_memory_bytes`:                                 21,
		`process_start_time_seconds`:                                    1699999989,
		`process_open_fds`:                                              9,
		`process_max_fds`:                                               1024,
		`go_goroutines`:                                                 12,
		`go_gc_cycles_total`:                                            7,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", key, v, ok, want)
		}
	}
	info := 0
	for key := range got {
		if strings.HasPrefix(key, `tracker_build_info{version="a \"b\"\\\nc",goversion="go`) {
			info++
		}
	}
	if info != 1 {
		t.Error("the version is missing")
	}
	if got := parseMetrics(t, AppendMetrics(nil, new(Report), new(Floor))); len(got) < 100 {
		t.Errorf("an empty report has %d series", len(got))
	}
}

// TestMetricsHaveAll fails for a counter that no metric tells, by wire and
// family: whatever is counted has to show.
func TestMetricsHaveAll(t *testing.T) {
	none := AppendMetrics(nil, new(Report), new(Floor))
	for k := range NumCounters {
		for f := range numFamilies {
			var c Counters
			c.Inc(k, f)
			var udp, http, own Report
			udp.AddWire(UDP, &c)
			http.AddWire(HTTP, &c)
			own.Add(&c)
			told := 0
			for _, r := range []*Report{&udp, &http, &own} {
				if !bytes.Equal(AppendMetrics(nil, r, new(Floor)), none) {
					told++
				}
			}
			if told == 0 {
				t.Errorf("counter %d is not among the metrics", k)
			}
		}
	}
}

// TestMetricsSum checks that what a wire had is told once: the two make up all.
func TestMetricsSum(t *testing.T) {
	var c, own Counters
	c.Add(HTTPPages, V4, 3)
	own.Add(HTTPPages, V4, 4) // by the desk
	c.Add(Completed, V6, 5)
	var r Report
	r.AddWire(HTTP, &c)
	r.Add(&own)
	got := parseMetrics(t, AppendMetrics(nil, &r, new(Floor)))
	for key, want := range map[string]float64{
		`tracker_requests_total{protocol="http",family="ipv4",action="page",outcome="answered"}`: 7,
		`tracker_completed_total{protocol="http",family="ipv6"}`:                                 5,
		`tracker_completed_total{protocol="udp",family="ipv6"}`:                                  0,
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
}

// TestMetricsOnlyGrow has counters read at an unlucky moment: a refusal is
// counted, and its announce was read before. Nothing goes down.
func TestMetricsOnlyGrow(t *testing.T) {
	var f Floor
	answered := func(announces, refusals uint64) float64 {
		var r Report
		r.Wires[UDP][UDPAnnounces][V4], r.Totals[UDPAnnounces][V4] = announces, announces
		r.Wires[UDP][Refusals][V4], r.Totals[Refusals][V4] = refusals, refusals
		return parseMetrics(t, AppendMetrics(nil, &r, &f))[`tracker_requests_total{protocol="udp",family="ipv4",action="announce",outcome="answered"}`]
	}
	for _, tt := range []struct {
		announces, refusals uint64
		want                float64
	}{{100, 10, 90}, {100, 11, 90}, {101, 11, 90}, {102, 11, 91}, {102, 200, 91}} {
		if got := answered(tt.announces, tt.refusals); got != tt.want {
			t.Errorf("%d announces and %d refusals: %v answered, want %v", tt.announces, tt.refusals, got, tt.want)
		}
	}
}

func TestMetricsAllocs(t *testing.T) {
	r, f := fullReport(), new(Floor)
	b := AppendMetrics(nil, r, f)
	if n := testing.AllocsPerRun(100, func() { b = AppendMetrics(b[:0], r, f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	t.Logf("%d bytes", len(b))
}

func BenchmarkMetrics(b *testing.B) {
	r, f := fullReport(), new(Floor)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = AppendMetrics(out[:0], r, f)
	}
	b.ReportMetric(float64(len(out)), "bytes")
}

// TestMetricNames fails for a metric of the tracker's that the README does not
// tell, from its second word on.
func TestMetricNames(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	r := fullReport()
	r.Cluster = cluster()
	for line := range strings.Lines(string(AppendMetrics(nil, r, new(Floor)))) {
		help, ok := strings.CutPrefix(line, "# HELP tracker_")
		if name, _, _ := strings.Cut(help, " "); ok && !bytes.Contains(readme, []byte("_"+name)) {
			t.Errorf("the README does not tell of tracker_%s", name)
		}
	}
}
