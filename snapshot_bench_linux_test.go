package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tracker/proto"
	"tracker/store"
)

// BenchmarkRestart starts a tracker with a snapshot of a million peers in
// 200,000 torrents, has it write another while somebody announces all the time,
// and ends it, which writes a third. It tells how long each takes, the peak of
// resident memory in parts of what it is before and after, and how long
// announces waited, while nothing else was going on and while a snapshot was
// written. The tracker wants two processors, and we a third.
//
//	go test . -run '^$' -bench Restart -benchtime 1x
func BenchmarkRestart(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		for _, d := range []string{dir, filepath.Dir(dir)} {
			os.Chmod(d, 0o777)
		}
		file := filepath.Join(dir, "state")
		writePeers(b, file, 1_000_000)
		began := time.Now()
		p, _, _, udp := startState(b, dir, "state")
		report(b, "load", time.Since(began))
		after := p.resident("VmRSS")
		b.ReportMetric(p.resident("VmHWM")/after, "load-peak/after")
		b.ReportMetric(after*1024/1e6, "RSS-B/peer")
		announceUntil(b, udp, "quiet", time.Second, nil)

		proc := fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid)
		_ = os.WriteFile(proc, []byte("5"), 0) // the peak begins anew
		before, done := p.resident("VmRSS"), make(chan string, 1)
		p.signal(syscall.SIGUSR2)
		go func() { line, _ := p.lines.ReadString('\n'); done <- line }()
		announceUntil(b, udp, "write", patience, done)
		b.ReportMetric(p.resident("VmHWM")/before, "write-peak/before")
		began = time.Now()
		said := p.stop(syscall.SIGTERM)
		report(b, "stop", time.Since(began))
		if !strings.Contains(said, ": 1000001 peers written in ") {
			b.Errorf("it says %q", said)
		}
		fi, err := os.Stat(file)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(fi.Size())/1e6, "MB")
	}
}

func report(b *testing.B, what string, d time.Duration) {
	b.ReportMetric(float64(d.Microseconds())/1000, what+"-ms")
}

// writePeers writes a snapshot of n peers in a fifth as many torrents, a tenth of
// them in one.
func writePeers(b testing.TB, file string, n uint32) {
	b.Helper()
	s, rnd, a := store.New(store.Options{}), store.NewRand(1), store.Answer{}
	for i := range n {
		q := store.Query{
			Infohash: baseHash(int(1 + i%(n/5))), Seeder: i%3 == 0,
			Peer: proto.MakePeer(netip.AddrFrom4([4]byte{80, byte(i >> 24), byte(i >> 16), 1}), uint16(i)|1<<15),
		}
		if i&1<<15 != 0 {
			q.Peer = proto.MakePeer(netip.AddrFrom4([4]byte{81, byte(i >> 24), byte(i >> 16), 1}), uint16(i))
		}
		if i%10 == 0 {
			q.Infohash = baseHash(0)
		}
		s.Announce(&q, 1000, rnd, &a)
	}
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	_, err = s.WriteSnapshot(f, &store.SnapshotHeader{Wall: time.Now().UnixMilli()}, 1000)
	f.Chmod(0o644)
	if closed := f.Close(); err != nil || closed != nil {
		b.Fatal(err, closed)
	}
}

// resident returns the tracker's resident memory, or its peak, in kB.
func (p *process) resident(field string) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	_, line, _ := strings.Cut(string(status), "\n"+field+":")
	kb, _ := strconv.ParseFloat(strings.Fields(line + " 0")[0], 64)
	return kb
}

// announceUntil announces one after the other until done, or for that long, and
// tells the longest that an answer took, and what one in a thousand exceeds.
func announceUntil(b *testing.B, to, what string, most time.Duration, done <-chan string) {
	b.Helper()
	c, err := net.Dial("udp", to)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	announce, answer := announceOf(connectUDP(b, to), 0), make([]byte, 1500)
	var waits []time.Duration
	for began := time.Now(); time.Since(began) < most && len(done) == 0; {
		asked := time.Now()
		c.SetDeadline(asked.Add(patience))
		_, err := c.Write(announce)
		if err == nil {
			_, err = c.Read(answer)
		}
		if err != nil {
			b.Fatal(err)
		}
		waits = append(waits, time.Since(asked))
	}
	slices.Sort(waits)
	report(b, what+"-p99.9", waits[len(waits)*999/1000])
	report(b, what+"-longest", waits[len(waits)-1])
	if done == nil {
		return
	}
	line := <-done
	_, text, _ := strings.Cut(strings.TrimSpace(line), " written in ")
	d, err := time.ParseDuration(text)
	if err != nil {
		b.Fatalf("it says %q", line)
	}
	report(b, "write", d)
}
