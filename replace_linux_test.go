package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tracker/handover"
	"tracker/loop"
	"tracker/store"
)

// A house is where trackers replace one another: a folder with a config file
// that names a socket in it.
type house struct {
	t      testing.TB
	dir    string
	socket string
}

func newHouse(t testing.TB) *house {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		os.Chmod(d, 0o777)
	}
	return &house{t, dir, filepath.Join(dir, "socket")}
}

// start starts a tracker with these lines of configuration, beside that of the
// socket, and flags.
func (h *house) start(flags []string, conf ...string) *process {
	h.t.Helper()
	name := confFile(h.t, append(conf, "tracker.socket "+h.socket)...)
	return startIn(h.t, h.dir, append([]string{"-f", name}, flags...)...)
}

// first starts a tracker that listens on ports that are free, and returns where.
func (h *house) first(conf ...string) (p *process, tcp, udp string) {
	h.t.Helper()
	p = h.start(nil, append(conf, "listen.tcp_udp 127.0.0.1:0")...)
	return p, p.says("tracker: listening on tcp "), p.says("tracker: listening on udp ")
}

// listen returns the lines of configuration for addresses of first.
func listen(tcp, udp string) []string { return []string{"listen.tcp " + tcp, "listen.udp " + udp} }

// keepsConns says that connections go on: gnet, which these have for TCP, takes
// none of another process.
const keepsConns = runtime.GOARCH != "386" && runtime.GOARCH != "s390x"

var replaceFlag = []string{"--replace"}

// replaces checks that p takes the place of another, and returns what it says of
// that.
func (p *process) replaces(old *process) string {
	p.t.Helper()
	said := p.says(fmt.Sprintf("tracker: process %d is replaced: ", old.cmd.Process.Pid))
	old.says("tracker: replaced by another process, to which everything was given in ")
	old.ends(0)
	return said
}

// storeMemory returns which file without a name the store of p is in.
func (p *process) storeMemory() (inode string) {
	maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", p.cmd.Process.Pid))
	for line := range strings.Lines(string(maps)) {
		if words := strings.Fields(line); len(words) > 5 && strings.HasPrefix(words[5], "/memfd:store") {
			return words[4]
		}
	}
	return ""
}

// TestReplace replaces a tracker, and that one, and a third. Everything is
// there, connections go on in the middle of a request, ids are good.
func TestReplace(t *testing.T) {
	for _, way := range []string{"memory", "snapshot"} {
		t.Run(way, func(t *testing.T) {
			if way == "snapshot" {
				t.Setenv(asOther, "1")
			}
			h := newHouse(t)
			p, tcp, udp := h.first()
			for port := range 300 {
				get(t, tcp, announcePath('a', 1+port))
			}
			announces(t, tcp, 'b')
			get(t, tcp, announcePath('c', 5)+"&left=0&event=completed")
			id := connectUDP(t, udp)
			half, err := net.Dial("tcp", tcp)
			if err != nil {
				t.Fatal(err)
			}
			defer half.Close()
			half.SetDeadline(time.Now().Add(patience))
			path := announcePath('b', 1)
			fmt.Fprintf(half, "GET %s HTTP/1.1\r\nConnection: keep-alive\r\n\r\nGET %s HTTP/1.1\r\nConnection: keep", path, path)
			if _, err := half.Read(make([]byte, 4096)); err != nil {
				t.Fatal(err)
			}
			want, memory := scrapeAll(t, tcp), p.storeMemory()
			for i := range 3 {
				next := h.start(replaceFlag, listen(tcp, udp)...)
				said := next.replaces(p)
				if got := next.storeMemory(); (got == memory) != (way == "memory") {
					t.Errorf("after %d: its store is in file %q, was in %q", i, got, memory)
				}
				if (keepsConns || i == 0) != strings.HasPrefix(said, "303 peers in 3 torrents and 1 connections taken over in ") {
					t.Errorf("it says %q", said)
				}
				next.says("tracker: listening on tcp " + tcp)
				next.says("tracker: listening on udp " + udp)
				p = next
				if got := scrapeAll(t, tcp); got != want {
					t.Errorf("after %d: %q, want %q", i, got, want)
				}
				if !idIsGood(t, udp, id) {
					t.Error("a connection id is not good any more")
				}
				if !keepsConns {
					continue
				}
				fmt.Fprintf(half, "-alive\r\n\r\nGET %s HTTP/1.1\r\nConnection: keep", path)
				if n, err := half.Read(make([]byte, 4096)); n == 0 || err != nil {
					t.Errorf("after %d: the connection does not go on: %v", i, err)
				}
			}
			p.signal(syscall.SIGTERM)
			p.ends(0)
		})
	}
}

// TestHeritageWords checks that what one process says of its connection ids is
// what another reads, and that no part of it is taken for less.
func TestHeritageWords(t *testing.T) {
	h := &loop.Heritage{
		IDs:   loop.ConnIDs{Secret: [16]byte{1}, Clock: 2},
		Clock: &loop.StoreClock{Minute: 3, Base: 4, Sweeping: true},
		Earlier: []loop.EarlierIDs{
			{ConnIDs: loop.ConnIDs{Secret: [16]byte{5}, Clock: 6}, Left: 7},
			{ConnIDs: loop.ConnIDs{Secret: [16]byte{8}, Clock: 9}, Left: 10},
		},
	}
	said := appendHeritage(nil, h)
	for n := range len(said) {
		if got, err := parseHeritage(said[:n]); err == nil && 2-len(got.Earlier) != (len(said)-n)/earlierLen {
			t.Errorf("%d bytes are %+v", n, got)
		}
	}
	if got, err := parseHeritage(said); err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestReplaceNobody starts with --replace where there is nobody, and where
// somebody was.
func TestReplaceNobody(t *testing.T) {
	h := newHouse(t)
	for range 2 {
		p := h.start(replaceFlag, "listen.tcp 127.0.0.1:0")
		p.says("tracker: socket " + h.socket + ": no tracker listens there, so nobody is replaced")
		announces(t, p.says("tracker: listening on tcp "), 'a')
		p.stop(syscall.SIGKILL)
	}
	p := startIn(t, h.dir, "--replace", "-i", "127.0.0.1", "-p", "0")
	p.says("tracker: the tracker at  is not replaced")
	p.ends(exitSystem)
	if err := os.Remove(h.socket); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.socket, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	p = h.start(nil, "listen.tcp 127.0.0.1:0")
	p.says("tracker: socket " + h.socket + ": there is something that is no socket; this tracker cannot be replaced")
	p.says("tracker: listening on tcp ")
	if b, err := os.ReadFile(h.socket); string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestReplaceTwoSockets checks that a socket somebody listens behind is left
// alone.
func TestReplaceTwoSockets(t *testing.T) {
	h := newHouse(t)
	p, tcp, udp := h.first()
	other := h.start(nil, "listen.tcp 127.0.0.1:0")
	other.says("tracker: socket " + h.socket + ": another tracker has it; this tracker cannot be replaced while it serves")
	other.says("tracker: listening on tcp ")
	h.start(replaceFlag, listen(tcp, udp)...).replaces(p)
}

// TestReplaceOtherConfig changes what is configured: addresses, numbers of
// reactors, transports, lists, the state file.
func TestReplaceOtherConfig(t *testing.T) {
	h := newHouse(t)
	p, tcp, udp := h.first("listen.udp.workers 3")
	announces(t, tcp, 'a')
	announces(t, tcp, 'b')
	list := filepath.Join(h.dir, "list")
	writeList(t, list, "a")
	next := h.start(replaceFlag, "listen.udp "+udp, "listen.udp.workers 1", "listen.tcp 127.0.0.2:0", "access.whitelist list", "state.file state")
	next.says("tracker: a socket of tcp " + tcp + " was handed to us, which is not in the configuration: not used")
	next.says("tracker: whitelist list: 1 torrent")
	next.replaces(p)
	next.says("tracker: listening on udp " + udp)
	tcp = next.says("tracker: listening on tcp ")
	if !strings.HasPrefix(tcp, "127.0.0.2:") || !announces(t, tcp, 'a') || announces(t, tcp, 'b') {
		t.Errorf("at %s", tcp)
	}
	for range 30 { // from as many ports, so that every socket is asked
		connectUDP(t, udp)
	}
	if said := next.stop(syscall.SIGTERM); !strings.Contains(said, "snapshot state: 2 peers written in ") {
		t.Errorf("it says %q", said)
	}
}

// TestReplaceSaves checks that whoever is replaced leaves the state file to the
// other.
func TestReplaceSaves(t *testing.T) {
	h := newHouse(t)
	p := h.start(nil, "listen.tcp_udp 127.0.0.1:0", "state.file state")
	p.says("tracker: snapshot state: there is none yet")
	tcp, udp := p.says("tracker: listening on tcp "), p.says("tracker: listening on udp ")
	announces(t, tcp, 'a')
	next := h.start(replaceFlag, append(listen(tcp, udp), "state.file state")...)
	next.replaces(p)
	if _, err := os.Stat(filepath.Join(h.dir, "state")); err == nil {
		t.Error("the first has written a snapshot")
	}
	next.says("tracker: listening on tcp ")
	next.says("tracker: listening on udp ")
	next.signal(syscall.SIGUSR2)
	next.says("tracker: snapshot state: 1 peers written in ")
}

// TestReplaceBadConfig starts trackers that cannot serve: nothing happens to the
// one that does.
func TestReplaceBadConfig(t *testing.T) {
	h := newHouse(t)
	p, tcp, udp := h.first()
	announces(t, tcp, 'a')
	for _, tt := range []struct {
		conf []string
		code int
		says string // by the first; "" if nothing
	}{
		{[]string{"access.blacklist missing"}, 111, `: access.blacklist "missing": no such file or directory; serving on`},
		{[]string{"listen.tcp 192.0.2.1:80"}, 111, "listen tcp 192.0.2.1:80: cannot assign requested address; serving on"},
		{[]string{"acess.whitelist list"}, 1, ""},
	} {
		next := h.start(replaceFlag, append(listen(tcp, udp), tt.conf...)...)
		if tt.says != "" {
			if said := p.says("tracker: not replaced: "); !strings.HasSuffix(said, tt.says) {
				t.Errorf("%q: it says %q", tt.conf, said)
			}
		}
		io.ReadAll(next.lines)
		next.cmd.Wait()
		if code := next.cmd.ProcessState.ExitCode(); code != tt.code {
			t.Errorf("%q: exit code %d, want %d", tt.conf, code, tt.code)
		}
		if !announces(t, tcp, 'b') {
			t.Errorf("%q: the first does not serve", tt.conf)
		}
	}
	h.start(replaceFlag, listen(tcp, udp)...).replaces(p)
}

// TestReplaceForeign has a user ask who may not.
func TestReplaceForeign(t *testing.T) {
	asRoot(t)
	h := newHouse(t)
	p, tcp, udp := h.first()
	if fi, err := os.Stat(h.socket); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if err := os.Chmod(h.socket, 0o666); err != nil { // the system must not be all that keeps them out
		t.Fatal(err)
	}
	name := confFile(t, append(listen(tcp, udp), "tracker.socket "+h.socket)...)
	for _, d := range []string{filepath.Dir(name), filepath.Dir(filepath.Dir(name))} {
		os.Chmod(d, 0o755)
	}
	binary := filepath.Join(h.dir, "tracker.test")
	if err := exec.Command("cp", os.Args[0], binary).Run(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-f", name, "--replace")
	cmd.Dir = h.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	next := start(t, cmd)
	next.says("tracker: the tracker at " + h.socket + " is not replaced, and serves on if it did: the other one has ended")
	next.ends(exitSystem)
	p.says("tracker: user 12345 wants to replace this tracker, who is neither root nor user 0: refused")
	// And the reverse: an heir does not believe a stranger.
	other := filepath.Join(h.dir, "other")
	cmd = exec.Command(binary, "-i", "127.0.0.1", "-p", "0", "-f", confFileIn(t, h.dir, "tracker.socket "+other))
	cmd.Dir = h.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	stranger := start(t, cmd)
	stranger.says("tracker: listening on tcp ")
	cmd = exec.Command(binary, "-i", "127.0.0.1", "-p", "0", "--replace", "-f", confFileIn(t, h.dir, "tracker.socket "+other))
	cmd.Dir = h.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12346, Gid: 12346}}
	os.Chmod(other, 0o666)
	next = start(t, cmd)
	next.says("tracker: the tracker at " + other + " is not replaced, and serves on if it did: it belongs to another user")
	next.ends(exitSystem)
}

// confFileIn is confFile for a folder that everybody may read.
func confFileIn(t *testing.T, dir string, lines ...string) string {
	t.Helper()
	f, err := os.CreateTemp(dir, "conf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, strings.Join(lines, "\n"))
	os.Chmod(f.Name(), 0o644)
	return f.Name()
}

// TestReplaceFails has a false heir fail in every way at every stage. The
// tracker serves on, and is replaced by a good one in the end.
func TestReplaceFails(t *testing.T) {
	t.Setenv(asHasty, "1")
	h := newHouse(t)
	p, tcp, udp := h.first()
	announces(t, tcp, 'a')
	want := scrapeAll(t, tcp)
	hi := hello{handoverVersion, store.Layout(store.Limits{})}.append(nil)
	newer := hello{handoverVersion + 1, store.Layout(store.Limits{})}.append(nil)
	for _, tt := range []struct {
		name string
		do   func(peer *handover.Peer)
		says string
	}{
		{"silent", func(*handover.Peer) {}, "the other one does not answer"},
		{"gone", func(p *handover.Peer) { p.Send(msgHello, hi[:3]); p.Close() }, "that is not how a tracker speaks"},
		{"nonsense", func(p *handover.Peer) { p.Send(77, []byte("x")) }, "that is not how a tracker speaks"},
		{"too short", func(p *handover.Peer) { p.Send(msgHello, []byte("x")) }, "that is not how a tracker speaks"},
		{"newer", func(p *handover.Peer) { p.Send(msgHello, newer) }, "the other one speaks version 3 of this conversation, this one version 2"},
		{"never ready", func(p *handover.Peer) { p.Send(msgHello, hi) }, "the other one does not answer"},
		{"gone before it is ready", func(p *handover.Peer) { p.Send(msgHello, hi); p.Close() }, "the other one has ended"},
		{"never takes", func(p *handover.Peer) { p.Send(msgHello, hi); p.Send(msgReady, nil) }, "the other one does not answer"},
		{"gone before it takes", func(p *handover.Peer) {
			p.Send(msgHello, hi)
			p.Send(msgReady, nil)
			for m, err := p.Receive(); err == nil && m.Kind != msgEnd; m, err = p.Receive() {
			}
			p.Close()
		}, "the other one has ended"},
		{"declines", func(p *handover.Peer) { p.Send(msgHello, hi); p.Send(msgNo, []byte("no thanks")) }, "no thanks"},
	} {
		peer, err := handover.Dial(h.socket)
		if err != nil {
			t.Fatal(err)
		}
		tt.do(peer)
		p.says("tracker: not replaced: " + tt.says + "; serving on")
		peer.Close()
		if got := scrapeAll(t, tcp); got != want {
			t.Errorf("%s: it knows %q, want %q", tt.name, got, want)
		}
		connectUDP(t, udp)
	}
	h.start(replaceFlag, listen(tcp, udp)...).replaces(p)
}

// TestReplaceSecond refuses a second heir while there is one.
func TestReplaceSecond(t *testing.T) {
	h := newHouse(t)
	p, tcp, udp := h.first()
	peer, err := handover.Dial(h.socket)
	if err != nil {
		t.Fatal(err)
	}
	peer.Send(msgHello, hello{handoverVersion, store.Layout(store.Limits{})}.append(nil))
	if _, err := expect(peer, msgWelcome); err != nil {
		t.Fatal(err)
	}
	next := h.start(replaceFlag, listen(tcp, udp)...)
	next.says("tracker: the tracker at " + h.socket + " is not replaced, and serves on if it did: another one is taking over already")
	next.ends(exitSystem)
	peer.Close()
	p.says("tracker: not replaced: the other one has ended; serving on")
	h.start(replaceFlag, listen(tcp, udp)...).replaces(p)
}

// TestReplaceKilled kills heirs and givers at any moment. Afterwards one of them
// serves with all there was, unless the other had just taken over.
func TestReplaceKilled(t *testing.T) {
	const peers = 5000
	h := newHouse(t)
	p, tcp, udp := h.first()
	fillBase(t, udp, peers)
	want := scrapeAll(t, tcp)
	p.late.Reset(6 * patience)
	outcomes := map[string]int{}
	for i := range 20 {
		next := h.start(replaceFlag, listen(tcp, udp)...)
		time.Sleep(time.Duration(i) * 2 * time.Millisecond) // any moment will do
		victim, other := next, p
		if i%2 == 1 {
			victim, other = p, next
		}
		victim.stop(syscall.SIGKILL)
		serves := func() bool { _, err := tryGet(tcp, "/stats"); return err == nil }
		if victim == p { // the other serves, or has nobody to replace
			until(t, patience, "the heir serves or ends", func() bool { return serves() || other.hasEnded() })
		} else if other.hasEnded() {
			outcomes["nobody serves"]++ // it had just been replaced
		}
		if !serves() || other.hasEnded() {
			other.stop(syscall.SIGKILL)
			other, _, _ = h.again(tcp, udp)
			fillBase(t, udp, peers)
			outcomes["a new one"]++
		} else if victim == p {
			outcomes["the heir"]++
		} else {
			outcomes["the first"]++
		}
		p = other
		p.late.Reset(6 * patience)
		if got := scrapeAll(t, tcp); got != want {
			if torrents := strings.Count(got, ":0:1"); torrents != 0 {
				t.Fatalf("after %d (%v): %d torrents, were %d", i, outcomes, torrents, strings.Count(want, ":0:1"))
			}
			fillBase(t, udp, peers) // the heir met nobody, and began anew
		}
	}
	t.Logf("who served: %v", outcomes)
}

// again starts a tracker at known addresses, in nobody's place.
func (h *house) again(tcp, udp string) (*process, string, string) {
	h.t.Helper()
	p := h.start(nil, listen(tcp, udp)...)
	return p, p.says("tracker: listening on tcp "), p.says("tracker: listening on udp ")
}

// hasEnded reports whether the tracker is no more.
func (p *process) hasEnded() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err != nil || strings.HasPrefix(state, "Z")
}

// TestReplaceTransports replaces trackers by some that read in another way.
func TestReplaceTransports(t *testing.T) {
	h := newHouse(t)
	p, tcp, udp := h.first()
	path := announcePath('a', 1)
	get(t, tcp, path)
	want, id := scrapeAll(t, tcp), connectUDP(t, udp)
	for _, way := range []string{"gnet", "gnet", "auto", "gnet"} {
		half, err := net.Dial("tcp", tcp)
		if err != nil {
			t.Fatal(err)
		}
		defer half.Close()
		half.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(half, "GET %s HTTP/1.1\r\nConnection: keep-alive\r\n\r\nGET %s HTTP/1.1\r\nConnection: keep", path, path)
		if _, err := half.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
		next := h.start(replaceFlag, append(listen(tcp, udp), "listen.tcp.transport "+way, "listen.udp.transport "+way)...)
		next.replaces(p)
		if way == "gnet" || !keepsConns {
			if said := next.says("tracker: "); !strings.HasSuffix(said, " connections closed: gnet cannot go on with those of another process") {
				t.Errorf("it says %q", said)
			}
		}
		next.says("tracker: listening on tcp ")
		next.says("tracker: listening on udp ")
		p = next
		if got := scrapeAll(t, tcp); got != want || !idIsGood(t, udp, id) {
			t.Errorf("%s: %q, want %q", way, got, want)
		}
		if way == "auto" && keepsConns { // though the last one was gnet's
			io.WriteString(half, "-alive\r\n\r\n")
			if n, err := half.Read(make([]byte, 4096)); n == 0 || err != nil {
				t.Errorf("a connection does not go on: %v", err)
			}
		}
	}
}

// TestReplaceTerm ends both with a signal while one takes the place of the
// other.
func TestReplaceTerm(t *testing.T) {
	h := newHouse(t)
	p, tcp, udp := h.first()
	peer, err := handover.Dial(h.socket)
	if err != nil {
		t.Fatal(err)
	}
	peer.Send(msgHello, hello{handoverVersion, store.Layout(store.Limits{})}.append(nil))
	m, err := expect(peer, msgWelcome)
	if err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	p.ends(0)
	for _, fd := range m.Files { // or the socket would still be there
		syscall.Close(fd)
	}
	peer.Close()
	p = h.start(replaceFlag, listen(tcp, udp)...)
	p.says("tracker: socket " + h.socket + ": no tracker listens there, so nobody is replaced")
	p.says("tracker: listening on tcp ")
	p.says("tracker: listening on udp ")
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// TestReplaceTooLarge refuses to hold everything twice, where it cannot be
// shared.
func TestReplaceTooLarge(t *testing.T) {
	t.Setenv(asOther, "1")
	h := newHouse(t)
	p, tcp, udp := h.first()
	if race {
		fillLarge(t, udp, 10_000) // of what the race detector takes it is nothing
		h.start(replaceFlag, listen(tcp, udp)...).replaces(p)
		return
	}
	fillLarge(t, udp, 200_000)
	next := h.start(replaceFlag, listen(tcp, udp)...)
	said := next.says("tracker: the tracker at " + h.socket + " is not replaced, and serves on if it did: it takes ")
	if !strings.Contains(said, ": more than 1.6 times as much in all; end it and start this one") {
		t.Errorf("it says %q", said)
	}
	t.Log(said)
	p.says("tracker: not replaced: it takes ")
	next.ends(exitSystem)
	connectUDP(t, udp)
}

// fillLarge announces n peers, each of a torrent of its own.
func fillLarge(t testing.TB, to string, n int) {
	t.Helper()
	id := connectUDP(t, to)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			c, err := net.Dial("udp", to)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(6 * patience))
			answer, req := make([]byte, 1500), announceOf(id, 0)
			for i := worker; i < n; i += 8 {
				binary.BigEndian.PutUint64(req[16:], uint64(i)*0x9e3779b97f4a7c15)
				binary.BigEndian.PutUint32(req[32:], uint32(i))
				if _, err := c.Write(req); err != nil {
					t.Error(err)
					return
				}
				if _, err := c.Read(answer); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestActivated starts a tracker as a service manager does that has opened its
// sockets. Whoever takes its place listens where it did.
func TestActivated(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcpFile, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer tcpFile.Close()
	udpFile, err := udp.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer udpFile.Close()
	run := func(env string, args ...string) *process {
		t.Helper()
		// The shell becomes the tracker: only it knows the number in time.
		cmd := exec.Command("sh", append([]string{"-c", env + ` exec "$0" "$@"`, os.Args[0]}, args...)...)
		cmd.ExtraFiles = []*os.File{tcpFile, udpFile}
		return start(t, cmd)
	}
	const good = "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a:b"
	port := func(a net.Addr) string { _, p, _ := net.SplitHostPort(a.String()); return p }
	h := newHouse(t)
	named := confFile(t, "tracker.socket "+h.socket)
	listens := func(p *process) {
		t.Helper()
		p.says("tracker: listening on tcp " + tcp.Addr().String())
		p.says("tracker: listening on udp " + udp.LocalAddr().String())
	}
	first := run(good, "-f", named)
	listens(first)
	next := startIn(t, h.dir, "-f", named, "--replace")
	next.replaces(first)
	listens(next)
	next.stop(syscall.SIGKILL)
	for _, tt := range []struct {
		env  string
		args []string
		says []string // prefixes
		used bool
	}{
		{good, nil, []string{"listening on tcp " + tcp.Addr().String(), "listening on udp " + udp.LocalAddr().String()}, true},
		{good, []string{"-i", "127.0.0.1", "-P", port(udp.LocalAddr()), "-p", port(tcp.Addr())}, []string{"listening on udp " + udp.LocalAddr().String(), "listening on tcp "}, true},
		{good, []string{"-i", "127.0.0.1", "-p", "0"}, []string{"a socket of udp " + udp.LocalAddr().String() + " was handed to us, which is not in the configuration: not used", "listening on tcp " + tcp.Addr().String()}, false},
		{"LISTEN_PID=1 LISTEN_FDS=2", []string{"-i", "127.0.0.1", "-p", "0"}, []string{"listening on tcp 127.0.0.1:"}, false},
		{"LISTEN_PID=$$ LISTEN_FDS=many", []string{"-i", "127.0.0.1", "-p", "0"}, []string{`LISTEN_FDS is "many", which is no number of sockets; listening on our own`, "listening on tcp 127.0.0.1:"}, false},
		{"LISTEN_PID=$$ LISTEN_FDS=3", nil, []string{"descriptor 5, which was handed to us: "}, false},
		// Listeners for metrics are beside, and may be among what was opened.
		{good, []string{"-f", confFile(t, "tracker.socket off", "metrics.listen 127.0.0.1:0")}, []string{"listening on tcp " + tcp.Addr().String(), "listening on udp " + udp.LocalAddr().String(), "listening on tcp 127.0.0.1:"}, true},
		{good, []string{"-f", confFile(t, "tracker.socket off", "listen.udp "+udp.LocalAddr().String(), "metrics.listen "+tcp.Addr().String())}, []string{"listening on udp " + udp.LocalAddr().String(), "listening on tcp " + tcp.Addr().String() + " for metrics"}, false},
	} {
		p := run(tt.env, tt.args...)
		for _, line := range tt.says {
			p.says("tracker: " + line)
		}
		if tt.used {
			announces(t, tcp.Addr().String(), 'a')
			connectUDP(t, udp.LocalAddr().String())
		}
		p.stop(syscall.SIGKILL)
	}
}
