package main

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Modules of others that a package may link.
const (
	nats    = "github.com/nats-io/nats.go"
	nkeys   = "github.com/nats-io/nkeys"
	notify  = "github.com/mdlayher/sdnotify"
	gnet    = "github.com/panjf2000/gnet/v2"
	siphash = "github.com/dchest/siphash"
	zap     = "go.uber.org/zap"
	xxhash  = "github.com/cespare/xxhash/v2"
	xsys    = "golang.org/x/sys"
)

// arrows is the architecture: which packages a package may import beyond the
// standard library. A package missing here may import none of ours and none of
// others. Tests may import what they like.
var arrows = map[string][]string{
	".":                {"cluster", "config", "handover", "loop", "proto", "stats", "store", "whitelist", notify, xsys}, // proto: infohashes
	"handover":         {xsys},
	"loop":             {"loop/guard", "proto", "stats", "store", "whitelist", gnet, xsys},
	"loop/guard":       {siphash},                                        // of addresses
	"cluster":          {"proto", "stats", "store", nats, nkeys, xxhash}, // nkeys: are credentials any
	"store":            {"proto", xxhash, xsys},
	"whitelist":        {"proto", xsys}, // x/sys: inotify
	"proto":            {siphash},       // the MAC of connection ids
	"loop/zap":         {zap},           // a module of its own
	"loop/zap/zapcore": {zap},
	"perf":             {"proto", "store", xsys},
	"perf/load":        {"perf", "proto", "store", xsys},
	"perf/memory":      {"perf", "proto", "store", xsys},
	"perf/compare":     {"perf", "perf/floor", "proto", "store", xsys},
	"perf/floor":       {gnet}, // what HTTP over gnet costs at least
	"perf/routersim":   {"perf", xsys},
	"perf/profile":     {"perf"},
	"perf/torture":     {"perf", "proto", xsys},
	"perf/soak":        {"perf", "proto", xsys},
}

// banned lists standard packages that have no place in a package, with what
// to do instead.
var banned = map[string]string{
	"loop net/http":  "answer by hand in loop/http.go",
	"proto fmt":      "append bytes",
	"proto time":     "take the time as an argument",
	"proto unsafe":   "convert slices to arrays",
	"config unsafe":  "there is no need",
	"store time":     "take a Minute as an argument",
	"store net":      "take a compact peer",
	"stats net/http": "append to a buffer",
}

// bannedEverywhere drags megabytes into a router's binary.
var bannedEverywhere = []string{"net/http", "encoding/json", "crypto/tls"}

// notForRouters is what a router's binary does not contain, nor what that needs.
var notForRouters = []string{"cluster"}

// encrypts is the file, no router's either, that makes of certificates what
// package cluster is given.
const encrypts = "cluster_on.go"

// A source is one Go file of the program, not of its tests.
type source struct {
	path string // slashes, relative to the root
	dir  string
	file *ast.File
}

// sources parses the program.
func sources(t *testing.T, tests bool) (all []source) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") && !tests {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		all = append(all, source{filepath.ToSlash(path), filepath.ToSlash(filepath.Dir(path)), f})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestArrows fails on an import that the architecture has no arrow for.
func TestArrows(t *testing.T) {
	for _, s := range sources(t, false) {
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			if why, ok := banned[s.dir+" "+path]; ok {
				t.Errorf("%s imports %s: %s", s.path, path, why)
			}
			if slices.Contains(bannedEverywhere, path) && !strings.HasPrefix(s.dir, "perf/") && !slices.Contains(notForRouters, s.dir) && s.path != encrypts {
				t.Errorf("%s imports %s, which no package of ours may", s.path, path)
			}
			if path == "unsafe" && !strings.HasSuffix(s.path, "_unsafe.go") && !strings.HasSuffix(s.path, "_linux.go") {
				t.Errorf("%s imports unsafe: only files named *_unsafe.go and *_linux.go may", s.path)
			}
			ours, isOurs := strings.CutPrefix(path, "tracker/")
			if !isOurs && !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") {
				continue // the standard library
			}
			if !slices.ContainsFunc(arrows[s.dir], func(to string) bool {
				return isOurs && to == ours || !isOurs && (path == to || strings.HasPrefix(path, to+"/"))
			}) {
				t.Errorf("%s imports %s: no arrow leads there", s.path, path)
			}
		}
	}
}

// wallClock is where the wall clock may be looked at, and why nothing that
// peers or connection ids depend on comes of it. Everywhere else a step of it
// would change something: use the clock of package loop.
var wallClock = map[string]string{
	"cluster/connect.go":     "differences, which Go takes from the monotonic clock",
	"cluster/digest.go":      "the same",
	"cluster/keep.go":        "the same",
	"cluster/members.go":     "the same",
	"cluster/secret.go":      "the same",
	"cluster/waiting.go":     "the same",
	"cluster/clock.go":       "trackers agree on the wall clock; stamps of peers are the store's minutes all the same",
	"cluster/cluster.go":     "differences",
	"handover/handover.go":   "deadlines of Go's poller, which is monotonic",
	"loop/clock_other.go":    "only differences are used, and Go takes those from the monotonic clock",
	"loop/config.go":         "a state dump has wall time in it",
	"loop/desk.go":           "deadlines of Go's poller, which is monotonic",
	"loop/patient.go":        "the same",
	"loop/profiles.go":       "the same",
	"loop/doorbell_linux.go": "differences, taken from the monotonic clock",
	"loop/epoll_linux.go":    "deadlines of Go's poller, which is monotonic",
	"loop/stopwatch.go":      "differences, taken from the monotonic clock",
	"loop/gnet.go":           "differences, for the pause before an engine is started again",
	"whitelist/fifo.go":      "a deadline of Go's poller, which is monotonic",
	"whitelist/source.go":    "a file's time is wall time",
	"whitelist/watch.go":     "a difference, for pauses",
	"log.go":                 "lines of the log have wall time; the rest are differences",
	"replace_giver.go":       "differences",
	"replace_take.go":        "a difference",
	"tracker.go":             "uptime, a difference",
	"signals.go":             "the same",
	"restore.go":             "a snapshot has wall time in it; what it cannot be is not believed",
	"snapshot.go":            "the same; the rest are differences",
	"state.go":               "a state file has wall time in it",
}

// TestDependencies fails if the program for a router links what that has no room
// for, whoever imports it. A gnet with another logger would.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-tags", "router", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		ours, _ := strings.CutPrefix(path, "tracker/")
		if slices.Contains(bannedEverywhere, path) || slices.Contains(notForRouters, ours) {
			t.Errorf("the program for a router links %s", path)
		}
	}
}

// TestWallClock fails on a look at the wall clock in a file not listed.
func TestWallClock(t *testing.T) {
	for _, s := range sources(t, false) {
		if strings.HasPrefix(s.dir, "perf") || wallClock[s.path] != "" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until"}, sel.Sel.Name) {
					t.Errorf("%s looks at time.%s: a step of the wall clock must change nothing", s.path, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestPackageComments fails unless every package has exactly one comment.
func TestPackageComments(t *testing.T) {
	comments := map[string]int{}
	for _, s := range sources(t, false) {
		comments[s.dir] += 0
		if s.file.Doc != nil {
			comments[s.dir]++
		}
	}
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("package in %s has %d package comments, want 1", dir, n)
		}
	}
}

// TestFormat fails on a file that gofmt would change.
func TestFormat(t *testing.T) {
	for _, s := range sources(t, true) {
		src, err := os.ReadFile(s.path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := format.Source(src)
		if err != nil {
			t.Fatal(err)
		}
		if string(src) != string(want) {
			t.Errorf("%s is not formatted: run gofmt -w", s.path)
		}
	}
}
