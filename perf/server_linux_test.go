package perf

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestMain lets the test binary be started as a tracker: with arguments "-i
// ADDR -p PORT -P PORT" it serves as the floor.
func TestMain(m *testing.M) {
	switch os.Getenv("PERF_TEST_SERVER") {
	case "echo":
		e, err := OpenEcho(netip.MustParseAddrPort(os.Args[2]+":"+os.Args[6]), 3)
		if err == nil {
			err = e.Serve()
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	case "fail":
		fmt.Fprintln(os.Stderr, "cannot serve")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func testCommand(kind string) Command {
	return Command{
		Path: os.Args[0], Addr: netip.MustParseAddr("127.0.0.1"), CPUs: []int{0},
		Env: []string{"PERF_TEST_SERVER=" + kind},
	}
}

func TestServer(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s, err := testCommand("echo").Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	m, err := s.Memory()
	if err != nil || m.RSS < 100<<10 || m.Anon <= 0 || m.Anon > m.RSS {
		t.Errorf("memory: %+v, %v", m, err)
	}
	st, err := s.Status()
	if err != nil || st.RSS < 100<<10 || st.Peak < st.RSS || st.Threads < 1 || st.Files < 3 {
		t.Errorf("status: %+v, %v", st, err)
	}
	before, err := s.CPU()
	if err != nil {
		t.Fatal(err)
	}
	u := openTestUDP(t, s.Addr, Sources4(1))
	u.Limits, u.Resend = Limits{Count: 1000}, true
	if _, err := u.Run(func(r *Request) bool { *r = Request{Kind: Announce}; return true }); err != nil {
		t.Fatal(err)
	}
	if after, err := s.CPU(); err != nil || after <= before {
		t.Errorf("CPU time went from %v to %v, %v", before, after, err)
	}
}

func TestServerFails(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, err := testCommand("fail").Start(); !errors.Is(err, ErrStart) {
		t.Errorf("a tracker that ends at once: %v", err)
	}
}

func TestWriteWhitelist(t *testing.T) {
	var held Held
	path, end, err := held.WriteWhitelist(99, Infohash(99))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		end()
		if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the directory is still there: %v", err)
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := uint32(0)
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		if want := fmt.Sprintf("%x", Infohash(n)); lines.Text() != want {
			t.Errorf("line %d is %s, want %s", n+1, lines.Text(), want)
		}
	}
	if n != 100 {
		t.Errorf("%d lines, want 100", n)
	}
}
