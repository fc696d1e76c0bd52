package main

import (
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A programPart is where a part of the program that nobody writes to is mapped.
type programPart struct{ addr, length uintptr }

// programParts returns the parts of the running program, its instructions and
// constants. It has to be called before the cell is entered. Where they are not
// told, there are none.
func programParts() []programPart {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil
	}
	defer f.Close()
	first := make([]byte, 8<<10) // the program's come first
	n, _ := io.ReadFull(f, first)
	return partsIn(string(first[:n]))
}

// partsIn reads the content of that file: for each mapping a line of from-to in
// hex, rights, offset, device, inode and path, and then lines of what it takes.
// What of a mapping is anonymous, or in swap since, was written to by the linker
// of the system before it became read-only; it is nowhere else.
func partsIn(maps string) (parts []programPart) {
	var program string // its inode
	var part programPart
	for line := range strings.Lines(maps) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch from, to, isRange := strings.Cut(f[0], "-"); {
		case isRange:
			part = programPart{}
			if len(f) < 6 || f[4] == "0" || program != "" && f[4] != program {
				continue
			}
			program = f[4]
			addr, err1 := strconv.ParseUint(from, 16, strconv.IntSize)
			end, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
			if err1 == nil && err2 == nil && addr < end && (f[1] == "r-xp" || f[1] == "r--p") {
				part = programPart{uintptr(addr), uintptr(end - addr)}
			}
		case f[0] == "Anonymous:" && f[1] != "0":
			part = programPart{}
		case f[0] == "Swap:" && f[1] == "0" && part.length > 0: // which comes after that
			parts = append(parts, part)
		}
	}
	return parts
}

// release gives back what of the program is resident, and the next instruction
// takes what it needs of it from the system's cache again. Most of a program is
// only needed to start, but what lies beside is mapped with what is needed, so
// nearly all of it becomes resident: 4.4 of 6.4 MB of a tracker that stands
// idle, as one that serves needs 2. A system that has the memory loses nothing,
// and one that does not need not find out.
func (p programPart) release() {
	_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, p.addr, p.length, unix.MADV_DONTNEED) // it was only an offer
}
