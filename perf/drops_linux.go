package perf

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Drops returns how many datagrams the kernel has thrown away because the
// queues of the tracker's sockets were full: those of all UDP sockets on its
// port, whatever the address.
func (s *Server) Drops() (uint64, error) {
	var sum uint64
	for _, file := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue // no IPv6
		}
		if err != nil {
			return 0, err
		}
		n, err := socketDrops(text, s.Addr.Port())
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		sum += n
	}
	return sum, nil
}

// socketDrops adds up the last column of the lines of a port:
//
//	sl  local_address rem_address ... ref pointer drops
//	 7: 0100007F:1B39 00000000:0000 ...
func socketDrops(table []byte, port uint16) (sum uint64, err error) {
	end := fmt.Appendf(nil, ":%04X", port)
	for line := range bytes.Lines(table) {
		f := bytes.Fields(line)
		if len(f) < 3 || !bytes.HasSuffix(f[1], end) {
			continue
		}
		n, err := strconv.ParseUint(string(f[len(f)-1]), 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
