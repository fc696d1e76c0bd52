package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Versions of what is built here. Aquatic's statistics are left out: they are
// off anyway, and the crate for them that this version names is refused by
// the compilers of today.
const (
	aquaticVersion = "0.9.0"
	chihayaVersion = "v1.0.1-0.20191017040149-0a420fe05344"
)

// buildLimit is how long one step of an installation may take.
const buildLimit = 20 * time.Minute

// errNotBuilt says that a program is not in the cache and must not be built.
var errNotBuilt = errors.New("not built yet; run this without -install=false")

// errNotAsked says that a program takes part only if a flag names it.
var errNotAsked = errors.New("not asked for")

func findOurs(o *options) (path, version string, err error) {
	if o.tracker == "" {
		return "", "", errNotAsked
	}
	return o.tracker, commit(), nil
}

func findListed(o *options) (path, version string, err error) {
	if !o.listed {
		return "", "", errNotAsked
	}
	return findOurs(o)
}

func findPeer(o *options) (path, version string, err error) {
	if o.peer == "" {
		return "", "", errNotAsked
	}
	return o.peer, "", nil
}

func findSelf(*options) (path, version string, err error) {
	return "/proc/self/exe", "", nil
}

// findOpentracker finds Debian's package, or installs it as root.
func findOpentracker(o *options) (path, version string, err error) {
	if path, err = exec.LookPath(debians); err != nil {
		if err = o.aptInstall(debians); err != nil {
			return "", "", fmt.Errorf("%w; as root: apt-get install %s", err, debians)
		}
		if path, err = exec.LookPath(debians); err != nil {
			return "", "", err
		}
	}
	out, _ := exec.Command("dpkg-query", "-W", "-f", "${Version}", debians).Output() // it may be another build
	return path, string(out), nil
}

// aptInstall installs a package by name and does not let it start a daemon.
func (o *options) aptInstall(name string) error {
	switch {
	case !o.install:
		return errors.New("missing, and -install=false")
	case os.Geteuid() != 0:
		return errors.New("not root")
	}
	const policy = "/usr/sbin/policy-rc.d"
	if _, err := os.Lstat(policy); errors.Is(err, os.ErrNotExist) {
		end, err := o.held.Hold(func() (func(), error) {
			return func() { _ = os.Remove(policy) }, os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755)
		})
		if err != nil {
			return err
		}
		defer end()
	}
	_ = step("", nil, "apt-get", "update", "-q") // an older list may do
	return step("", nil, "apt-get", "install", "-q", "-y", "--no-install-recommends", name)
}

// Both ways of aquatic_udp to wait for datagrams are in one program.
func findAquaticUDP(o *options) (path, version string, err error) {
	return o.cargoInstall("aquatic_udp", "mimalloc,io-uring")
}

func findAquaticHTTP(o *options) (path, version string, err error) {
	return o.cargoInstall("aquatic_http", "mimalloc")
}

// cargoInstall builds a crate, unless it was built before.
func (o *options) cargoInstall(name, features string) (path, version string, err error) {
	dir, err := cacheDir(name + "-" + aquaticVersion)
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "bin", name)
	if _, err := os.Stat(path); err == nil {
		return path, aquaticVersion, nil
	}
	if !o.install {
		return "", "", errNotBuilt
	}
	if _, err := exec.LookPath("cargo"); err != nil {
		return "", "", fmt.Errorf("%w; install Rust: apt-get install cargo cmake", err)
	}
	err = step("", nil, "cargo", "install", "--locked", "--version", aquaticVersion,
		"--no-default-features", "--features", features, "--root", dir, name)
	return path, aquaticVersion, err
}

// findChihaya builds chihaya in a module of its own that names nothing but
// its version, which says itself what it needs.
func findChihaya(o *options) (path, version string, err error) {
	dir, err := cacheDir("chihaya-" + chihayaVersion)
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "chihaya")
	if _, err := os.Stat(path); err == nil {
		return path, chihayaVersion, nil
	}
	if !o.install {
		return "", "", errNotBuilt
	}
	const module = "github.com/chihaya/chihaya"
	text := fmt.Sprintf("module compared\n\ngo 1.26\n\nrequire %s %s\n", module, chihayaVersion)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644); err != nil {
		return "", "", err
	}
	env := []string{"GOFLAGS=-mod=mod", "GOWORK=off"}
	return path, chihayaVersion, step(dir, env, "go", "build", "-o", path, module+"/cmd/chihaya")
}

// cacheDir returns a directory of the user's that outlives this run.
func cacheDir(name string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "tracker-perf", name)
	return dir, os.MkdirAll(dir, 0o755)
}

// step runs a command of an installation. Its error is one line: the first in
// which the command says that something is an error, or its last.
func step(dir string, env []string, name string, args ...string) error {
	fmt.Fprintln(os.Stderr, "compare:", name, strings.Join(args, " "))
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "DEBIAN_FRONTEND=noninteractive"), env...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	said := lines[len(lines)-1]
	for _, l := range lines {
		if bytes.HasPrefix(l, []byte("error")) || bytes.HasPrefix(l, []byte("E: ")) {
			said = l
			break
		}
	}
	return fmt.Errorf("%s: %w: %s", name, err, said)
}
