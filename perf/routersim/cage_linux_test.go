package main

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var routerLimits = limits{quota: time.Millisecond, period: 20 * time.Millisecond, memory: 24 << 20}

func TestFindHierarchies(t *testing.T) {
	for _, tt := range []struct {
		name, mounts, own string
		want              hierarchies
	}{
		{
			"version 1", "33 31 0:30 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n36 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n",
			"2:cpu,cpuacct:/\n4:memory:/a/b\n",
			hierarchies{v1: map[string]string{"cpu": "/cg/cpu,cpuacct", "cpuacct": "/cg/cpu,cpuacct", "memory": "/cg/memory/a/b"}},
		},
		{
			"version 2", "33 31 0:30 / /cg rw,nosuid shared:4 - cgroup2 cgroup2 rw\n34 31 8:1 / / rw - ext4 /dev/a rw\n",
			"0::/user.slice/a:b.scope\n",
			hierarchies{v2: "/cg/user.slice/a:b.scope", top: "/cg"},
		},
		{
			"container of version 1", "36 31 0:32 /docker/1 /cg/memory rw - cgroup cgroup rw,memory\n", "4:memory:/docker/1/x\n",
			hierarchies{v1: map[string]string{"memory": "/cg/memory/x"}},
		},
		{
			"container of version 2 in a namespace", "36 31 0:32 / /cg rw - cgroup2 cgroup2 rw\n", "0::/../2\n",
			hierarchies{v2: "/cg", top: "/cg"},
		},
	} {
		h := findHierarchies([]byte(tt.mounts), []byte(tt.own))
		if !maps.Equal(h.v1, tt.want.v1) || h.v2 != tt.want.v2 || h.top != tt.want.top {
			t.Errorf("%s: %+v, want %+v", tt.name, h, tt.want)
		}
	}
}

// TestBuild makes cages in directories that look like cgroups. They do not
// limit anything, but show what is written where.
func TestBuild(t *testing.T) {
	v1, v2, bare, both := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	write(t, v1+"/cpu/tasks", "")
	write(t, v1+"/memory/a/tasks", "")
	write(t, v2+"/cgroup.subtree_control", "cpu pids memory\n")
	write(t, v2+"/a/cgroup.subtree_control", "memory\n")
	write(t, v2+"/a/b/cgroup.subtree_control", "")
	write(t, bare+"/cgroup.controllers", "cpuset cpu memory pids\n")
	write(t, bare+"/cgroup.subtree_control", "memory\n")
	write(t, both+"/cgroup.subtree_control", "cpu\n")
	for _, tt := range []struct {
		name  string
		at    hierarchies
		files map[string]string
	}{
		{"version 1", hierarchies{v1: map[string]string{"cpu": v1 + "/cpu", "memory": v1 + "/memory/a"}}, map[string]string{
			v1 + "/cpu/c/cpu.cfs_quota_us":           "1000",
			v1 + "/cpu/c/cpu.cfs_period_us":          "20000",
			v1 + "/memory/a/c/memory.limit_in_bytes": "25165824",
		}},
		{"version 2, two levels up", hierarchies{v2: v2 + "/a/b", top: v2}, map[string]string{
			v2 + "/c/cpu.max":              "1000 20000",
			v2 + "/c/memory.max":           "25165824",
			v2 + "/c/memory.swap.max":      "0",
			v2 + "/cgroup.subtree_control": "cpu pids memory\n",
		}},
		{"version 2, to be enabled", hierarchies{v2: bare, top: bare}, map[string]string{
			bare + "/c/cpu.max":              "1000 20000",
			bare + "/cgroup.subtree_control": "+cpu",
		}},
		{"both", hierarchies{v1: map[string]string{"memory": v1 + "/memory"}, v2: both, top: both}, map[string]string{
			both + "/c/cpu.max":                    "1000 20000",
			v1 + "/memory/c/memory.limit_in_bytes": "25165824",
		}},
	} {
		if err := new(cage).build(tt.at, "c", routerLimits); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		for path, want := range tt.files {
			if text, err := os.ReadFile(path); err != nil || string(text) != want {
				t.Errorf("%s: %s has %q, %v, want %q", tt.name, path, text, err, want)
			}
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	poor := t.TempDir()
	write(t, poor+"/cgroup.controllers", "hugetlb\n")
	write(t, poor+"/cgroup.subtree_control", "\n")
	for _, at := range []hierarchies{{}, {v2: poor, top: poor}, {v2: poor + "/gone", top: poor}} {
		if err := new(cage).build(at, "c", routerLimits); err == nil {
			t.Errorf("%+v: no error", at)
		}
	}
}

// TestTally reads what kernels write.
func TestTally(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cpu.stat", "usage_usec 5\nnr_periods 40\nnr_throttled 30\n")
	write(t, dir+"/memory.events", "low 0\noom 2\noom_kill 1\n")
	write(t, dir+"/memory.peak", "4096\n")
	write(t, dir+"/memory.max_usage_in_bytes", "8192\n")
	write(t, dir+"/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
	for v2, want := range map[bool]tally{
		false: {periods: 40, throttled: 30, peak: 8192, killed: 3},
		true:  {periods: 40, throttled: 30, peak: 4096, killed: 1},
	} {
		c := cage{cpu: group{dir, v2}, memory: group{dir, v2}}
		if got := c.tally(); got != want {
			t.Errorf("version 2 %v: %+v, want %+v", v2, got, want)
		}
	}
	empty := cage{cpu: group{dir: t.TempDir()}, memory: group{dir: t.TempDir()}}
	if got, want := empty.tally(), (*cage)(nil).tally(); got != want {
		t.Errorf("of files that are not there: %+v", got)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
