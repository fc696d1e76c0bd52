package store

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// residentMB returns the process's resident memory, or its peak, in MB; 0 where
// there is no /proc.
func residentMB(field string) float64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, line, _ := strings.Cut(string(status), "\n"+field+":")
	words := strings.Fields(line)
	if len(words) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(words[0], 64)
	return kb / 1024
}

// BenchmarkSnapshot writes and loads a million peers in 200,000 torrents, one
// of them with 100,000. It tells the resident memory before and at its peak,
// less the snapshot itself, which here is in memory.
//
//	go test ./store -run '^$' -bench Snapshot -benchtime 1x
func BenchmarkSnapshot(b *testing.B) {
	const torrents, peers = 200_000, 1_000_000
	m := newMachine(b, 45)
	defer m.end()
	for i := range uint32(peers) {
		q := Query{Infohash: testInfohash(1 + i%torrents), Peer: testPeer4(i), Seeder: i%3 == 0}
		if i%10 == 0 {
			q.Infohash = testInfohash(0)
		}
		m.store.Announce(&q, m.now, m.rnd, &m.a)
	}
	var file bytes.Buffer
	file.Grow(32 << 20)
	for range 32 << 20 / 4096 { // touch it, so that it counts in neither figure
		file.Write(make([]byte, 4096))
	}
	before := residentMB("VmRSS")
	b.Run("write", func(b *testing.B) {
		_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // the peak begins anew; elsewhere it does not
		for b.Loop() {
			file.Reset()
			if _, err := m.store.WriteSnapshot(&file, &testHeader, m.now); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(file.Len())/peers, "B/peer")
		b.ReportMetric(residentMB("VmHWM")/before, "peak/before")
	})
	b.Run("lock", func(b *testing.B) { // the longest that a request can wait for it
		var longest time.Duration
		sw := newSnapshotWriter(writerFunc(func(p []byte) (int, error) { return len(p), nil }), m.now)
		for i := range m.store.shards {
			sh := &m.store.shards[i]
			for hash, more := uint32(0), true; more; {
				began := time.Now()
				hash, more = sh.walkFrom(hash, func(at ref) { sw.record(sh, at) })
				longest = max(longest, time.Since(began))
				_ = sw.flush(snapshotFlush) // never fails
			}
		}
		b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			to := newMachine(b, 45)
			b.StartTimer()
			if _, err := load(to.store, file.Bytes(), to.now, 0); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if n, s, l := to.store.Totals(); s+l != peers {
				b.Errorf("%d torrents, %d peers", n, s+l)
			}
			to.end()
			b.StartTimer()
		}
	})
}
