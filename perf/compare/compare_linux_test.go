package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"tracker/perf"
)

// TestMain lets the test binary be started as a floor, as the command is.
func TestMain(m *testing.M) {
	if wire := os.Getenv(floorKey); wire != "" {
		fail(runFloor(wire))
		return
	}
	os.Exit(m.Run())
}

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		v    []float64
		want string
	}{
		{nil, "–"},
		{[]float64{2}, "2.0"},
		{[]float64{3, 1, 2}, "2.0 (1.0–3.0)"},
		{[]float64{4, 1, 2, 3}, "2.5 (1.0–4.0)"},
	} {
		if got := spread("%.1f", tt.v); got != tt.want {
			t.Errorf("spread of %v is %s, want %s", tt.v, got, tt.want)
		}
	}
}

// TestRatios has the machine twice as slow in one round: the ratio is taken
// within rounds, so it does not show.
func TestRatios(t *testing.T) {
	a := &run{Rounds: []round{{CPU: 5}, {CPU: 10}, {CPU: 5}}}
	b := &run{Rounds: []round{{CPU: 10}, {CPU: 20}, {CPU: 10}}}
	if got, want := spread("%.2f", ratios(a, b, cpu)), "0.50 (0.50–0.50)"; got != want {
		t.Errorf("ratio is %s, want %s", got, want)
	}
	if got := ratios(a, nil, cpu); got != nil {
		t.Errorf("ratio to nobody is %v", got)
	}
}

func TestGoals(t *testing.T) {
	r := report{Scenarios: []*result{{Name: "udp", Title: "UDP", Runs: []*run{
		{Key: ours, Rounds: []round{{CPU: 1}}},
		{Key: debians, Rounds: []round{{CPU: 2}}},
		{Key: "floor-udp", Floor: true, Rounds: []round{{CPU: 0.8}}},
	}}}}
	var out bytes.Buffer
	r.printGoals(&out)
	for _, want := range []string{
		"| UDP: CPU × opentracker | 0.55 | 0.50 | met |",
		"| UDP: CPU × chihaya | 0.25 | – | not measured |",
		"| UDP: CPU × floor | 1.10 | 1.25 | **not met** |",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("no line %q in\n%s", want, &out)
		}
	}
}

// TestNames has every goal name a scenario and servers that there are.
func TestNames(t *testing.T) {
	keys := programNames() + ", floor, tracker-one, tracker-two, sweeping, not-sweeping"
	for _, g := range goals {
		if !chosen(strings.ReplaceAll(scenarioNames(), ", ", ","), g.scenario) {
			t.Errorf("%s: no scenario %s", g.what, g.scenario)
		}
		for _, k := range []string{g.ours, g.against} {
			if !chosen(strings.ReplaceAll(keys, ", ", ","), k) {
				t.Errorf("%s: no server %s", g.what, k)
			}
		}
	}
}

func TestCollections(t *testing.T) {
	const trace = `gc 1 @0.500s 2%: 1.0+2.0+3.0 ms clock, 100+100/100/100+100 ms cpu, 4->4->0 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 1 P
listening
gc 2 @1.500s 2%: 1.0+2.0+3.0 ms clock, 1+2/4/8+16 ms cpu, 4->4->0 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 1 P
`
	if got, want := collections([]byte(trace), time.Second), 23*time.Millisecond; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestCalendar(t *testing.T) {
	var w calendar
	for i := 50; i < 65; i++ {
		w[i%60] = true
	}
	for _, tt := range []struct {
		second         int
		sweeping, sure bool
	}{{49, false, false}, {50, true, false}, {60, true, true}, {64, true, false}, {65, false, false}, {134, false, false}, {135, false, true}, {108, false, true}} {
		if is, sure := w.at(tt.second); is != tt.sweeping || sure != tt.sure {
			t.Errorf("second %d: %v, %v", tt.second, is, sure)
		}
	}
}

func TestDraw(t *testing.T) {
	r := report{Scenarios: []*result{{Title: "a < b", Runs: []*run{
		{Key: ours, Title: "tracker", Rounds: []round{{CPU: 1}, {CPU: 2}}},
		{Title: "other", Rounds: []round{{CPU: 4}, {CPU: 3}}},
	}}}}
	for d := xml.NewDecoder(bytes.NewReader(r.draw())); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestStep shows what is left of the many lines of a failed build.
func TestStep(t *testing.T) {
	err := step("", nil, "sh", "-c", "echo building; echo 'error: no compiler'; echo bye; exit 3")
	if err == nil || err.Error() != "sh: exit status 3: error: no compiler" {
		t.Errorf("%v", err)
	}
	if err := step("", nil, "true"); err != nil {
		t.Error(err)
	}
}

// TestConfigured writes every configuration there is.
func TestConfigured(t *testing.T) {
	dir := t.TempDir()
	for _, p := range programs() {
		if p.args == nil {
			continue
		}
		args, err := p.args(dir, "list")(netip.MustParseAddrPort("127.0.0.1:6969"))
		if err != nil {
			t.Fatal(err)
		}
		if last := args[len(args)-1]; last != "list" {
			text, err := os.ReadFile(last)
			if err != nil || !bytes.Contains(text, []byte(`"127.0.0.1:6969"`)) || bytes.Contains(text, []byte("%!")) {
				t.Errorf("%s: %s, %v", p.key, text, err)
			}
		}
	}
}

// TestRun builds our tracker and runs both wires beside the floors, for a
// moment.
func TestRun(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "tracker"), "tracker")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer func(old perf.Workload) { small = old }(small)
	small.Torrents = 500
	var o options
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	o.flags(f)
	err := f.Parse([]string{
		"-tracker", filepath.Join(dir, "tracker"), "-with", "tracker,floor-udp,floor-http",
		"-rounds", "1", "-for", "100ms", "-only", "udp,udp-slow,udp-two,http,http-keepalive,http-pipelined,process", "-server-cpu", "-1", "-load-cpu", "",
		"-json", filepath.Join(dir, "json"), "-plot", filepath.Join(dir, "svg"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.run(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "json"))
	if err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(text, &r); err != nil || len(r.Scenarios) != 6 || len(r.Processes) != 3 {
		t.Fatalf("%v: %d scenarios, %d processes", err, len(r.Scenarios), len(r.Processes))
	}
	for _, s := range r.Scenarios {
		if len(s.Runs) != 2 {
			t.Errorf("%s: %d servers", s.Name, len(s.Runs))
		}
		for _, c := range s.Runs {
			if len(c.Rounds) != 1 || c.Rounds[0].CPU <= 0 || c.Rounds[0].Bytes < 50 {
				t.Errorf("%s: %s: %+v", s.Name, c.Title, c.Rounds)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "svg")); err != nil {
		t.Error(err)
	}
}
