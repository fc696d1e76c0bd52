//go:build linux

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var clusterSpeed = flag.Duration("cluster-speed", time.Second, "how long TestClusterSpeed measures each time; 10s and a machine that does nothing else tell something")

// speedRounds is how often a tracker alone and one of several are measured in
// turn, and leastShare which part of the speed is to be left. It is only asked for
// where it is measured for long.
const (
	speedRounds = 5
	leastShare  = 0.9
)

var perSecond = regexp.MustCompile(`(?m)^per-second (\d+)$`)

// TestClusterSpeed measures how many announces over UDP a tracker answers that is
// alone, and how many one that shares them, and how long a processor works for
// each. Both have one processor, the load has another with the NATS server and who
// listens. It asks for every peer at random, so that many announces tell something:
// clients that keep to their interval tell less.
func TestClusterSpeed(t *testing.T) {
	load := filepath.Join(t.TempDir(), "load")
	if out, err := exec.Command("go", "build", "-o", load, "../perf/load").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b := startBrokers(t, 1)[0]
	url := "nats://" + b.client.String()
	alone := startServer(t, tracker(t), "-d", workDir)
	one, other := startNode(t, "one", []string{url}), startNode(t, "other", []string{url})
	awaitWhole(t, []*node{one, other})
	for cpu, processes := range map[int][]*process{0: {alone.process, one.process}, 1: {b.process, other.process}} {
		for _, p := range processes {
			if out, err := exec.Command("taskset", "-a", "-p", "-c", strconv.Itoa(cpu), strconv.Itoa(p.cmd.Process.Pid)).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	}
	var speeds, costs [2][]float64
	for round := range speedRounds + 1 {
		for i, s := range []*server{alone, one.server} {
			before := cpuTime(t, s.process)
			cmd := exec.Command(load, "-target", s.addr.String(), "-cpu", "1", "-for", clusterSpeed.String(), fmt.Sprintf("-fill=%v", round == 0))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			m := perSecond.FindSubmatch(out)
			if m == nil {
				t.Fatalf("%s", out)
			}
			speed, _ := strconv.ParseFloat(string(m[1]), 64)
			cost := (cpuTime(t, s.process) - before).Seconds() / (speed * clusterSpeed.Seconds())
			if round > 0 {
				speeds[i], costs[i] = append(speeds[i], speed), append(costs[i], cost*1e6)
			}
		}
	}
	for i := range speeds {
		slices.Sort(speeds[i])
		slices.Sort(costs[i])
	}
	const middle = speedRounds / 2
	share := costs[0][middle] / costs[1][middle] // of what a processor can do; others want it, too
	t.Logf("alone %.0f/s, %.2f µs of a processor each; one of several %.0f/s, %.2f µs: %.3f of the speed, %.3f of what a processor can do",
		speeds[0][middle], costs[0][middle], speeds[1][middle], costs[1][middle], speeds[1][middle]/speeds[0][middle], share)
	t.Logf("all: %.0f and %.0f/s, %.2f and %.2f µs", speeds[0], speeds[1], costs[0], costs[1])
	got := one.numbers(t).Cluster
	t.Logf("it sent %d records in %d bytes, and dropped %d; the other has applied %d", got.Records.Sent, got.Bytes.Sent, got.Records.Dropped, other.numbers(t).Cluster.Records.Applied)
	if *clusterSpeed >= 5*time.Second && share < leastShare {
		t.Errorf("it has less than %v of the speed", leastShare)
	}
}

// cpuTime returns how long a program has been running on processors.
func cpuTime(t *testing.T, p *process) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := 0
	for _, f := range fields[11:13] { // utime and stime, in hundredths of a second
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
