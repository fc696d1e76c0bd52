package main

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestProgramParts reads what the system says of a program whose constants were
// relocated, and swapped out since, of another file, and of memory that is no file.
func TestProgramParts(t *testing.T) {
	maps := "00400000-00500000 r-xp 00000000 fe:00 77 /bin/tracker\nSize: 1024 kB\nAnonymous:             0 kB\nSwap:                  0 kB\nVmFlags: rd ex\n" +
		"00500000-00600000 r--p 00100000 fe:00 77 /bin/tracker\nAnonymous:             0 kB\nSwap:                  0 kB\n" +
		"00600000-00601000 r--p 00200000 fe:00 77 /bin/tracker\nAnonymous:             4 kB\nSwap:                  0 kB\n" +
		"00602000-00603000 r--p 00200000 fe:00 77 /bin/tracker\nAnonymous:             0 kB\nSwap:                  4 kB\n" +
		"00601000-00602000 rw-p 00201000 fe:00 77 /bin/tracker\nAnonymous:             0 kB\nSwap:                  0 kB\n" +
		"00700000-00800000 r--p 00000000 fe:00 78 /lib/other.so\nAnonymous:             0 kB\nSwap:                  0 kB\n" +
		"00900000-00a00000 r--p 00000000 00:00 0\nAnonymous:             0 kB\nSwap:                  0 kB\n"
	if got, want := partsIn(maps), []programPart{{0x400000, 0x100000}, {0x500000, 0x100000}}; !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if got := partsIn("nonsense\n\n-\nx-y r--p 0 0 5 z\nAnonymous: 0 kB\nSwap: 0 kB\n"); len(got) != 0 {
		t.Errorf("got %x of nonsense", got)
	}
}

// TestProgramRelease releases this very program, which has to go on, with less.
func TestProgramRelease(t *testing.T) {
	parts := programParts()
	if len(parts) == 0 {
		t.Fatal("the system tells of no program")
	}
	before := residentFile(t)
	for _, p := range parts {
		p.release()
	}
	after := residentFile(t)
	runtime.GC() // walks what there is
	t.Logf("%s resident of files before, %s after", before, after)
	if after == before {
		t.Error("nothing was released")
	}
}

// residentFile returns what the system says is resident of files.
func residentFile(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}
