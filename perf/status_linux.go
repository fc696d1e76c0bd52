package perf

import (
	"fmt"
	"os"
)

// Status is what a process has of what it must give back.
type Status struct {
	RSS, Peak int64 // bytes: VmRSS, and the most it ever was
	Threads   int
	Files     int // open descriptors
}

// Status reads what the tracker has now.
func (s *Server) Status() (Status, error) {
	var st Status
	var threads int64 // procFields takes numbers for kB
	err := procFields(s.PID(), "status", map[string]*int64{"VmRSS": &st.RSS, "VmHWM": &st.Peak, "Threads": &threads})
	if err != nil {
		return st, err
	}
	st.Threads = int(threads >> 10)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID()))
	st.Files = len(files)
	return st, err
}
