package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// othersCPU returns how long the machine has computed for anybody but a
// tracker, which has computed for so long, and us. If that grows much while a
// stage runs, its latencies and losses say little: a tracker that is not let on
// its processor for 30 ms has a full queue in a flood.
func othersCPU(tracker time.Duration) (time.Duration, error) {
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

// busyTime reads the first line of /proc/stat: "cpu user nice system idle …",
// in hundredths of a second, whatever the kernel's clock (proc_stat(5)).
func busyTime(stat []byte) (sum time.Duration, err error) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	f := bytes.Fields(line)
	if len(f) < 4 || string(f[0]) != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %.20q", stat)
	}
	for _, column := range f[1:4] {
		n, err := strconv.ParseInt(string(column), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		sum += time.Duration(n) * (time.Second / 100)
	}
	return sum, nil
}
