package main

import (
	"bufio"
	"io"
	"math"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
)

// A measurement says how much memory the process has, in bytes.
type measurement struct {
	resident int64 // everything
	rest     int64 // what of it is not the store's
	goTotal  int64 // Go's part of that
	goLive   int64 // what of the heap was in use when it was last collected
	mappable int64 // what limits of the process let it have beside
}

// A meter measures. It belongs to one goroutine.
type meter struct {
	status  *os.File // nil where there is none
	samples []metrics.Sample
	limits  processLimits
}

// programLen is about what of a program is resident, in bytes, where the system
// does not say.
const programLen = 4 << 20

func openMeter() *meter {
	m := &meter{
		status: openStatus(),
		limits: ownLimits(),
		samples: []metrics.Sample{
			{Name: "/memory/classes/total:bytes"},
			{Name: "/memory/classes/heap/released:bytes"},
			{Name: "/gc/heap/live:bytes"},
		},
	}
	// If so much is mapped at the start, an emulator has mapped it, for us and
	// for itself, and the system counts addresses that are not ours.
	if m.status != nil && parseStatus(m.status).addresses < addressSpace/addressShare {
		m.limits.addresses = min(m.limits.addresses, addressSpace)
	}
	return m
}

// read measures, while the store has so many bytes, in memory that can be shared
// or not.
func (m *meter) read(used int64, shared bool) measurement {
	metrics.Read(m.samples)
	total, released, live := m.samples[0].Value.Uint64(), m.samples[1].Value.Uint64(), m.samples[2].Value.Uint64()
	r := measurement{goTotal: int64(total - released), goLive: int64(live), mappable: math.MaxInt64 / 2}
	r.rest = r.goTotal + programLen
	r.resident = r.rest + used
	if m.status == nil {
		return r
	}
	s := parseStatus(m.status)
	if s.resident > 0 {
		r.resident = s.resident
	}
	switch {
	case s.resident == 0: // unreadable
	case shared && s.shared > 0:
		r.rest = s.resident - s.shared // nothing else is shared
	default:
		r.rest = s.resident - used
	}
	r.mappable = min(r.mappable, m.limits.addresses-s.addresses-int64(spareAddresses))
	if !shared {
		r.mappable = min(r.mappable, m.limits.data-s.data-int64(spareAddresses))
	}
	return r
}

// spareAddresses is what the Go heap may need of a limit of addresses before we
// look again, in bytes: it takes them by the arena.
const spareAddresses = 64 << 20 * (1 + ^uint(0)>>63) / 2 // 64 MB, or 32 MB with 32 bits

// processLimits are how many bytes the process may map, in all and of its own;
// no limit is a very large one.
type processLimits struct{ addresses, data int64 }

// A processStatus is what the system says of a process, in bytes; 0 is unknown.
type processStatus struct {
	addresses, data             int64 // mapped in all, and of its own
	resident, anonymous, shared int64 // there in all, of its own, and in memory that it shares
}

// parseStatus reads the status of a process.
func parseStatus(f *os.File) (s processStatus) {
	fields := map[string]*int64{
		"VmSize": &s.addresses, "VmData": &s.data, "VmRSS": &s.resident, "RssAnon": &s.anonymous, "RssShmem": &s.shared,
	}
	lines := bufio.NewScanner(io.NewSectionReader(f, 0, 1<<16))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if field := fields[name]; field != nil {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			*field = kb << 10
		}
	}
	return s
}
