package main

import (
	"bytes"
	"path/filepath"
	"strings"
)

// hierarchies is where this process stands among the cgroups: the directories
// of those it is in.
type hierarchies struct {
	v1  map[string]string // by controller
	v2  string            // "" if there is none
	top string            // the topmost of version 2 that we see
}

// findHierarchies reads /proc/self/mountinfo and /proc/self/cgroup.
//
//	35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
//	           |  where it is mounted       type          controllers
//	           the cgroup that is mounted there
//
//	4:memory:/system.slice/a.service
//	0::/system.slice/a.service         version 2
func findHierarchies(mounts, own []byte) hierarchies {
	h := hierarchies{v1: map[string]string{}}
	paths := ownPaths(own)
	for line := range bytes.Lines(mounts) {
		where, what, ok := strings.Cut(string(line), " - ")
		at, fs := strings.Fields(where), strings.Fields(what)
		if !ok || len(at) < 5 || len(fs) < 3 {
			continue
		}
		root, dir := at[3], at[4]
		switch fs[0] {
		case "cgroup2":
			h.v2, h.top = below(dir, root, paths[""]), dir
		case "cgroup":
			for _, controller := range strings.Split(fs[2], ",") {
				if path, ok := paths[controller]; ok && controller != "" {
					h.v1[controller] = below(dir, root, path)
				}
			}
		}
	}
	return h
}

// ownPaths returns the cgroups of /proc/self/cgroup by controller.
func ownPaths(own []byte) map[string]string {
	paths := map[string]string{}
	for line := range bytes.Lines(own) {
		f := strings.SplitN(strings.TrimSuffix(string(line), "\n"), ":", 3)
		if len(f) < 3 {
			continue
		}
		for _, controller := range strings.Split(f[1], ",") {
			paths[controller] = f[2]
		}
	}
	return paths
}

// below returns the directory of cgroup path, where root is mounted at dir. A
// path outside of root is that of a container that does not see its own name;
// what is mounted is then what it is in.
func below(dir, root, path string) string {
	rel, err := filepath.Rel(root, path)
	if err != nil || strings.HasPrefix(path, "/..") || strings.HasPrefix(rel, "..") {
		return dir
	}
	return filepath.Join(dir, rel)
}
