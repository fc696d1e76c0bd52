package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"tracker/config"
)

// lists looks for lists that the user we become will not find or may not read,
// if we are root: whoever starts as himself finds that out at once.
func (c *checkup) lists(cell *cell, cfg *config.Config) {
	if !cell.locks() {
		return
	}
	dir, err := filepath.Abs(cell.dir)
	if err != nil {
		return
	}
	for _, path := range append(append([]string(nil), cfg.Whitelist...), cfg.Blacklist...) {
		c.list(dir, path, cell.user)
	}
}

// list looks at a list that is to be found from inside of dir, or outside.
func (c *checkup) list(dir, path string, user account) {
	inside := filepath.Join(dir, path)
	steps := []string{inside}
	if rel, err := filepath.Rel(dir, filepath.Dir(inside)); err == nil && rel != "." {
		at := dir
		for part := range strings.SplitSeq(rel, string(filepath.Separator)) {
			at = filepath.Join(at, part)
			steps = append(steps, at)
		}
	}
	const search, read = 1, 4
	_, err := os.Stat(inside)
	if errors.Is(err, fs.ErrNotExist) || !user.may(search, dir) {
		outside, err := filepath.Abs(path)
		if err != nil {
			return
		}
		if _, err := os.Stat(outside); errors.Is(err, fs.ErrNotExist) {
			c.find("chroot", "touch "+quote(inside), "list %s is neither in %s, where we lock ourselves in, nor outside", path, dir)
			return
		}
		steps = []string{outside, filepath.Dir(outside)} // the folder is held open
	}
	for _, step := range steps[1:] {
		if !user.may(search, step) {
			c.find("chroot", "chmod a+x "+quote(step), "user %s may not search %s, where list %s is", user.name, step, path)
			return
		}
	}
	if !user.may(read, steps[0]) {
		mode := "a+r "
		if fi, err := os.Stat(steps[0]); err == nil && fi.IsDir() {
			mode = "a+rx "
		}
		c.find("chroot", "chmod "+mode+quote(steps[0]), "user %s may not read list %s", user.name, path)
	}
}

// may reports whether a has a right, as in the last digit of a mode, to what is
// at path. What cannot be told is taken for yes.
func (a account) may(right fs.FileMode, path string) bool {
	fi, err := os.Stat(path)
	if err != nil {
		return true
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	switch {
	case int(st.Uid) == a.uid:
		right <<= 6
	case int(st.Gid) == a.gid:
		right <<= 3
	}
	return fi.Mode()&right != 0
}

// quote returns a path as a word of a shell's command.
func quote(path string) string {
	if strings.Trim(path, "/.-_+:,@%ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
