package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tracker/config"
)

// TestReadAddrs reads files that say an address, and such that do not.
func TestReadAddrs(t *testing.T) {
	for _, tt := range []struct {
		text, want string
		err        error
	}{
		{"192.0.2.1", "192.0.2.1", nil},
		{"192.0.2.1\n", "192.0.2.1", nil},
		{"# by hand\r\n 192.0.2.1 # wan\r\n\r\n2001:db8::1\r\n", "192.0.2.1 2001:db8::1", nil},
		{"::ffff:192.0.2.1\n", "192.0.2.1", nil},
		{"", "", errNoAddress},
		{"# nothing\n", "", errNoAddress},
		{"192.0.2\n", "", errBadLine},
		{"tracker.example\n192.0.2.1\n", "192.0.2.1", errBadLine},
		{"0.0.0.0\n127.0.0.1\nff02::1\nfe80::1%eth0\n", "", errBadLine},
		{strings.Repeat("x", maxAddrsFile) + "192.0.2.1\n", "", errBadLine},
	} {
		got, err := readAddrs(strings.NewReader(tt.text))
		var words []string
		for _, a := range got {
			words = append(words, a.String())
		}
		if strings.Join(words, " ") != tt.want || err != tt.err {
			t.Errorf("%.40q: got %v, %v, want %v, %v", tt.text, words, err, tt.want, tt.err)
		}
	}
}

// TestDevice asks interfaces that are there, and one that is not.
func TestDevice(t *testing.T) {
	if a, err := openDevice("lo").addr(); a != netip.MustParseAddr("127.0.0.1") || err != nil {
		t.Errorf("lo: %v, %v", a, err)
	}
	for _, name := range []string{"not-there", "a name that is too long"} {
		if a, err := openDevice(name).addr(); err == nil {
			t.Errorf("%s: %v", name, a)
		}
	}
}

// TestBorderOrder has several tellers, of which the first that knows counts.
func TestBorderOrder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "addrs")
	cfg := &config.Config{LANExternal: []config.External{
		{Interface: "not-there"},
		{File: file},
		{Addr: netip.MustParseAddr("192.0.2.1")},
		{Addr: netip.MustParseAddr("192.0.2.2")},
	}}
	b := newBorder(cfg)
	for _, tt := range []struct{ file, want string }{
		{"", "192.0.2.1"},
		{"192.0.2.3\n", "192.0.2.3"},
		{"2001:db8::1\n", "192.0.2.1 and 2001:db8::1"},
		{"nonsense", "192.0.2.1"},
	} {
		if tt.file != "" {
			if err := os.WriteFile(file, []byte(tt.file), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b.look()
		if known, _, _ := strings.Cut(b.said, "|"); known != tt.want {
			t.Errorf("with %q in the file: %q, want %q", tt.file, known, tt.want)
		}
	}
	if none := newBorder(&config.Config{}); none != nil {
		t.Error("there is a border that nobody asked for")
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	fifo := teller{External: config.External{File: filepath.Join(dir, "fifo")}}
	if _, err := fifo.ask(); err != errNotFile {
		t.Errorf("a FIFO: %v", err)
	}
}

// TestBorderInside follows the address of a file, in the chroot and outside of
// it, and of an interface, from inside of cell and sandbox.
func TestBorderInside(t *testing.T) {
	asRoot(t)
	for _, where := range []string{"inside", "outside"} {
		t.Run(where, func(t *testing.T) {
			dir, file := publicDir(t), filepath.Join(publicDir(t), "addrs")
			conf := "lan.external lo\nlan.external " + file + "\n"
			if where == "inside" {
				file = filepath.Join(dir, "addrs")
				conf = "lan.external lo\nlan.external /addrs\n"
			}
			if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o644); err != nil {
				t.Fatal(err)
			}
			p := startIn(t, dir, "-f", "conf", "-i", "127.0.0.1", "-p", "0")
			p.says("tracker: LAN: others are given peers in it at 127.0.0.1 (")
			p.says("tracker: sandbox: seccomp, ")
			p.says("tracker: listening on tcp ")
			for _, addr := range []string{"2001:db8::1", "2001:db8::2"} {
				if err := os.WriteFile(file+".new", []byte(addr+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(file+".new", file); err != nil {
					t.Fatal(err)
				}
				p.says("tracker: LAN: others are given peers in it at 127.0.0.1 and " + addr)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			p.says("tracker: LAN: others are given peers in it at 127.0.0.1 (")
			p.signal(syscall.SIGTERM)
			p.stops()
		})
	}
}

// TestBorderCheck checks that -t says what a start would.
func TestBorderCheck(t *testing.T) {
	dir := publicDir(t)
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte("lan.external not-there\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, dir, "-t", "-f", "conf")
	p.says("tracker: LAN: no address outside (not-there: no such device): others are not given peers in it")
	p.says("tracker: OK")
	p.ends(0)
}
