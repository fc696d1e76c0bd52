package perf

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Others returns how long the machine has computed for anybody but the tracker
// and us. If that grows much during a measurement, its latencies and losses say
// little: a tracker that is not let on its processor for 30 ms has a full queue
// in a flood.
func (s *Server) Others() (time.Duration, error) {
	tracker, err := s.CPU()
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	all, err := busyTime(text)
	if err != nil {
		return 0, err
	}
	var own unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &own); err != nil {
		return 0, os.NewSyscallError("getrusage", err)
	}
	return all - tracker - time.Duration(own.Utime.Nano()+own.Stime.Nano()), nil
}

// busyTime reads the first line of /proc/stat, in hundredths of a second
// whatever the kernel's clock (proc_stat(5)):
//
//	cpu user nice system idle iowait irq softirq …
//
// What interrupts take is in the time of whom they interrupted, too: over the
// loopback interface, everything that is received.
func busyTime(stat []byte) (sum time.Duration, err error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	f := bytes.Fields(line)
	if len(f) < 8 || string(f[0]) != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %.20q", stat)
	}
	for _, column := range slices.Concat(f[1:4], f[6:8]) {
		n, err := strconv.ParseInt(string(column), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		sum += time.Duration(n) * (time.Second / 100)
	}
	return sum, nil
}
