package perf

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tracker/proto"
)

// ErrStart is returned when a tracker does not come up.
var ErrStart = errors.New("perf: the tracker did not start")

// startLimit is how long a tracker may take until it serves. Opentracker
// needs a second for each million lines of its list.
const startLimit = 60 * time.Second

// Server is a tracker running as a child process.
type Server struct {
	Addr netip.AddrPort
	cmd  *exec.Cmd
	out  bytes.Buffer
	end  func() // kills it, if it is still held

	once   sync.Once
	result error // of waiting
}

// Command says how to start a tracker.
type Command struct {
	Path  string // looked for in PATH if it has no slash
	Addr  netip.Addr
	Args  Args   // nil for those of opentracker without a whitelist
	HTTP  bool   // it has no UDP, and is probed over HTTP
	Probe uint32 // number of a torrent that it serves
	CPUs  []int  // it runs on these alone; none for any
	Env   []string
	Wrap  []string // a command that becomes the tracker, given its path and flags
	Held  *Held    // has it until it is stopped; nil for nobody
}

// Args returns a tracker's arguments for serving at an address. It may write
// the tracker a configuration first.
type Args func(at netip.AddrPort) ([]string, error)

// Start runs the tracker on a free port for UDP and TCP and returns when it
// serves the probe. Its errors are [ErrStart], with what the tracker said, or
// what the system said. The tracker dies with the thread that started it, so
// the caller has locked its goroutine to that; one that gives up root does not,
// and has to be held.
func (c Command) Start() (*Server, error) {
	port, err := freePort(c.Addr)
	if err != nil {
		return nil, err
	}
	path, err := exec.LookPath(c.Path)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if c.Args == nil {
		c.Args = OpentrackerArgs("")
	}
	at := netip.AddrPortFrom(c.Addr, port)
	args, err := c.Args(at)
	if err != nil {
		return nil, err
	}
	argv := slices.Concat(c.Wrap, []string{path}, args)
	s := &Server{Addr: at, cmd: exec.Command(argv[0], argv[1:]...)}
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	s.cmd.Env = append(os.Environ(), c.Env...)
	s.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if c.Held == nil {
		c.Held = new(Held)
	}
	s.end, err = c.Held.Hold(func() (func(), error) { return s.kill, startOn(s.cmd, c.CPUs) })
	if err != nil {
		return nil, err
	}
	ask := s.ask
	if c.HTTP {
		ask = s.askHTTP
	}
	if err := s.await(ask, c.Probe); err != nil {
		s.Stop()
		return nil, fmt.Errorf("%w: %s: %w\n%s", ErrStart, path, err, s.out.Bytes())
	}
	return s, nil
}

// PID returns the process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop ends the process and waits for it.
func (s *Server) Stop() { s.end() }

func (s *Server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.wait()
}

// wait returns how the process ended, to any number of callers.
func (s *Server) wait() error {
	s.once.Do(func() { s.result = s.cmd.Wait() })
	return s.result
}

// End asks the process to end and waits for it, until limit has passed; then
// it is killed. It returns how the process ended, if not with exit code 0.
func (s *Server) End(limit time.Duration) error { return s.EndBy(unix.SIGTERM, limit) }

// EndBy does the same with another signal that ends it.
func (s *Server) EndBy(signal os.Signal, limit time.Duration) error {
	if err := s.cmd.Process.Signal(signal); err != nil {
		return err
	}
	late := time.AfterFunc(limit, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	defer s.end()
	return s.wait()
}

// Said returns what the tracker has written to its standard output and error.
// It may be called after Stop only.
func (s *Server) Said() []byte { return s.out.Bytes() }

// await asks for torrent probe until it gets a whole answer.
func (s *Server) await(ask func(probe uint32) error, probe uint32) error {
	deadline := time.Now().Add(startLimit)
	for {
		err := ask(probe)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if exited(s.PID()) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ask joins torrent probe and leaves it.
func (s *Server) ask(probe uint32) error {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.Addr))
	if err != nil {
		return err
	}
	defer conn.Close()
	var id uint64
	steps := []Request{
		{Kind: Connect},
		{Kind: Announce, Torrent: probe, Port: 1024, Event: proto.EventStarted},
		{Kind: Announce, Torrent: probe, Port: 1024, Event: proto.EventStopped},
	}
	var buf [maxDatagram]byte
	for _, r := range steps {
		if err := conn.SetDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
			return err
		}
		if _, err := conn.Write(appendUDP(nil, &r, id, 7)); err != nil {
			return err
		}
		n, err := conn.Read(buf[:])
		if err != nil {
			return err
		}
		if n < r.leastAnswer() || buf[3] != byte(r.Kind) {
			return fmt.Errorf("answer of %d bytes to request kind %d", n, r.Kind)
		}
		if r.Kind == Connect {
			id = be.Uint64(buf[8:])
		}
	}
	return nil
}

// askHTTP joins torrent probe and leaves it, over a connection each.
func (s *Server) askHTTP(probe uint32) error {
	h, err := OpenHTTP(s.Addr, []netip.Addr{s.Addr.Addr()})
	if err != nil {
		return err
	}
	defer h.Close()
	h.Limits = Limits{Window: 1, Timeout: 500 * time.Millisecond}
	events := []proto.Event{proto.EventStarted, proto.EventStopped}
	res, err := h.Run(func(r *Request) bool {
		if len(events) == 0 {
			return false
		}
		*r = Request{Kind: Announce, Torrent: probe, Port: 1024, Event: events[0]}
		events = events[1:]
		return true
	})
	if err == nil && res.Answered < 2 {
		err = fmt.Errorf("%d of 2 requests answered, %d refused", res.Answered, res.Refused)
	}
	return err
}

// startOn starts cmd on cpus, or anywhere if there are none. The child
// inherits the affinity of the thread that forks it.
func startOn(cmd *exec.Cmd, cpus []int) error {
	if len(cpus) == 0 {
		return cmd.Start()
	}
	var old unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		return os.NewSyscallError("sched_getaffinity", err)
	}
	if err := Pin(cpus...); err != nil {
		return err
	}
	defer func() { _ = unix.SchedSetaffinity(0, &old) }()
	return cmd.Start()
}

// OneCPU returns the list for [Command] of cpu alone, or of none if it is
// negative.
func OneCPU(cpu int) []int {
	if cpu < 0 {
		return nil
	}
	return []int{cpu}
}

// Pin binds the calling thread to cpus; the caller has locked its goroutine
// to the thread.
func Pin(cpus ...int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	return os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(0, &set))
}

// ThreadCPU returns the time the calling thread has computed, in user and
// system mode.
func ThreadCPU() (time.Duration, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano()), os.NewSyscallError("clock_gettime", err)
}

// Memory is what a process occupies, in bytes.
type Memory struct {
	RSS  int64 // VmRSS
	Anon int64 // RssAnon: its own, without files and shared memory
	PSS  int64 // proportional share of everything
}

// Memory reads what the tracker occupies now.
func (s *Server) Memory() (Memory, error) {
	var m Memory
	err := procFields(s.PID(), "status", map[string]*int64{"VmRSS": &m.RSS, "RssAnon": &m.Anon})
	if err != nil {
		return m, err
	}
	// Without smaps_rollup (Linux before 4.14) PSS stays 0.
	_ = procFields(s.PID(), "smaps_rollup", map[string]*int64{"Pss": &m.PSS})
	return m, nil
}

// CPU returns the time the tracker has computed, in user and system mode, to
// the nanosecond: the process's CPU clock, which threads that have ended are
// part of, as they are not of /proc/PID/task.
func (s *Server) CPU() (time.Duration, error) {
	var ts unix.Timespec
	clock := int32(^s.PID()<<3 | 2) // CPUCLOCK_SCHED of another process, clock_getcpuclockid(3)
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(ts.Nano()), nil
}

// procFields reads "Name: 123 kB" lines of a file of /proc/PID.
func procFields(pid int, file string, want map[string]*int64) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if p := want[name]; p != nil {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return fmt.Errorf("/proc/%d/%s: %w", pid, file, err)
			}
			*p = kb << 10
		}
	}
	return nil
}

// exited reports whether the process has ended without being waited for.
func exited(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	i := bytes.LastIndexByte(stat, ')') // a name may hold anything
	return i >= 0 && i+2 < len(stat) && stat[i+2] == 'Z'
}

// freePort returns a port free for TCP and UDP on addr at this moment.
func freePort(addr netip.Addr) (uint16, error) {
	var err error
	for range 20 {
		var l *net.TCPListener
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		if err != nil {
			continue
		}
		port := l.Addr().(*net.TCPAddr).AddrPort().Port()
		var c *net.UDPConn
		c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
		_ = l.Close()
		if err == nil {
			_ = c.Close()
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port on %s: %w", addr, err)
}
