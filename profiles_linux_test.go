package main

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// keepBusy announces over UDP, one after the other, until the function it returns is
// called.
func keepBusy(t *testing.T, to string) (end func()) {
	t.Helper()
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	pkt := append(connectUDP(t, to), make([]byte, 90)...)
	binary.BigEndian.PutUint32(pkt[8:], 1)  // announce
	binary.BigEndian.PutUint64(pkt[64:], 1) // left
	binary.BigEndian.PutUint16(pkt[96:], 6881)
	var running sync.WaitGroup
	running.Go(func() {
		answer := make([]byte, 2048)
		for i := uint32(0); ; i++ {
			binary.BigEndian.PutUint32(pkt[16:], i%1000) // infohash
			if _, err := c.Write(pkt); err != nil {
				return
			}
			if _, err := c.Read(answer); err != nil {
				return
			}
		}
	})
	return func() { c.Close(); running.Wait() }
}

// pprof runs Go's tool on a profile of the tracker at tcp, and returns what it
// says.
func pprof(t *testing.T, tcp string, args ...string) (string, error) {
	t.Helper()
	args[len(args)-1] = "http://" + tcp + "/debug/pprof/" + args[len(args)-1]
	cmd := exec.Command("go", append([]string{"tool", "pprof", "-top", "-nodecount=1000"}, args...)...)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestProfiles fetches profiles from a busy tracker that was started as root and
// is in its sandbox, with Go's tool.
func TestProfiles(t *testing.T) {
	asRoot(t)
	dir := publicDir(t)
	start := func(conf string) (p *process, tcp, udp string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o644); err != nil {
			t.Fatal(err)
		}
		p = startIn(t, dir, "-f", "conf", "-i", "127.0.0.1", "-p", "0", "-P", "0")
		p.says("tracker: sandbox: seccomp, ")
		return p, p.says("tracker: listening on tcp "), p.says("tracker: listening on udp ")
	}
	p, tcp, udp := start("access.stats 127.0.0.1\n")
	p.late.Reset(time.Minute) // the profiles take some seconds
	end := keepBusy(t, udp)
	defer end()
	for _, tt := range []struct{ args, has []string }{
		{[]string{"profile?seconds=2"}, []string{"Type: cpu", "tracker/loop.(*udpReactor).run"}},
		{[]string{"-sample_index=inuse_space", "heap?gc=1"}, []string{"Type: inuse_space", "tracker/loop.Run"}},
		{[]string{"-sample_index=alloc_space", "allocs"}, []string{"Type: alloc_space", "tracker.(*tracker).serve"}},
		{[]string{"goroutine"}, []string{"Type: goroutine", "tracker/loop.(*desk).clerk"}},
		{[]string{"mutex?seconds=1"}, []string{"Type: delay"}},
	} {
		out, err := pprof(t, tcp, tt.args...)
		for _, want := range tt.has {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%v: %v, want %q in\n%.3000s", tt.args, err, want, out)
			}
		}
	}
	for _, path := range []string{"/debug/pprof/heap", "/debug/pprof/profile?seconds=1"} {
		if got, err := getFrom("127.0.0.2", tcp, path); err != nil || !strings.HasPrefix(got, "HTTP/1.0 403 ") {
			t.Errorf("from another address: %s: %q, %v", path, got, err)
		}
	}
	p.stop(15)
	for _, conf := range []string{"", "access.stats 127.0.0.2\n"} {
		p, tcp, _ := start(conf)
		if out, err := pprof(t, tcp, "heap"); err == nil || !strings.Contains(out, "403 Access Denied") {
			t.Errorf("with %q: %v, %s", conf, err, out)
		}
		p.stop(15)
	}
}
