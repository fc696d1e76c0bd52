package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"tracker/config"
)

// A cell is where the tracker locks itself up once its sockets are bound, and
// as whom.
//
//	started as   configured         cell
//	root         nothing            chroot to the working directory, user nobody
//	root         directory, user    chroot there, that user
//	other        directory          change there; -u has no effect
//
// Whoever takes over a tracker shall have what the user has inside of the
// directory and nothing more. So what cannot be done stops the start, and when
// it is done, the tracker tries to undo it and refuses to run if that works.
type cell struct {
	dir  string // "" means to stay where we are
	root bool   // we are root and will not be any more
	user account
	cfg  *config.Config // for places in errors
}

// An account is a user and the group that comes with it.
type account struct {
	name     string
	uid, gid int
}

// A cellError says why the cell cannot be entered, and what to do about it.
type cellError struct{ msg string }

func (e *cellError) Error() string { return e.msg }

// Names of the settings of a cell, as they stand in errors.
var (
	userNames = []string{"tracker.user", "-u"}
	dirNames  = []string{"tracker.rootdir", "-d"}
)

// findCell returns the cell that cfg asks for. The user is looked up now,
// because the user database is outside. The error, if any, is a [*cellError].
func findCell(cfg *config.Config) (*cell, error) {
	c := &cell{dir: cfg.RootDir, root: os.Getuid() == 0 || os.Geteuid() == 0, cfg: cfg}
	if c.root {
		if c.dir == "" {
			c.dir = "."
		}
		var err error
		if c.user, err = lookUp(cfg.User); err != nil {
			return nil, c.fail(cfg.User, userNames, err)
		}
	}
	if c.dir == "" {
		return c, nil
	}
	fi, err := os.Stat(c.dir)
	if err == nil && !fi.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, c.fail(c.dir, dirNames, fmt.Errorf("%w; name a directory that exists", cause(err)))
	}
	return c, nil
}

// fail returns a cellError about a setting.
func (c *cell) fail(value string, names []string, err error) error {
	at := c.cfg.Where(value, names...)
	if at == "" {
		at = fmt.Sprintf("%s %q", names[0], value)
	}
	return &cellError{fmt.Sprintf("%s: %v", at, err)}
}

// Why a user will not do.
var (
	errStillRoot = errors.New("still running with root privileges; name a user that is not root and not of root's group, like nobody")
	errNoUser    = errors.New("there is no such user on this system; name one that exists, or a number that is not 0")
)

// lookUp returns the account of a user by name or number. A number that the
// user database does not know stands for the user and group of that number.
func lookUp(name string) (account, error) {
	a := account{name: name}
	u, err := user.Lookup(name)
	if number, nan := strconv.ParseUint(name, 10, 31); err != nil && nan == nil {
		a.uid, a.gid = int(number), int(number)
		u, err = user.LookupId(name)
		if err != nil {
			return a, a.refuse()
		}
	}
	if err != nil {
		return a, errNoUser
	}
	var bad [2]error
	a.uid, bad[0] = strconv.Atoi(u.Uid)
	a.gid, bad[1] = strconv.Atoi(u.Gid)
	if err := errors.Join(bad[:]...); err != nil {
		return a, err
	}
	return a, a.refuse()
}

// refuse returns an error if a is root in any way.
func (a account) refuse() error {
	if a.uid == 0 || a.gid == 0 {
		return errStillRoot
	}
	return nil
}

// locks reports whether entering c hides what is outside.
func (c *cell) locks() bool { return c.root }

// enter enters the cell. Setgroups, Setgid and Setuid of package syscall act on
// every thread of the process; those of x/sys would act on one. The error, if
// any, is a [*cellError]: then the process is neither here nor there and has to
// end.
func (c *cell) enter() error {
	if !c.root {
		if c.dir != "" {
			if err := os.Chdir(c.dir); err != nil {
				return c.fail(c.dir, dirNames, cause(err))
			}
		}
		// A service manager may have lent a right, to bind a low port; by now
		// it has been used.
		if err := dropCapabilities(); err != nil {
			return &cellError{fmt.Sprintf("capabilities cannot be given up: %v", err)}
		}
		return nil
	}
	dir, _ := os.Getwd() // for a line; afterwards nobody can tell
	if c.dir != "." {
		dir = c.dir
	}
	proof := openProof()
	defer proof.close()
	if err := syscall.Chroot(c.dir); err != nil {
		return c.fail(c.dir, dirNames, fmt.Errorf("chroot: %w; %s", err, orElse))
	}
	if err := os.Chdir("/"); err != nil {
		return c.fail(c.dir, dirNames, cause(err))
	}
	if err := c.become(); err != nil {
		return c.fail(c.cfg.User, userNames, err)
	}
	if err := c.tryToUndo(); err != nil {
		return &cellError{err.Error()}
	}
	if err := proof.check(c.user); err != nil {
		return &cellError{fmt.Sprintf("root was not given up: %v", err)}
	}
	logf(info, "root", "root given up: user %v, root directory %v", as("user", c.user.name), as("directory", dir))
	if _, err := os.Stat("/."); errors.Is(err, os.ErrPermission) && c.reads() {
		logf(warning, "root", "user %s may not search %s: no list or state file in it can be read; chmod a+x %s", c.user.name, dir, quote(dir))
	}
	return nil
}

// reads reports whether files are to be read once the cell is entered.
func (c *cell) reads() bool {
	return len(c.cfg.Whitelist)+len(c.cfg.Blacklist) > 0 || c.cfg.StateLoad != "" || c.cfg.StateFile != "" ||
		slices.ContainsFunc(c.cfg.LANExternal, func(e config.External) bool { return e.File != "" })
}

// orElse is what to do where root is not what it is elsewhere.
const orElse = "start as another user than root, then there is nothing to give up"

// become becomes the user, on every thread. Groups go first: later there would
// be no right to drop them.
func (c *cell) become() error {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"setgroups", func() error { return syscall.Setgroups(nil) }},
		{"setgid", func() error { return syscall.Setgid(c.user.gid) }},
		{"setuid", func() error { return syscall.Setuid(c.user.uid) }},
		{"capset", dropCapabilities},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w; %s", step.name, err, orElse)
		}
	}
	return nil
}

// tryToUndo returns an error if one of the ways back works.
func (c *cell) tryToUndo() error {
	for _, way := range []struct {
		name string
		err  error
	}{
		{"setuid(0)", syscall.Setuid(0)},
		{"setgid(0)", syscall.Setgid(0)},
		{"setgroups(0)", syscall.Setgroups([]int{0})},
		{"chroot", syscall.Chroot("/")},
	} {
		if way.err == nil {
			return fmt.Errorf("root was not given up: %s still works as user %s; %s", way.name, c.user.name, orElse)
		}
	}
	return nil
}

// checkIDs returns an error if the process is not what a says.
func checkIDs(a account) error {
	if uid, euid := os.Getuid(), os.Geteuid(); uid != a.uid || euid != a.uid {
		return fmt.Errorf("user is %d, acting as %d, want %d", uid, euid, a.uid)
	}
	if gid, egid := os.Getgid(), os.Getegid(); gid != a.gid || egid != a.gid {
		return fmt.Errorf("group is %d, acting as %d, want %d", gid, egid, a.gid)
	}
	groups, err := os.Getgroups()
	if err != nil {
		return err
	}
	for _, g := range groups { // some systems list the group itself
		if g != a.gid {
			return fmt.Errorf("still in group %d", g)
		}
	}
	return nil
}

// cause returns err without the path and call, where they stand in front.
func cause(err error) error {
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}
