package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tracker/perf"
	"tracker/proto"
)

// A subject is a tracker that is tortured, and the witness at it.
type subject struct {
	*perf.Server
	name    string
	ours    bool
	at6     netip.AddrPort // invalid if it does not serve IPv6
	witness *witness
}

// A setting is how a subject is started.
type setting struct {
	torrents uint32   // of the workload that opentracker is to serve
	crafted  bool     // and the crafted ones
	conf     []string // lines of ours
	files    int      // limit of descriptors; 0 for as many as there may be
}

// start starts a tracker, ours or the peer, lets the witness join, and waits
// until what the start took has been given back.
func (o *options) start(path string, ours bool, set setting) (*subject, error) {
	s := &subject{name: "tracker", ours: ours}
	if !ours {
		s.name = filepath.Base(path)
	}
	cmd := perf.Command{
		Path: path, Addr: netip.MustParseAddr("127.0.0.1"), CPUs: perf.OneCPU(o.serverCPU), Held: &o.held, Wrap: fileLimit(set.files),
	}
	var err error
	if ours {
		cmd.Args = s.conf(o, set.conf)
	} else if cmd.Args, err = o.listed(path, set); err != nil {
		return nil, err
	}
	if s.Server, err = cmd.Start(); err != nil {
		return nil, err
	}
	if s.witness, err = newWitness(s.Addr, s.at6, ours, o.scale()); err != nil {
		s.Stop()
		return nil, fmt.Errorf("%w\n%s", err, s.Said())
	}
	return s, nil
}

// stop ends the subject.
func (s *subject) stop() {
	s.witness.close()
	s.Stop()
}

// fileLimit is a command that starts the one behind it with n descriptors, or
// with as many as it may have.
func fileLimit(n int) []string {
	limit := "$(ulimit -H -n)"
	if n > 0 {
		limit = strconv.Itoa(n)
	}
	return []string{"/bin/sh", "-c", "ulimit -n " + limit + ` && exec "$@"`, "sh"}
}

// conf returns arguments for ours: a config file with the listeners of both
// families and more lines.
func (s *subject) conf(o *options, more []string) perf.Args {
	return func(at netip.AddrPort) ([]string, error) {
		lines := append([]string{"listen.tcp_udp " + at.String(), "access.stats " + auditor.String()}, more...)
		if six := netip.AddrPortFrom(witness6, at.Port()); canListen(six) {
			lines = append(lines, "listen.tcp_udp "+six.String())
			s.at6 = six
		}
		path, err := o.writeConf(lines)
		return []string{"-f", path}, err
	}
}

// writeConf writes a config file, which is held.
func (o *options) writeConf(lines []string) (path string, err error) {
	_, err = o.held.Hold(func() (func(), error) {
		f, err := os.CreateTemp("", "torture*.conf")
		if err != nil {
			return nil, err
		}
		path = f.Name()
		_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
		return func() { _ = os.Remove(path) }, errors.Join(err, f.Close())
	})
	return path, err
}

// knows reports whether a tracker has the keys of these lines: then a
// configuration of them alone is accepted.
func (o *options) knows(tracker string, lines ...string) bool {
	path, err := o.writeConf(lines)
	if err != nil {
		return false
	}
	if tracker, err = exec.LookPath(tracker); err != nil {
		return false
	}
	return exec.Command(tracker, "-t", "-f", path).Run() == nil
}

// listed returns arguments for opentracker, with a whitelist if path is its.
func (o *options) listed(path string, set setting) (perf.Args, error) {
	list := ""
	if filepath.Base(path) == "opentracker" {
		more := []proto.Infohash{witnessHash}
		if set.crafted {
			more = append(more, colliding(o.scale().crafted)...)
		}
		var err error
		if list, _, err = o.held.WriteWhitelist(max(set.torrents, 1), more...); err != nil {
			return nil, err
		}
	}
	plain := perf.OpentrackerArgs(list)
	return func(at netip.AddrPort) ([]string, error) {
		args, err := plain(at)
		return append(args, "-A", auditor.String()), err
	}, nil
}

// canListen reports whether an address can be listened at.
func canListen(a netip.AddrPort) bool {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(a))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// manyPorts lets the system choose a connection's port when it is made: then
// there are as many as pairs of addresses and ports, not as many as ports.
func manyPorts(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) })
}

// number reads a number from the page of all statistics: the first that
// stands in a tag of that name.
func (s *subject) number(tag string) (uint64, error) {
	page, err := get(s.Addr, auditor, "/stats?mode=everything", time.Now().Add(30*time.Second))
	if err != nil {
		return 0, err
	}
	return tagged(page, tag)
}

func tagged(page []byte, tag string) (uint64, error) {
	_, rest, ok := bytes.Cut(page, []byte("<"+tag+">"))
	text, _, ok2 := bytes.Cut(rest, []byte("<"))
	if !ok || !ok2 {
		return 0, fmt.Errorf("statistics without %s", tag)
	}
	return strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
}

// goroutines ends a program in Go with a signal that makes it tell what all
// of its goroutines do, and returns how many there were, without those of the
// runtime: its collector has some once there was something to collect.
func (s *subject) goroutines() int {
	s.witness.close()
	_ = s.EndBy(unix.SIGQUIT, 10*time.Second) // it says how it ended
	const created = "\ncreated by "           // all but the first
	said := s.Said()
	return bytes.Count(said, []byte(created)) - bytes.Count(said, []byte(created+"runtime."))
}
