package stats

import "strconv"

// An exposition appends metrics.
type exposition struct {
	b       []byte
	r       *Report
	floor   *Floor
	derived int // series so far that are differences
}

// head appends what stands before the series of a metric.
func (x *exposition) head(name, help, kind string) {
	for _, part := range [...]string{"# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"} {
		x.b = append(x.b, part...)
	}
}

// metric appends a metric that is made of counters.
func (x *exposition) metric(m *metric) {
	x.head(m.name, m.help, "counter")
	totals := &x.r.Totals
	for i := range m.rows {
		row := &m.rows[i]
		switch m.split {
		case splitNone:
			x.series(m.name, row.labels, "", "", row.sum(totals, V4)+row.sum(totals, V6))
		case splitFamily:
			for f := range numFamilies {
				x.series(m.name, row.labels, "", familyNames[f], row.sum(totals, f))
			}
		case splitWire:
			for w := range NumWires {
				for f := range numFamilies {
					if row.wires&(1<<w) != 0 {
						x.series(m.name, row.labels, wireNames[w], familyNames[f], x.over(row, w, f))
					}
				}
			}
		}
	}
}

// over returns what a series has of a wire and family. What is counted outside
// of reactors is about HTTP.
func (x *exposition) over(row *series, w Wire, f Family) uint64 {
	n, less := row.sum(&x.r.Wires[UDP], f), row.deduction(&x.r.Wires[UDP], f)
	if w == HTTP {
		n, less = row.sum(&x.r.Totals, f)-n, row.deduction(&x.r.Totals, f)-less
	}
	if row.less == nil {
		return n
	}
	n = x.floor.raise(x.derived, n-min(n, less))
	x.derived++
	return n
}

// sum returns the sum of the counters for a family.
func (s *series) sum(t *Totals, f Family) (n uint64) {
	for _, k := range s.of {
		n += t[k][f]
	}
	return n
}

// deduction returns the sum of what is taken away from that.
func (s *series) deduction(t *Totals, f Family) (n uint64) {
	for _, k := range s.less {
		n += t[k][f]
	}
	return n
}

// series appends a line with those of the labels that are not empty.
func (x *exposition) series(name, labels, protocol, family string, v uint64) {
	x.b = append(x.b, name...)
	sep := byte('{')
	for _, l := range [...]struct{ name, value string }{{"protocol", protocol}, {"family", family}} {
		if l.value != "" {
			x.b = append(append(append(x.b, sep), l.name...), `="`...)
			x.b = append(append(x.b, l.value...), '"')
			sep = ','
		}
	}
	if labels != "" {
		x.b = append(append(x.b, sep), labels...)
		sep = ','
	}
	if sep == ',' {
		x.b = append(x.b, '}')
	}
	x.value(v)
}

// labeled appends a line.
func (x *exposition) labeled(name, labels string, v uint64) { x.series(name, labels, "", "", v) }

// gauge appends a metric of one number.
func (x *exposition) gauge(name, help string, v uint64) {
	x.head(name, help, "gauge")
	x.labeled(name, "", v)
}

// value appends the end of a line.
func (x *exposition) value(v uint64) {
	x.b = append(x.b, ' ')
	x.b = append(strconv.AppendUint(x.b, v, 10), '\n')
}

// seconds appends the end of a line.
func (x *exposition) seconds(v float64) {
	x.b = append(x.b, ' ')
	x.b = append(strconv.AppendFloat(x.b, v, 'g', -1, 64), '\n')
}

// times appends how long answers took.
func (x *exposition) times() {
	const name = "tracker_handler_seconds"
	x.head(name, "Time from reading a request until its answer was handed to the system, of one read in eight; each request of a batch took as long as the batch.", "histogram")
	for w := range NumWires {
		t, sum := &x.r.Times[w], uint64(0)
		for i, n := range t.N {
			sum += n
			x.wire(name+"_bucket", w)
			x.b = append(x.b, `",le="`...)
			if i == NumTimes-1 {
				x.b = append(x.b, "+Inf"...)
			} else {
				x.b = strconv.AppendFloat(x.b, TimeBound(i).Seconds(), 'g', -1, 64)
			}
			x.b = append(x.b, `"}`...)
			x.value(sum)
		}
		x.wire(name+"_sum", w)
		x.b = append(x.b, `"}`...)
		x.seconds(float64(t.Nanos) / 1e9)
		x.wire(name+"_count", w)
		x.b = append(x.b, `"}`...)
		x.value(sum)
	}
}

// wire appends the beginning of a line, up to the end of the protocol's name.
func (x *exposition) wire(name string, w Wire) {
	x.b = append(append(x.b, name...), `{protocol="`...)
	x.b = append(x.b, wireNames[w]...)
}

// escaped appends the value of a label.
func (x *exposition) escaped(s string) {
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\', '"':
			x.b = append(x.b, '\\', c)
		case '\n':
			x.b = append(x.b, '\\', 'n')
		default:
			x.b = append(x.b, c)
		}
	}
}

// process appends what every process tells Prometheus, and every one of Go.
func (x *exposition) process(p *Process) {
	x.head("process_cpu_seconds_total", "Processor time taken, in the program and in the system for it.", "counter")
	x.b = append(x.b, "process_cpu_seconds_total"...)
	x.seconds(p.CPUSeconds)
	for _, g := range [...]struct {
		name, help string
		v          uint64
	}{
		{"process_resident_memory_bytes", "Memory that is there, everything included.", p.ResidentBytes},
		{"process_start_time_seconds", "When the process began to serve, in seconds since 1970.", uint64(max(0, p.StartUnix))},
		{"process_open_fds", "Descriptors that are open.", uint64(max(0, p.OpenFiles))},
		{"process_max_fds", "Descriptors that may be open.", uint64(max(0, p.MaxFiles))},
		{"go_goroutines", "Goroutines.", uint64(p.Goroutines)},
		{"go_memstats_heap_inuse_bytes", "Memory in use on Go's heap, garbage included.", p.HeapBytes},
	} {
		if g.v > 0 {
			x.gauge(g.name, g.help, g.v)
		}
	}
	x.head("go_gc_cycles_total", "Garbage collections.", "counter")
	x.labeled("go_gc_cycles_total", "", p.Collections)
}
