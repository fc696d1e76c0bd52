package stats

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// flatten puts every number and text below v under its path.
func flatten(path string, v any, into map[string]any) {
	if o, ok := v.(map[string]any); ok {
		for name, v := range o {
			flatten(path+"."+name, v, into)
		}
		return
	}
	into[strings.TrimPrefix(path, ".")] = v
}

// parseJSON returns what is in body by its path, as in memory.limit_bytes.
func parseJSON(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	all := map[string]any{}
	flatten("", v, all)
	return all
}

// fullReport returns a report in which every number is another: counter k has
// 1000 + 2k over IPv4 and one more over IPv6.
func fullReport() *Report {
	r := &Report{Unix: 1700000000}
	var c Counters
	for k := range NumCounters {
		c.Add(k, V4, 1000+2*uint64(k))
		c.Add(k, V6, 1000+2*uint64(k)+1)
	}
	c.Took(3*time.Microsecond, 10)
	r.AddWire(UDP, &c)
	r.Version, r.UptimeSeconds = "a \"b\"\\\nc", 11
	r.Torrents, r.Peers, r.Seeders = 12, 40, 15
	r.Process = Process{
		ResidentBytes: 21, LimitBytes: 22, StoreBytes: 23, HeapBytes: 24, CPUSeconds: 2.5, Processors: 4,
	}
	r.Conns = Conns{Open: 31, Limit: 32}
	return r
}

func TestJSON(t *testing.T) {
	r := fullReport()
	got := parseJSON(t, AppendJSON(nil, r))
	four, six := func(k Counter) float64 { return float64(r.Totals[k][V4]) }, func(k Counter) float64 { return float64(r.Totals[k][V6]) }
	sum := func(all ...Counter) (n float64) {
		for _, k := range all {
			n += four(k) + six(k)
		}
		return n
	}
	for path, want := range map[string]any{
		"version": "a \"b\"\\\nc", "time": 1700000000.0, "uptime_seconds": 11.0,
		"torrents": 12.0, "peers": 40.0, "seeders": 15.0, "leechers": 25.0, "completed": sum(Completed),
		"requests.udp.ipv4.connect":      four(UDPConnects),
		"requests.udp.ipv6.announce":     six(UDPAnnounces),
		"requests.udp.ipv6.scrape":       six(UDPScrapes),
		"requests.http.ipv4.announce":    four(HTTPAnnounces),
		"requests.http.ipv6.scrape":      six(HTTPScrapes),
		"requests.http.ipv6.full_scrape": six(FullScrapes),
		"refused.unlisted":               sum(Unlisted),
		"refused.client":                 sum(RefusedClients),
		"refused.connection_id":          sum(UDPMissmatches),
		"refused.malformed":              sum(UDPMalformed, HTTPParseErrors, HTTPInvalid, HTTPCompact, HTTPTooLong),
		"refused.rate_address":           sum(RateAddress),
		"refused.memory":                 sum(PeersNoMemory),
		"refused.ports_per_address":      sum(PeersManyPorts),
		"refused.connections":            sum(TCPRefused),
		"slowed.load":                    sum(LoadSlowed),
		"connections.open":               31.0,
		"connections.limit":              32.0,
		"connections.accepted":           sum(TCPAccepts),
		"connections.evicted":            sum(TCPEvicted),
		"udp.received":                   sum(UDPPackets),
		"udp.dropped_by_kernel":          sum(UDPDrops),
		"snapshots.written":              sum(Snapshots),
		"memory.resident_bytes":          21.0,
		"memory.limit_bytes":             22.0,
		"memory.store_bytes":             23.0,
		"memory.heap_bytes":              24.0,
		"cpu.seconds":                    2.5,
		"cpu.processors":                 4.0,
		"latency.udp.count":              10.0,
		"latency.udp.p50_seconds":        3e-6,
		"latency.http.count":             0.0,
		"latency.http.p50_seconds":       nil,
		"requests.http.ipv4.other":       otherOf(r, V4),
		"refused.invalid":                0.0, // these counters are no real ones: there are more unlisted than refused
		"connections.cut":                sum(TCPCut, TCPCrowded),
		"connections.expired":            sum(TCPExpired, TCPTrickled),
	} {
		if v, ok := got[path]; !ok || v != want {
			t.Errorf("%s is %v, want %v", path, v, want)
		}
	}
}

func otherOf(r *Report, f Family) (n float64) {
	for _, k := range httpOther {
		n += float64(r.Totals[k][f])
	}
	return n
}

// TestJSONNames fails when a name goes: scripts rely on them. It also finds
// those that the README does not tell.
func TestJSONNames(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	r := fullReport()
	r.Cluster = cluster()
	got := parseJSON(t, AppendJSON(nil, r))
	golden, err := os.ReadFile(filepath.Join("testdata", "json.names"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(golden))
	for _, path := range want {
		if _, ok := got[path]; !ok {
			t.Errorf("%s is gone", path)
		}
		delete(got, path)
	}
	for path := range got {
		t.Errorf("%s is new: add it to testdata/json.names", path)
	}
	for _, path := range want {
		for _, name := range strings.Split(path, ".") {
			if !strings.Contains(string(readme), "`"+name+"`") {
				t.Errorf("the README does not tell of %s in %s", name, path)
			}
		}
	}
}

// TestJSONAllocs makes the numbers in a buffer that is there.
func TestJSONAllocs(t *testing.T) {
	r, dst := fullReport(), make([]byte, 0, 16<<10)
	if n := testing.AllocsPerRun(100, func() { AppendJSON(dst, r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAppendFloat(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", -3: "-3", 0.25: "0.25", 1.0 / 3: "0.3333", 1234567: "1234567", 123456.78: "123456.8", 3e-6: "3e-06",
		math.Inf(1): "null",
	} {
		if got := string(appendFloat(nil, v)); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if got := string(appendFloat(nil, math.NaN())); got != "null" {
		t.Errorf("no number: %s", got)
	}
}
