package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	const search, read = 1, 4
	at := filepath.Join(dir, path)
	if _, err := os.Stat(at); err != nil || !user.may(search, dir) {
		outside, _ := filepath.Abs(path)
		if _, err := os.Stat(outside); err != nil {
			c.find("chroot", "touch "+quote(at), "list %s is neither in %s, where we lock ourselves in, nor outside", path, dir)
			return
		}
		at = outside
	}
	if folder := filepath.Dir(at); !user.may(search, folder) {
		c.find("chroot", "chmod a+x "+quote(folder), "user %s may not search %s, where list %s is", user.name, folder, path)
	} else if !user.may(read, at) {
		c.find("chroot", "chmod a+rX "+quote(at), "user %s may not read list %s", user.name, path)
	}
}

// give returns the command that lets the user we become make files in the folder
// of path, as it is found from inside of the cell or else outside. A folder that
// others have files in, which may be /etc, is not to be his: then it is a new one
// in there, and path has to change.
func (c *cell) give(path string) string {
	user := c.user.name
	if !c.root {
		user = strconv.Itoa(os.Getuid())
	}
	folder, name := filepath.Dir(path), filepath.Base(path)
	at := folder
	if c.root || !filepath.IsAbs(folder) {
		at = filepath.Join(c.dir, folder)
	}
	if _, err := os.Stat(at); err != nil {
		at = folder
	}
	at, _ = filepath.Abs(at) // fails where there is no directory that we are in
	write := ""
	if !isOwn(at, name) {
		const fresh = "tracker-state"
		at = filepath.Join(at, fresh)
		write = ", and write state.file " + filepath.Join(folder, fresh, name)
	}
	return "mkdir -p " + quote(at) + " && chown " + user + " " + quote(at) + write
}

// isOwn reports whether a folder has nothing in it but what is called name, with
// or without a suffix. One that is not there has not.
func isOwn(folder, name string) bool {
	f, err := os.Open(folder)
	if err != nil {
		return true
	}
	defer f.Close()                // it was only read
	names, _ := f.Readdirnames(10) // of our own there are fewer
	return len(names) < 10 && !slices.ContainsFunc(names, func(n string) bool { return !strings.HasPrefix(n, name) })
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
	if !strings.ContainsAny(path, " \t\"'`$\\;&|<>()[]{}*?!#~=") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
