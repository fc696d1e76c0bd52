package whitelist

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestHold exchanges lists in the ways web sites do, and reads them through
// what was opened before.
func TestHold(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		t.Helper()
		path := filepath.Join(dir, name)
		os.Remove(path)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	move := func(from, to string) {
		t.Helper()
		os.RemoveAll(filepath.Join(dir, to))
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	put("plain/wl", "1")
	put("r1/wl", "1")
	put("r2/wl", "2")
	put("far/wl", "1")
	link("r1", "cur")
	link(filepath.Join(dir, "far"), "abs")
	for _, tt := range []struct {
		name, path string
		swap       func()
		want       string
		frozen     bool
	}{
		{"mv of the file", "plain/wl", func() { put("plain/new", "2"); move("plain/new", "plain/wl") }, "2", false},
		{"ln -sfn", "cur/wl", func() { link("r2", "cur") }, "2", false},
		{"a link that leads away", "abs/wl", func() { link(filepath.Join(dir, "r2"), "abs") }, "1", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := hold(filepath.Join(dir, tt.path))
			if err != nil {
				t.Fatal(err)
			}
			defer out.root.Close()
			tt.swap()
			f, err := out.root.Open(out.name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if got, _ := io.ReadAll(f); string(got) != tt.want || out.frozen != tt.frozen {
				t.Errorf("read %q, frozen %v, want %q, %v", got, out.frozen, tt.want, tt.frozen)
			}
		})
	}
	t.Run("mv of the folder", func(t *testing.T) {
		put("torrents/a", "")
		out, err := hold(filepath.Join(dir, "torrents"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.root.Close()
		put("next/b", "")
		move("next", "torrents")
		if _, err := out.root.Stat(filepath.Join(out.name, "b")); err != nil {
			t.Error(err)
		}
	})
}
