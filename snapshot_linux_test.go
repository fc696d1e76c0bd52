package main

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stateDir returns a new directory that everybody may write to, and the path of
// a state file in it.
func stateDir(t *testing.T) (dir, file string) {
	t.Helper()
	dir = publicDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, "state")
}

// startState starts a tracker in dir, with a TCP and a UDP listener and a state
// file, and returns what it says of that, and its addresses.
func startState(t testing.TB, dir, file string, conf ...string) (p *process, says, tcp, udp string) {
	t.Helper()
	p = startIn(t, dir, "-f", confFile(t, append(conf, "listen.tcp 127.0.0.1:0", "listen.udp 127.0.0.1:0", "state.file "+file)...))
	line := p.says("tracker: ")
	for !strings.HasPrefix(line, "listening") {
		says += line + "\n"
		line = p.says("tracker: ")
	}
	tcp = strings.TrimPrefix(line, "listening on tcp ")
	return p, says, tcp, p.says("tracker: listening on udp ")
}

// confFile returns the name of a config file with these lines.
func confFile(t testing.TB, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// stop ends p with a signal, and returns what it says meanwhile.
func (p *process) stop(s syscall.Signal) string {
	p.t.Helper()
	p.signal(s)
	rest, _ := io.ReadAll(p.lines)
	p.cmd.Wait()
	if code := p.cmd.ProcessState.ExitCode(); code != 0 && s != syscall.SIGKILL {
		p.t.Errorf("%v, want exit code 0", p.cmd.ProcessState)
	}
	return string(rest)
}

// askUDP sends a request and returns the answer.
func askUDP(t testing.TB, to string, req []byte) []byte {
	t.Helper()
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	b := make([]byte, 1500)
	_, err = c.Write(req)
	n := 0
	if err == nil {
		n, err = c.Read(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// connect returns a connection id.
func connectUDP(t testing.TB, to string) []byte {
	t.Helper()
	answer := askUDP(t, to, []byte{0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 0, 0, 0, 1})
	return answer[8:16]
}

// idIsGood reports whether a UDP scrape with a connection id is answered.
func idIsGood(t *testing.T, to string, id []byte) bool {
	t.Helper()
	req := append(append([]byte(nil), id...), 0, 0, 0, 2, 0, 0, 0, 1)
	return binary.BigEndian.Uint32(askUDP(t, to, append(req, make([]byte, 20)...))) == 2
}

// scrapeAll returns what a full scrape says, in order.
func scrapeAll(t *testing.T, to string) string {
	t.Helper()
	return get(t, to, "/stats?mode=tpbs&format=txt")
}

// TestSnapshotRestart ends a tracker and starts it again: everything is there,
// and connection ids that were given are good.
func TestSnapshotRestart(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		dir, file := stateDir(t)
		p, says, tcp, udp := startState(t, dir, "state")
		if !strings.Contains(says, "snapshot state: there is none yet\n") {
			t.Errorf("it says %q", says)
		}
		for port := range 300 {
			get(t, tcp, announcePath('a', 1+port))
		}
		announces(t, tcp, 'b')
		get(t, tcp, announcePath('c', 5)+"&left=0&event=completed")
		want, id := scrapeAll(t, tcp), connectUDP(t, udp)
		if said := p.stop(s); !regexp.MustCompile(`^tracker: snapshot state: 302 peers written in .*\n$`).MatchString(said) {
			t.Errorf("it says %q", said)
		}
		if fi, err := os.Stat(file); err != nil || fi.Mode() != 0o600 {
			t.Errorf("%v, %v", fi.Mode(), err)
		}
		for range 2 { // the second after a crash
			p, says, tcp, udp = startState(t, dir, "state")
			if !regexp.MustCompile(`snapshot state: \d+s old; 302 of its 302 peers loaded, in 3 torrents\n`).MatchString(says) {
				t.Errorf("it says %q", says)
			}
			if got := scrapeAll(t, tcp); got != want {
				t.Errorf("after the restart: %q, want %q", got, want)
			}
			if !idIsGood(t, udp, id) {
				t.Error("a connection id is not good after the restart")
			}
			if id[3]++; idIsGood(t, udp, id) {
				t.Error("any connection id is good")
			}
			id[3]--
			p.stop(syscall.SIGKILL)
		}
		if files, _ := filepath.Glob(file + "*"); len(files) != 1 {
			t.Errorf("there are %q", files)
		}
	}
}

// youngSnapshot is said of one of this test run with one peer.
var youngSnapshot = regexp.MustCompile(`: \d+m?\d*s old; 1 of its 1 peers loaded, in 1 torrents\n`)

// TestSnapshotPlaces finds the folder in the cell, and else outside.
func TestSnapshotPlaces(t *testing.T) {
	asRoot(t)
	all := publicDir(t)
	cell, other := filepath.Join(all, "cell"), filepath.Join(all, "other")
	for _, dir := range []string{cell, other, filepath.Join(cell, "in")} {
		os.Mkdir(dir, 0o777)
		os.Chmod(dir, 0o777)
	}
	const outside = "its folder is not in here, so the one outside of the chroot is used\n"
	for _, tt := range []struct {
		configured, at string
		outside        bool
	}{
		{"state", filepath.Join(cell, "state"), false},
		{"in/state", filepath.Join(cell, "in/state"), false},
		{"/in/state2", filepath.Join(cell, "in/state2"), false},
		{filepath.Join(other, "state"), filepath.Join(other, "state"), true},
	} {
		p, says, tcp, _ := startState(t, cell, tt.configured)
		announces(t, tcp, 'a')
		p.signal(syscall.SIGUSR2)
		p.says("tracker: snapshot " + tt.configured + ": 1 peers written in ")
		if _, err := os.Stat(tt.at); err != nil || strings.Contains(says, outside) != tt.outside {
			t.Errorf("%s: %v, says %q", tt.configured, err, says)
		}
		p.stop(syscall.SIGKILL)
		if p, says, _, _ = startState(t, cell, tt.configured); !youngSnapshot.MatchString(says) {
			t.Errorf("%s: says %q", tt.configured, says)
		}
		p.stop(syscall.SIGKILL)
	}
}

// TestSnapshotRefused starts trackers with files that are no good. They are set
// aside, and the tracker serves and writes new ones.
func TestSnapshotRefused(t *testing.T) {
	dir, file := stateDir(t)
	p, _, tcp, _ := startState(t, dir, "state")
	announces(t, tcp, 'a')
	p.stop(syscall.SIGTERM)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	newer := append([]byte(nil), good...)
	newer[8] = 9
	for _, tt := range []struct {
		name, content, says, aside string
	}{
		{"torn", string(good[:70]), "damaged at byte 70: it ends early; set aside as state.damaged; serving without it", "state.damaged"},
		{"flipped", string(good[:66]) + "x" + string(good[67:]), "damaged at byte 56: the checksum is wrong; set aside as state.damaged; serving without it", "state.damaged"},
		{"empty", "", "damaged at byte 0: it ends early; set aside as state.damaged; serving without it", "state.damaged"},
		{"text", "What a nice day it is.\n", "damaged at byte 0: no snapshot begins like this; set aside as state.damaged; serving without it", "state.damaged"},
		{
			"newer", string(newer), "it is of version 9, written by a newer program; this one reads up to version 1; set aside as state.newer; serving without it",
			"state.newer",
		},
	} {
		if err := os.WriteFile(file, []byte(tt.content), 0o666); err != nil {
			t.Fatal(err)
		}
		os.Chmod(file, 0o666)
		p, says, tcp, _ := startState(t, dir, "state")
		if !strings.Contains(says, "snapshot state: "+tt.says+"\n") {
			t.Errorf("%s: says %q", tt.name, says)
		}
		if !announces(t, tcp, 'b') || !strings.Contains(scrapeAll(t, tcp), "\r\n"+strings.Repeat("62", 20)+":0:1\n\r\n0\r\n") {
			t.Errorf("%s: %q is served", tt.name, scrapeAll(t, tcp))
		}
		p.stop(syscall.SIGTERM)
		if aside, err := os.ReadFile(filepath.Join(dir, tt.aside)); string(aside) != tt.content || err != nil {
			t.Errorf("%s: %q is set aside, %v", tt.name, aside, err)
		}
		if b, _ := os.ReadFile(file); len(b) != len(good) {
			t.Errorf("%s: no new snapshot was written", tt.name)
		}
	}
}

// TestSnapshotBlocked never writes over what it could neither read nor set
// aside, and never waits for a FIFO.
func TestSnapshotBlocked(t *testing.T) {
	dir, file := stateDir(t)
	if err := syscall.Mkfifo(file, 0o666); err != nil {
		t.Fatal(err)
	}
	p, says, tcp, _ := startState(t, dir, "state")
	if !strings.Contains(says, "snapshot state: not a regular file; it cannot be set aside (not a regular file), so no snapshot is written in its place") {
		t.Errorf("says %q", says)
	}
	if !announces(t, tcp, 'a') {
		t.Error("an announce is refused")
	}
	if said := p.stop(syscall.SIGTERM); !strings.Contains(said, errBlocked.Error()) {
		t.Errorf("says %q", said)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("%v, %v", fi, err)
	}
}

// TestSnapshotReadOnly loads a snapshot from a folder that cannot be written
// to, says so, and leaves it as it is.
func TestSnapshotReadOnly(t *testing.T) {
	asRoot(t)
	dir, file := stateDir(t)
	p, _, tcp, _ := startState(t, dir, "state")
	announces(t, tcp, 'a')
	p.stop(syscall.SIGTERM)
	before, _ := os.ReadFile(file)
	os.Chmod(dir, 0o755)
	p, says, tcp, _ := startState(t, dir, "state")
	if !strings.Contains(says, "snapshot state: its folder cannot be written to: permission denied; NOTHING OUTLIVES A RESTART until user ") ||
		!strings.Contains(says, "1 of its 1 peers loaded") {
		t.Errorf("says %q", says)
	}
	announces(t, tcp, 'b')
	p.signal(syscall.SIGUSR2)
	p.says("tracker: snapshot state: permission denied; nothing is written, and what there was is kept")
	p.signal(syscall.SIGUSR1)
	if line := p.says("tracker: 2 torrents"); !strings.HasSuffix(line, "; 0 snapshots, 1 failed") {
		t.Errorf("says %q", line)
	}
	p.stop(syscall.SIGTERM)
	if after, err := os.ReadFile(file); string(after) != string(before) {
		t.Errorf("the snapshot has changed, %v", err)
	}
	conf := confFile(t, "state.file state")
	p = startIn(t, dir, "-t", "-f", conf)
	command := p.says("tracker: " + conf + `:1: state.file "state": permission denied; `)
	p.ends(1)
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	p = startIn(t, dir, "-t", "-f", conf)
	p.says("tracker: OK")
	p.ends(0)
}

// TestSnapshotDiskFull fills a small disk: the last snapshot stays as it is, the
// tracker serves on, and when there is room again, snapshots are written again.
func TestSnapshotDiskFull(t *testing.T) {
	asRoot(t)
	dir := publicDir(t)
	disk := filepath.Join(dir, "disk")
	os.Mkdir(disk, 0o777)
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=256k,mode=0777"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	p, _, tcp, _ := startState(t, dir, "disk/state")
	announces(t, tcp, 'a')
	p.signal(syscall.SIGUSR2)
	p.says("tracker: snapshot disk/state: 1 peers written in ")
	before, _ := os.ReadFile(filepath.Join(disk, "state"))
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 250<<10), 0o666); err != nil {
		t.Fatal(err)
	}
	for port := range 2000 { // more than what is left
		get(t, tcp, announcePath('b', 1+port))
	}
	p.signal(syscall.SIGUSR2)
	p.says("tracker: snapshot disk/state: no space left on device; nothing is written, and what there was is kept")
	if after, err := os.ReadFile(filepath.Join(disk, "state")); string(after) != string(before) {
		t.Errorf("the snapshot has changed, %v", err)
	}
	if left, _ := filepath.Glob(disk + "/state.*"); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
	if !announces(t, tcp, 'c') {
		t.Error("an announce is refused")
	}
	os.Remove(filler)
	p.signal(syscall.SIGUSR2)
	p.says("tracker: snapshot disk/state: 2002 peers written in ")
	p.stop(syscall.SIGTERM)
}

// TestSnapshotInterval writes snapshots by itself.
func TestSnapshotInterval(t *testing.T) {
	dir, file := stateDir(t)
	p, _, tcp, _ := startState(t, dir, "state", "state.interval 1")
	announces(t, tcp, 'a')
	until(t, patience, "a snapshot", func() bool { _, err := os.Stat(file); return err == nil })
	p.stop(syscall.SIGKILL)
	p, says, _, _ := startState(t, dir, "state")
	if !strings.Contains(says, "1 of its 1 peers loaded") {
		t.Errorf("says %q", says)
	}
	p.stop(syscall.SIGTERM)
}

// TestUSR2 tells that there is nowhere to write to.
func TestUSR2(t *testing.T) {
	p := start(t, exec.Command(os.Args[0], "-i", "127.0.0.1", "-p", "0"))
	p.says("tracker: listening on tcp ")
	p.signal(syscall.SIGUSR2)
	p.says("tracker: no snapshot: there is no state.file to write it to")
	p.signal(syscall.SIGTERM)
	p.ends(0)
}
