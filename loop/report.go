package loop

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tracker/stats"
)

// A process is what reports say of the process and its sockets. Every reactor
// uses it. But for the lock, it does not change once the first of them runs.
type process struct {
	wall     func() time.Time
	memory   func() (resident, limit int64) // nil: unknown, none
	quota    *quota
	udp      []int // listening sockets
	maxFiles int

	mu   sync.Mutex
	heap []metrics.Sample
}

// heapMetrics are those that make up the heap in use.
var heapMetrics = [...]string{"/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes"}

// newProcess returns what there is to say of a server that does not listen yet.
func newProcess(cfg *Config, q *quota) *process {
	p := &process{wall: cfg.Wall, memory: cfg.Memory, quota: q}
	for _, name := range heapMetrics {
		p.heap = append(p.heap, metrics.Sample{Name: name})
	}
	return p
}

// report sets r to the present. It makes a handful of system calls, one for
// each UDP socket among them, and must not be called after Stop.
func (l *ledger) report(r *stats.Report) {
	l.read(&r.Snapshot)
	p := l.process
	r.Unix = p.wall().Unix()
	r.Process = stats.Process{
		StoreBytes: uint64(l.store.Bytes()),
		HeapBytes:  p.heapBytes(),
		CPUSeconds: cpuTime().Seconds(),
		Processors: processors,
		Goroutines: runtime.NumGoroutine(),
		MaxFiles:   p.maxFiles,
	}
	if p.memory != nil {
		resident, limit := p.memory()
		r.Process.ResidentBytes, r.Process.LimitBytes = uint64(max(0, resident)), uint64(max(0, limit))
	}
	r.Conns = stats.Conns{Open: uint64(max(0, p.quota.used.Load())), Limit: uint64(max(0, p.quota.limit))}
	for _, fd := range p.udp {
		n := uint64(drops(fd))
		r.Totals[stats.UDPDrops][stats.V4] += n
		r.Wires[stats.UDP][stats.UDPDrops][stats.V4] += n
	}
}

// heapBytes returns how much of Go's heap is in use.
func (p *process) heapBytes() (n uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	metrics.Read(p.heap)
	for i := range p.heap {
		n += p.heap[i].Value.Uint64()
	}
	return n
}

// cpuTime returns how long the process has been running on processors, in its
// own code and in the system.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
