package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
)

// FuzzConfig gives a command line, one word a line, and a config file to
// Parse. Nothing may panic; an error is one printable line; a configuration is
// in the range that its fields promise.
func FuzzConfig(f *testing.F) {
	for _, line := range commandLines {
		f.Add(strings.ReplaceAll(line, " ", "\n"), "")
	}
	for name, c := range keyCases {
		for _, v := range slices.Concat(c.good, c.bad) {
			f.Add("-f\nx", name+" "+v)
		}
	}
	f.Add("-f\nx", uncommented(example()))
	confs, err := filepath.Glob("../testdata/config/*.conf")
	if err != nil || len(confs) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range confs {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("-f\nx", uncommented(string(b)))
	}

	f.Fuzz(func(t *testing.T, args, file string) {
		c, action, err := Parse(strings.Split(args, "\n"), text(file))
		switch {
		case err != nil:
			checkError(t, err)
		case action == Help || action == Version:
			if c != nil {
				t.Error("a Config with an action that has none")
			}
		default:
			checkConfig(t, c)
		}
	})
}

// checkError fails unless err is an *Error of one printable line.
func checkError(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Errorf("%T is not an *Error", err)
	}
	checkPrintable(t, err.Error())
}

// checkPrintable fails if s could garble a terminal or a log.
func checkPrintable(t *testing.T, s string) {
	t.Helper()
	if i := strings.IndexFunc(s, unicode.IsControl); s == "" || i >= 0 {
		t.Errorf("%q is not one printable line", s)
	}
}

// checkConfig fails unless c keeps what the comments on its fields say.
func checkConfig(t *testing.T, c *Config) {
	t.Helper()
	if n := len(c.Listen); n == 0 || n > MaxListen {
		t.Errorf("%d listeners", n)
	}
	for i, l := range c.Listen {
		if !l.Addr.IsValid() || l.Addr.Addr().Zone() != "" || l.Addr.Addr().Is4In6() || (l.Proxy || l.Metrics) && l.Proto != TCP || l.Proxy && l.Metrics {
			t.Errorf("listener %+v", l)
		}
		for _, m := range c.Listen[:i] {
			if m.Proto == l.Proto && m.Addr == l.Addr && l.Addr.Port() != 0 {
				t.Errorf("listener %+v twice", l)
			}
		}
	}
	for _, list := range [][]netip.Prefix{c.Stats, c.Proxies, c.IPFromQuery} {
		for _, n := range list {
			if !n.IsValid() || n.Addr().Is4In6() || n != n.Masked() {
				t.Errorf("network %v", n)
			}
		}
	}
	if c.UDPWorkers < 0 || c.UDPWorkers > MaxUDPWorkers || c.Connections < 0 || c.Connections > MaxConnections {
		t.Errorf("%d UDP workers, %d connections", c.UDPWorkers, c.Connections)
	}
	if c.Interval < MinInterval || c.Interval > MaxInterval || c.Interval%time.Second != 0 {
		t.Errorf("interval %v", c.Interval)
	}
	if c.UDPTransport > TransportGnet || c.TCPTransport > TransportGnet || c.User == "" || c.StatsPath == "" || c.StatsPath[0] == '/' {
		t.Errorf("transports %d, %d, user %q, path %q", c.UDPTransport, c.TCPTransport, c.User, c.StatsPath)
	}
	if strings.ContainsFunc(c.RedirectURL, func(r rune) bool { return r <= ' ' || r > '~' }) {
		t.Errorf("redirect %q", c.RedirectURL)
	}
	for _, path := range slices.Concat(c.Whitelist, c.Blacklist) {
		if path == "" {
			t.Error("an empty path in a list")
		}
	}
	for _, path := range append(slices.Concat(c.Whitelist, c.Blacklist), c.FIFOAdd, c.FIFODelete, c.RootDir, c.StateLoad, c.StateFile) {
		if strings.ContainsAny(path, "\x00\n") {
			t.Errorf("path %q", path)
		}
	}
	for _, w := range c.Warnings {
		checkPrintable(t, w)
	}
}
