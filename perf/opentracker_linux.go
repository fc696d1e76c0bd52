package perf

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"tracker/proto"
)

// OpentrackerArgs returns the flags of opentracker, which ours takes, too, for
// UDP and TCP at one address and the name of a whitelist, or "" for none.
func OpentrackerArgs(list string) Args {
	return func(at netip.AddrPort) ([]string, error) {
		p := strconv.Itoa(int(at.Port()))
		args := []string{"-i", at.Addr().String(), "-p", p, "-P", p}
		if list != "" {
			args = append(args, "-w", list)
		}
		return args, nil
	}
}

// WriteWhitelist writes the infohashes of the first n torrents, and then more,
// to a new file in opentracker's format, readable by everybody, since
// opentracker opens it as nobody. The file and its directory are held until end
// is called.
func (h *Held) WriteWhitelist(n uint32, more ...proto.Infohash) (path string, end func(), err error) {
	end, err = h.Hold(func() (func(), error) {
		path, err = writeWhitelist(n, more)
		return func() { _ = os.RemoveAll(filepath.Dir(path)) }, err
	})
	return path, end, err
}

func writeWhitelist(n uint32, more []proto.Infohash) (path string, err error) {
	dir, err := os.MkdirTemp("", "perf")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "whitelist")
	f, err := os.Create(path)
	if err == nil {
		w := bufio.NewWriterSize(f, 1<<20)
		for t := range n {
			fmt.Fprintf(w, "%x\n", Infohash(t))
		}
		for i := range more {
			fmt.Fprintf(w, "%x\n", more[i])
		}
		err = errors.Join(w.Flush(), f.Close(), os.Chmod(dir, 0o755), os.Chmod(path, 0o644))
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", err
	}
	return path, nil
}
