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
	files    fileCount

	mu      sync.Mutex
	runtime []metrics.Sample
	start   int64 // by the wall clock, in seconds since 1970
}

// runtimeMetrics are those of Go that are told: two that make up the heap in
// use, and how often garbage was collected.
var runtimeMetrics = [...]string{
	"/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes", "/gc/cycles/total:gc-cycles",
}

// newProcess returns what there is to say of a server that does not listen yet.
func newProcess(cfg *Config, q *quota) *process {
	p := &process{wall: cfg.Wall, memory: cfg.Memory, quota: q, files: openFileCount()}
	for _, name := range runtimeMetrics {
		p.runtime = append(p.runtime, metrics.Sample{Name: name})
	}
	return p
}

// close closes what p has open.
func (p *process) close() { p.files.close() }

// report sets r to the present. It makes a handful of system calls, one for
// each UDP socket among them, and must not be called after Stop.
func (l *ledger) report(r *stats.Report) {
	l.read(&r.Snapshot)
	p := l.process
	r.Unix = p.wall().Unix()
	r.Process = stats.Process{
		StoreBytes: uint64(l.store.Bytes()),
		CPUSeconds: cpuTime().Seconds(),
		Processors: processors,
		Goroutines: runtime.NumGoroutine(),
		OpenFiles:  p.files.read(),
		MaxFiles:   p.maxFiles,
	}
	p.askRuntime(r)
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

// maxAstray is by how many seconds the wall clock may go another way than ours
// before the start of the process is somewhere else.
const maxAstray = 5

// askRuntime sets what Go's runtime tells, and when the process has started.
// That is always the same moment, unless the wall clock was set.
func (p *process) askRuntime(r *stats.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	metrics.Read(p.runtime)
	r.Process.HeapBytes = p.runtime[0].Value.Uint64() + p.runtime[1].Value.Uint64()
	r.Process.Collections = p.runtime[2].Value.Uint64()
	if start := r.Unix - int64(r.UptimeSeconds); start < p.start-maxAstray || start > p.start+maxAstray {
		p.start = start
	}
	r.Process.StartUnix = p.start
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
