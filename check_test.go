package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCheck checks configurations: those a tracker starts with, and those it
// had better not.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // for the user we become
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for path, text := range map[string]string{
		"list": "a list without torrents\n", "state": "", "secret": "x\n",
		"unknown.conf": "tracker.user nobody\n\nacess.whitelist list\n",
		"fifo.conf":    "access.whitelist list\naccess.fifo_add fifo\n",
		"missing.conf": "# lists\naccess.whitelist list\naccess.whitelist missing\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod("secret", 0); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		says []string
		code int
	}{
		{nil, []string{"OK"}, 0},
		{[]string{"-w", "list", "-b", "list", "-l", "state"}, []string{"whitelist list: 0 torrents", "blacklist list: 0 torrents", "OK"}, 0},
		{[]string{"-f", "fifo.conf"}, []string{"whitelist list: 0 torrents", "OK"}, 0},
		{[]string{"-f", "unknown.conf"}, []string{`unknown.conf:3: unknown key "acess.whitelist"; `}, 1},
		{
			[]string{"-f", "missing.conf"},
			[]string{
				"whitelist list: 0 torrents", "whitelist missing: no such file or directory; NOTHING",
				`missing.conf:3: access.whitelist "missing": no such file or directory`,
			},
			1,
		},
		{[]string{"-b", "secret"}, []string{`-b "secret": permission denied`}, 1},
		{[]string{"-l", "missing"}, []string{`-l "missing": no such file or directory`}, 1},
		{[]string{"-l", "secret"}, []string{`-l "secret": permission denied`}, 1},
	} {
		p := startTracker(t, append(tt.args, "-t")...)
		for _, line := range tt.says {
			p.says("tracker: " + line)
		}
		p.ends(tt.code)
	}
	if _, err := os.Stat("fifo"); err == nil {
		t.Error("a check made a FIFO")
	}
}
