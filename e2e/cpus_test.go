//go:build linux

package e2e

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cpus are the targets of ../release/targets whose binaries are tried. The
// default is the one that is furthest from the machine of a developer: a big
// endian one with 32 bits and without a floating point unit.
var cpus = flag.String("cpus", "linux-mips", "run the release of these targets under qemu, with commas between; all for all that qemu has")

// nobody is the user and group an emulated tracker runs as. Started as root it
// would refuse to serve: qemu's own threads stay root when the program's give it
// up, and the tracker looks at every thread.
const nobody = 65534

// A target is a line of ../release/targets.
type target struct{ name, cpu, qemu string }

// native in the place of qemu means that the machine's own CPU is right: this
// and the second run then differ in the program alone.
const native = "native"

// targets returns those the flag names.
func targets(t *testing.T) (found []target) {
	t.Helper()
	table, err := os.ReadFile("../release/targets")
	if err != nil {
		t.Fatal(err)
	}
	asked := strings.Split(*cpus, ",")
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) == 6 && f[5] != "-" && f[0] != "#" && (*cpus == "all" || slices.Contains(asked, f[0])) {
			found = append(found, target{f[0], f[2], f[5]})
		}
	}
	if *cpus != "all" && len(found) != len(asked) {
		t.Fatalf("-cpus=%s: not all of that is in release/targets and has a qemu", *cpus)
	}
	return found
}

// release builds a target as it is released, and returns a copy that everybody
// may run.
func release(t *testing.T, name string) (path string) {
	t.Helper()
	noticeSources()
	cmd := exec.Command("make", "-C", "..", "--no-print-directory", "-s", "release", "TARGETS="+name)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	built := filepath.Join("..", strings.TrimSpace(string(out)))
	checkArchive(t, built)
	binary, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(workDir, name)
	write(t, path, binary)
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkArchive checks that the archive of a binary has what is to be passed on
// with it, and what its user reads.
func checkArchive(t *testing.T, binary string) {
	t.Helper()
	list, err := exec.Command("tar", "-tzf", binary+".tar.gz").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"tracker", "LICENSE", "THIRD_PARTY.txt", "README.md", "CHANGELOG.md", "tracker.conf.example", "bttracker.8", "bttracker.conf.5",
	} {
		if !bytes.Contains(list, []byte("/"+name+"\n")) {
			t.Errorf("the archive of %s has no %s, but\n%s", binary, name, list)
		}
	}
}

// TestCPUs runs released binaries under qemu, one after the other, and speaks
// to them from outside.
func TestCPUs(t *testing.T) {
	for _, c := range targets(t) {
		t.Run(c.name, func(t *testing.T) {
			command := []string{release(t, c.name)}
			if c.qemu != native {
				command = []string{need(t, "qemu-"+c.qemu+"-static", "qemu-user-static"), command[0]}
			}
			storyOfCPU(t, c.cpu, command)
		})
	}
}

// storyOfCPU has a tracker announce, scrape, follow its list, count, and keep
// what it knows over restarts, over both transports, both families and two UDP
// reactors. The second run is by this machine's own CPU, from the snapshot the
// first has written, and the third the other way round: a file must mean the
// same to all.
func storyOfCPU(t *testing.T, cpu string, command []string) {
	m := newMoved(t)
	m.start(command...)
	said := m.process.out.String()
	if !regexp.MustCompile(`sandbox: (seccomp, |none: .*; serving on without)`).MatchString(said) {
		t.Errorf("it says nothing of its sandbox:\n%s", said)
	}
	for _, at := range m.addrs {
		m.swarm(at)
	}
	m.reactors()
	m.statistics(cpu)
	m.comeAndGo()
	m.reload()
	before := m.scrapes()
	m.stop()
	for _, run := range [][]string{{tracker(t)}, command} {
		m.start(run...)
		if after := m.scrapes(); after != before {
			t.Errorf("after a restart as %v, scrapes are %q, were %q", run, after, before)
		}
		for _, at := range m.addrs { // ids are those of the first run
			if got := m.udp(at, announcement(m.ids[at], torrentAt(at), 0, 0, 7002)); len(got) < 20 || got[3] != 1 {
				t.Errorf("as %v, an id of the first run is answered %x at %v", run, got, at)
			}
		}
		m.stop()
	}
}

// A moved is a tracker whose files are run by one CPU and another.
type moved struct {
	*process
	t     *testing.T
	dir   string
	addrs [2]netip.AddrPort         // of both families
	ids   map[netip.AddrPort][]byte // the first run's connection ids
}

// newMoved makes the files of one.
func newMoved(t *testing.T) *moved {
	t.Helper()
	dir, err := os.MkdirTemp(workDir, "cpu-")
	if err != nil {
		t.Fatal(err)
	}
	m := &moved{t: t, dir: dir, ids: map[netip.AddrPort][]byte{}}
	port := freePort(t).Port()
	m.addrs = [2]netip.AddrPort{
		netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), netip.AddrPortFrom(netip.IPv6Loopback(), port),
	}
	write(t, dir+"/conf", fmt.Appendf(nil, "listen.tcp_udp %v\nlisten.tcp_udp %v\nlisten.udp.workers 2\n"+
		"access.whitelist list\nstate.file state\ntracker.rootdir %s\ntracker.socket %s/socket\n", m.addrs[0], m.addrs[1], dir, dir))
	write(t, dir+"/list", nil)
	for _, at := range m.addrs {
		m.list(torrentAt(at))
	}
	os.Chmod(dir, 0o777) // for the snapshot
	return m
}

// torrentAt is the torrent of a family.
func torrentAt(at netip.AddrPort) (ih [20]byte) {
	copy(ih[:], at.Addr().String())
	return ih
}

// list adds a torrent to the whitelist.
func (m *moved) list(ih [20]byte) {
	m.t.Helper()
	f, err := os.OpenFile(m.dir+"/list", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%x\n", ih); err != nil {
		m.t.Fatal(err)
	}
}

// start runs a tracker until it listens everywhere.
func (m *moved) start(command ...string) {
	m.t.Helper()
	cmd := exec.Command(command[0], append(command[1:], "-f", m.dir+"/conf")...)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	m.process = start(m.t, cmd)
	m.said("\ntracker: listening on udp " + m.addrs[1].String())
}

// said waits until the tracker has said something.
func (m *moved) said(what string) {
	m.t.Helper()
	if !await(time.Now().Add(startLimit), m.process, func() bool { return strings.Contains(m.out.String(), what) }) {
		m.t.Fatalf("%v does not say %q, but\n%s", m.cmd, what, &m.out)
	}
}

// stop ends the tracker, which writes a snapshot.
func (m *moved) stop() {
	m.t.Helper()
	(&server{process: m.process}).stopTracker(m.t)
}

// udp asks over UDP from a new socket.
func (m *moved) udp(at netip.AddrPort, question []byte) []byte {
	m.t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(question); err != nil {
		m.t.Fatal(err)
	}
	return receive(c, answerLimit)
}

// get asks over HTTP and returns the body.
func (m *moved) get(at netip.AddrPort, path string, args ...any) string {
	m.t.Helper()
	c, err := net.DialTimeout("tcp", at.String(), answerLimit)
	if err != nil {
		m.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(answerLimit))
	fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", fmt.Sprintf(path, args...))
	answer, err := io.ReadAll(c)
	if err != nil {
		m.t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	return body
}

// holdsPeer reports whether a UDP answer has a peer of its asker's address.
func holdsPeer(answer []byte, at netip.AddrPort, port uint16) bool {
	peer := binary.BigEndian.AppendUint16(at.Addr().AsSlice(), port)
	return len(answer) > 8 && binary.BigEndian.Uint32(answer) == 1 && bytes.Contains(answer[20:], peer)
}

// swarm has a seeder, over HTTP, and a leecher, over UDP, find one another. The
// leecher becomes a seeder then.
func (m *moved) swarm(at netip.AddrPort) {
	m.t.Helper()
	ih := torrentAt(at)
	const announce = "/announce?info_hash=%s&port=7001&left=0&compact=1"
	m.get(at, announce, percent(ih[:]))
	answer := m.udp(at, connectRequest(5))
	if len(answer) != 16 {
		m.t.Fatalf("connect at %v: %x", at, answer)
	}
	m.ids[at] = answer[8:16]
	if got := m.udp(at, announcement(m.ids[at], ih, 2, 1<<40, 7002)); !holdsPeer(got, at, 7001) {
		m.t.Errorf("a leecher at %v is told %x, not of the seeder", at, got)
	}
	leecher := string(binary.BigEndian.AppendUint16(at.Addr().AsSlice(), 7002))
	if got := m.get(at, announce, percent(ih[:])); !strings.Contains(got, fmt.Sprintf("%d:%s", len(leecher), leecher)) {
		m.t.Errorf("a seeder at %v is told %q, not of the leecher", at, got)
	}
	m.udp(at, announcement(m.ids[at], ih, 1, 0, 7002))
}

// scrapes returns what both families are told of both torrents over both
// transports.
func (m *moved) scrapes() string {
	m.t.Helper()
	var all strings.Builder
	for _, at := range m.addrs {
		ih := torrentAt(at)
		question := slices.Concat(m.ids[at], []byte{0, 0, 0, 2, 0, 0, 0, 9}, ih[:])
		fmt.Fprintf(&all, "%x %s\n", m.udp(at, question), m.get(at, "/scrape?info_hash=%s", percent(ih[:])))
	}
	want := len(m.addrs)
	if strings.Count(all.String(), "8:completei2e10:downloadedi1e10:incompletei0e") != want ||
		strings.Count(all.String(), "0000000200000009000000020000000100000000") != want {
		m.t.Errorf("scrapes are %q, want 2 seeders and 1 download in each", &all)
	}
	return all.String()
}

// reactors asks from so many ports that both reactors of each family get some.
func (m *moved) reactors() {
	m.t.Helper()
	for _, at := range m.addrs {
		for range 32 {
			if got := m.udp(at, announcement(m.ids[at], torrentAt(at), 0, 0, 7002)); len(got) < 20 || got[3] != 1 {
				m.t.Errorf("an announce at %v: %x", at, got)
			}
		}
	}
}

// comeAndGo has many peers come and go again, so that the store takes memory,
// moves what it has, and gives memory back.
func (m *moved) comeAndGo() {
	m.t.Helper()
	const peers = 3000
	for _, at := range m.addrs {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
		if err != nil {
			m.t.Fatal(err)
		}
		for _, event := range []uint32{2, 3} { // started, stopped
			for i := range uint16(peers) {
				c.Write(announcement(m.ids[at], torrentAt(at), event, 1, 10_000+i))
				if got := receive(c, answerLimit); len(got) < 20 || got[3] != 1 {
					m.t.Fatalf("event %d of peer %d at %v: %x", event, i, at, got)
				}
			}
		}
		c.Close()
	}
}

// reload adds to the whitelist, and sees it followed by itself and on HUP.
func (m *moved) reload() {
	m.t.Helper()
	for i, signal := range []os.Signal{nil, syscall.SIGHUP} {
		ih := [20]byte{'l', byte(i)}
		refused := func() bool {
			return strings.Contains(m.get(m.addrs[0], "/announce?info_hash=%s&port=7003&left=1", percent(ih[:])), "failure")
		}
		if !refused() {
			m.t.Error("a torrent that is not listed is not refused")
		}
		m.list(ih)
		if signal != nil {
			m.cmd.Process.Signal(signal)
		}
		m.said(fmt.Sprintf("whitelist list: %d torrents", len(m.addrs)+i+1))
		if refused() {
			m.t.Error("a torrent that has been listed is refused")
		}
	}
}

// statistics reads what was counted.
func (m *moved) statistics(cpu string) {
	m.t.Helper()
	for page, want := range map[string]string{
		"mode=version":         `^tracker \S+ \(.*, linux/` + cpu + `\)\n$`,
		"mode=peer":            `^4\n4\nopentracker serving 2 torrents\n`,
		"mode=udp4":            `^\d\d+\n\d\d+\n\d+ seconds`,
		"mode=everything":      `(?s)<stats>.*<version>`,
		"mode=tpbs&format=txt": `:2:0\n`,
	} {
		if got := m.get(m.addrs[0], "/stats?%s", page); !regexp.MustCompile(want).MatchString(got) {
			m.t.Errorf("%s is %q, want %s", page, got, want)
		}
	}
}
