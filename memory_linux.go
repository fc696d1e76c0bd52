package main

import (
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// openStatus opens the file that says how much memory the process has. It can be
// read from the chroot and the sandbox.
func openStatus() *os.File {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return nil
	}
	return f
}

// ownLimits returns the limits of this process. In the sandbox they can no
// longer be asked for.
func ownLimits() processLimits {
	get := func(resource int) int64 {
		var limit unix.Rlimit
		if unix.Getrlimit(resource, &limit) != nil || limit.Cur > math.MaxInt64 {
			return math.MaxInt64
		}
		return int64(limit.Cur)
	}
	return processLimits{get(unix.RLIMIT_AS), get(unix.RLIMIT_DATA)}
}

// machineMemory returns how many bytes of memory the machine has.
func machineMemory() int64 {
	var i unix.Sysinfo_t
	if unix.Sysinfo(&i) != nil {
		return 0
	}
	return int64(uint64(i.Totalram) * uint64(i.Unit))
}

// cgroupMemory returns the least limit of memory, in bytes, among the cgroups of
// the process and those around them, or 0 if there is none.
func cgroupMemory() int64 {
	groups, _ := os.ReadFile("/proc/self/cgroup") // without it there are none
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	return leastLimit(string(groups), string(mounts), func(name string) string {
		b, _ := os.ReadFile(name) // groups without that limit have no file
		return strings.TrimSpace(string(b))
	})
}

// leastLimit is cgroupMemory on the content of the two files. A line of the
// first is number:controllers:path, and version 2 has no controllers. In the
// second the fields four and five are which path is mounted, and where; behind a
// hyphen stand the type and, as the third, the options.
func leastLimit(groups, mounts string, read func(name string) string) (least int64) {
	for group := range strings.Lines(groups) {
		f := strings.SplitN(strings.TrimSpace(group), ":", 3)
		if len(f) < 3 || f[1] != "" && !named(f[1], "memory") {
			continue
		}
		kind, files := "cgroup2", []string{"memory.max", "memory.high"}
		if f[1] != "" {
			kind, files = "cgroup", []string{"memory.limit_in_bytes"}
		}
		for mount := range strings.Lines(mounts) {
			before, after, _ := strings.Cut(mount, " - ")
			where, what := strings.Fields(before), strings.Fields(after)
			if len(where) < 5 || len(what) < 3 || what[0] != kind || kind == "cgroup" && !named(what[2], "memory") {
				continue
			}
			inside, ok := within(f[2], where[3])
			if !ok {
				continue
			}
			for dir := inside; ; dir = path.Dir(dir) {
				for _, file := range files {
					n, err := strconv.ParseInt(read(path.Join(where[4], dir, file)), 10, 64)
					if err == nil && n > 0 && n < noLimit && (least == 0 || n < least) {
						least = n
					}
				}
				if dir == "/" {
					break
				}
			}
		}
	}
	return least
}

// noLimit is more than any limit: version 1 says the most pages there can be.
const noLimit = 1 << 60

// named reports whether name is in a list with commas.
func named(list, name string) bool {
	return strings.Contains(","+list+",", ","+name+",")
}

// within returns the path of a cgroup below the one that is mounted. In a
// container that sees only its own cgroup, the mounted one may be told as "/" or
// from outside, as "/..", and what is mounted is where we are.
func within(group, mounted string) (string, bool) {
	if mounted == "/" {
		return path.Join("/", group), true
	}
	rest, ok := strings.CutPrefix(group, mounted)
	if !ok {
		return "/", group == "/" || strings.HasPrefix(group, "/..")
	}
	return path.Join("/", rest), rest == "" || rest[0] == '/'
}
