//go:build !router

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A manager is a stand-in for a service manager: it hears what it is told.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

// newManager has trackers that are started from now on tell a manager how they
// are.
func newManager(t *testing.T) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t, conn}
}

// hears waits until it has been told messages that begin with each of wants, in
// any order, and nothing else but that somebody is alive.
func (m *manager) hears(wants ...string) {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(patience))
	for len(wants) > 0 {
		b := make([]byte, 4096)
		n, err := m.conn.Read(b)
		if err != nil {
			m.t.Fatalf("waiting for %q: %v", wants, err)
		}
		got := string(b[:n])
		i := slices.IndexFunc(wants, func(want string) bool { return strings.HasPrefix(got, want) })
		if i >= 0 {
			wants = slices.Delete(wants, i, i+1)
		} else if !aliveMessage.MatchString(got) {
			m.t.Fatalf("it is told %q, want %q", got, wants)
		}
	}
}

var aliveMessage = regexp.MustCompile(`^WATCHDOG=1\nSTATUS=\d+ torrents, \d+ seeders, \d+ leechers$`)

// TestNotify has a tracker tell all it can tell from within its cell and
// sandbox, and then one that takes its place.
func TestNotify(t *testing.T) {
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "300000")
	h := newHouse(t)
	p, tcp, udp := h.first("tracker.rootdir " + h.dir)
	m.hears("READY=1\nSTATUS=0 torrents, 0 seeders, 0 leechers")
	m.hears("WATCHDOG=1")
	p.signal(syscall.SIGHUP)
	m.hears("RELOADING=1")
	m.hears("READY=1")
	m.hears("WATCHDOG=1")

	next := h.start(replaceFlag, append(listen(tcp, udp), "tracker.rootdir "+h.dir)...)
	m.hears("READY=1", fmt.Sprintf("MAINPID=%d", next.cmd.Process.Pid))
	m.hears("WATCHDOG=1")
	next.signal(syscall.SIGTERM)
	m.hears("STOPPING=1")
}

// TestNotifyNobody starts trackers whose service manager is not there, or does
// not listen: they serve all the same, and end.
func TestNotifyNobody(t *testing.T) {
	t.Run("not there", func(t *testing.T) {
		t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nothing"))
		p := startTracker(t, "-i", "127.0.0.1", "-p", "0")
		p.saysSoon("listening on tcp ")
		p.signal(syscall.SIGTERM)
		p.ends(0)
	})
	t.Run("does not listen", func(t *testing.T) {
		newManager(t)
		t.Setenv("WATCHDOG_USEC", "3000") // until its queue is full
		p := startTracker(t, "-i", "127.0.0.1", "-p", "0")
		p.saysSoon("listening on tcp ")
		p.saysSoon("service manager: it does not listen; it is not told any more how we are")
		p.signal(syscall.SIGTERM)
		p.ends(0)
	})
}
