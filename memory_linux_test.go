package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tracker/store"
)

// underTest is a ceiling that a flood reaches, in MB. The race detector keeps
// several bytes for each one that the program touches, nobody asks the tracker
// for them, and the program alone would take most of what there is else.
func underTest() int {
	if race {
		return 64
	}
	return 32
}

// TestCeiling floods a tracker under a ceiling of 32 MB with announces for
// random torrents. At no time does it take more. Meanwhile a peer that was
// there before is renewed and keeps its place, finishes its download and leaves.
// That holds for memory of its own, and for memory that a successor can go on
// with.
func TestCeiling(t *testing.T) {
	for _, way := range []string{"private", "shared"} {
		t.Run(way, func(t *testing.T) {
			socket := "off"
			if way == "shared" {
				socket = newHouse(t).socket
			}
			p, _, udp := startLimited(t, "tracker.socket "+socket)
			checkCeiling(t, p, udp, underTest()<<20, floodLen())
			if shared := p.resident("RssShmem") > 0; shared != (way == "shared") {
				t.Errorf("shared memory: %v", shared)
			}
		})
	}
}

// floodLen returns how many torrents a flood has: more than 32 MB have room for,
// or with -short a tenth of that.
func floodLen() int {
	if testing.Short() {
		return 100_000
	}
	return 1_000_000
}

// TestCeilingHeir replaces a tracker that is full by one with the same ceiling,
// and that by one whose ceiling is lower than what it takes over. Nobody is
// forgotten, and nobody new is stored by the second.
func TestCeilingHeir(t *testing.T) {
	t.Setenv("GOGC", fmt.Sprint(gcPercent)) // as main sets it
	h := newHouse(t)
	same := fmt.Sprintf("limit.memory %dm", underTest())
	p, tcp, udp := h.first(same)
	p.late.Reset(floodLimit)
	old := oldPeer{id: connectUDP(t, udp), to: udp}
	old.announces(t, 1, 0)
	if err := flood(udp, floodLen(), 3); err != nil {
		t.Fatal(err)
	}
	stored := p.torrents()
	next := h.start(replaceFlag, append(listen(tcp, udp), same)...)
	next.late.Reset(floodLimit)
	next.replaces(p)
	next.says("tracker: listening on tcp ")
	next.says("tracker: listening on udp ")
	checkCeiling(t, next, udp, underTest()<<20, floodLen())
	kept := next.torrents()
	if kept < stored {
		t.Errorf("%d torrents are left of %d", kept, stored)
	}
	if testing.Short() {
		return // 100,000 fit under the lower ceiling as well
	}
	last := h.start(replaceFlag, append(listen(tcp, udp), "limit.memory 20m")...)
	last.late.Reset(floodLimit)
	last.replaces(next)
	last.says("tracker: listening on tcp ")
	last.says("tracker: listening on udp ")
	old.announces(t, 0, 1)
	if err := flood(udp, 100_000, 5); err != nil {
		t.Fatal(err)
	}
	old.announces(t, 1, 0)
	if n := last.torrents(); n != kept {
		t.Errorf("under a lower ceiling there are %d torrents, %d were taken over", n, kept)
	}
	t.Logf("%d torrents; with the lower ceiling it takes %.2f MB", kept, last.resident("VmHWM")/1024)
}

// torrents returns how many p says it has.
func (p *process) torrents() (n int) {
	p.t.Helper()
	p.signal(syscall.SIGUSR1)
	said := p.says("tracker: ")
	if _, err := fmt.Sscanf(said, "%d torrents", &n); err != nil {
		p.t.Fatalf("it says %q", said)
	}
	return n
}

// floodLimit is how long a flood may take.
const floodLimit = 2 * time.Minute

// startLimited starts a tracker with the ceiling under test, or what conf says.
func startLimited(t *testing.T, conf ...string) (p *process, tcp, udp string) {
	t.Setenv("GOGC", fmt.Sprint(gcPercent)) // as main sets it
	lines := append([]string{fmt.Sprintf("limit.memory %dm", underTest())}, conf...)
	p = startTracker(t, "-f", confFile(t, append(lines, "listen.tcp 127.0.0.1:0", "listen.udp 127.0.0.1:0")...))
	p.late.Reset(floodLimit)
	tcp = p.says("tracker: listening on tcp ")
	return p, tcp, p.says("tracker: listening on udp ")
}

// checkCeiling floods p and checks that it has stored some peers, refused some,
// and not taken more than limit bytes. What the race detector takes beside is no
// business of a ceiling's: with it, how much there is in all is only told.
func checkCeiling(t *testing.T, p *process, udp string, limit, torrents int) {
	t.Helper()
	old := oldPeer{id: connectUDP(t, udp), to: udp}
	old.announces(t, 1, 0)
	ended := make(chan error, 1)
	go func() { ended <- flood(udp, torrents, 1) }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	renewals := 0
	for flooding := true; flooding; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			flooding = false
		case <-tick.C:
			old.announces(t, 1, 0)
			renewals++
		}
	}
	old.announces(t, 0, 1)
	peak, now := p.resident("VmHWM")*1024, p.resident("VmRSS")*1024
	p.signal(syscall.SIGUSR1)
	said := p.says("tracker: ")
	t.Logf("%d random torrents, %d renewals meanwhile: at most %.2f MB, now %.2f MB, of %.2f MB; %s",
		torrents, renewals, peak/(1<<20), now/(1<<20), float64(limit)/(1<<20), said)
	if peak > float64(limit) && !race {
		t.Errorf("it took %.2f MB", peak/(1<<20))
	}
	if !strings.Contains(said, " not stored: ") && torrents > 500_000 {
		t.Errorf("it says %q", said)
	}
}

// An oldPeer is one that was there before the flood.
type oldPeer struct {
	id []byte
	to string
}

// announces announces that so much is left, and checks the numbers of leechers
// and seeders in the answer.
func (o *oldPeer) announces(t *testing.T, leechers, seeders byte) {
	t.Helper()
	req := announceOf(o.id, 0)
	req[71] = leechers // left
	answer := askUDP(t, o.to, req)
	if len(answer) != 20 || answer[3] != 1 || answer[15] != leechers || answer[19] != seeders {
		t.Fatalf("the old peer, one of %d leechers and %d seeders, is answered %x", leechers, seeders, answer)
	}
}

// flood announces one peer for each of n torrents that seed chooses, some at a
// time, and takes the answers, all of which are good.
func flood(to string, n int, seed uint64) error {
	c, err := net.Dial("udp", to)
	if err != nil {
		return err
	}
	defer c.Close()
	connect := []byte{0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 0, 0, 0, 1}
	answer := make([]byte, 1500)
	c.SetDeadline(time.Now().Add(patience))
	if _, err = c.Write(connect); err == nil {
		_, err = c.Read(answer)
	}
	if err != nil {
		return err
	}
	rnd := rand.New(rand.NewPCG(seed, 2))
	req := announceOf(answer[8:16], 0)
	const batch = 64
	for sent := 0; sent < n; sent += batch {
		c.SetDeadline(time.Now().Add(patience))
		for range batch {
			binary.LittleEndian.PutUint64(req[16:], rnd.Uint64())
			binary.LittleEndian.PutUint64(req[24:], rnd.Uint64())
			if _, err := c.Write(req); err != nil {
				return err
			}
		}
		for range batch {
			if k, err := c.Read(answer); err != nil || k != 20 || answer[3] != 1 {
				return fmt.Errorf("after %d: answer %x, %w", sent, answer[:k], err)
			}
		}
	}
	return nil
}

// TestDefaultCeiling computes the default from what there is.
func TestDefaultCeiling(t *testing.T) {
	for _, tt := range []struct {
		machine, cgroup, want int64
		from                  string
	}{
		{128 << 20, 0, 64 << 20, "half of the machine's 128 MB"},
		{128 << 20, 40 << 20, 30 << 20, "three quarters of the cgroup's 40.0 MB"},
		{128 << 20, 100 << 20, 64 << 20, "half of the machine's 128 MB"},
		{64 << 30, 16 << 30, 12 << 30, "three quarters of the cgroup's 16.0 GB"},
		{0, 40 << 20, 30 << 20, "three quarters of the cgroup's 40.0 MB"},
		{0, 0, 0, "half of the machine's 0.0 MB"},
	} {
		if got, from := defaultCeiling(tt.machine, tt.cgroup, math.MaxInt64); got != tt.want || from != tt.from {
			t.Errorf("of %d and %d: %d (%s), want %d (%s)", tt.machine, tt.cgroup, got, from, tt.want, tt.from)
		}
	}
}

// TestAddressSpace shows that with 32 bits the store may have no more than there
// are addresses for, whatever the machine's memory.
func TestAddressSpace(t *testing.T) {
	s := store.New(store.Options{})
	c := newCeiling(64<<30, s)
	room, want := c.look(), c.limit/2
	if strconv.IntSize == 32 {
		want = addressSpace - int64(spareAddresses)
	}
	if (room < want) != (strconv.IntSize == 32) || room < want/4 {
		t.Errorf("the store may have %s of %s", size(room), size(c.limit))
	}
}

// TestAddresses has a program of 32 bits on a machine with more memory than it
// can use stay where it can map what it needs, whatever is configured.
func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ machine, cgroup, want int64 }{
		{24 << 30, 0, 1<<30 - 1}, {24 << 30, 8 << 30, 1<<30 - 1}, {1 << 30, 0, 512 << 20}, {24 << 30, 100 << 20, 75 << 20},
	} {
		if got, from := defaultCeiling(tt.machine, tt.cgroup, math.MaxInt32); got != tt.want {
			t.Errorf("of %d and %d: %d (%s), want %d", tt.machine, tt.cgroup, got, from, tt.want)
		}
	}
	if got, most := openMeter().limits.addresses, int64(math.MaxInt32); strconv.IntSize == 32 && got > most {
		t.Errorf("so many addresses: %d, want at most %d", got, most)
	}
}

// TestLeastLimit finds limits of memory in cgroups of either version.
func TestLeastLimit(t *testing.T) {
	for _, tt := range []struct {
		name, mounts, groups string
		files                map[string]string
		want                 int64
	}{
		{
			"version 2", "34 31 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/a/b\n",
			map[string]string{"/sys/fs/cgroup/a/b/memory.max": "max", "/sys/fs/cgroup/a/memory.max": "1000", "/sys/fs/cgroup/memory.max": "2000"},
			1000,
		},
		{
			"high", "34 31 0:30 / /cg rw - cgroup2 cgroup2 rw\n", "0::/a\n",
			map[string]string{"/cg/a/memory.max": "1000", "/cg/a/memory.high": "900"},
			900,
		},
		{
			"version 1", "36 31 0:32 / /cg/memory rw shared:3 - cgroup cgroup rw,memory\n33 31 0:30 / /cg/cpu rw - cgroup cgroup rw,cpu\n", "4:cpu:/x\n3:memory:/a\n0::/\n",
			map[string]string{"/cg/memory/a/memory.limit_in_bytes": "3000", "/cg/memory/memory.limit_in_bytes": "9223372036854771712", "/cg/cpu/x/memory.limit_in_bytes": "1"},
			3000,
		},
		{
			"container", "36 31 0:32 /docker/1 /cg/memory rw - cgroup cgroup rw,memory\n", "4:memory:/docker/1/x\n",
			map[string]string{"/cg/memory/x/memory.limit_in_bytes": "5", "/cg/memory/memory.limit_in_bytes": "4"},
			4,
		},
		{
			"container in a namespace", "34 31 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/\n",
			map[string]string{"/sys/fs/cgroup/memory.max": "7"},
			7,
		},
		{
			"another one's", "36 31 0:32 /docker/1 /cg rw - cgroup2 cgroup2 rw\n", "0::/docker/12\n",
			map[string]string{"/cg/memory.max": "5", "/cg/2/memory.max": "5"},
			0,
		},
		{"none", "31 1 8:1 / / rw - ext4 /dev/a rw\n", "0::/a\n", nil, 0},
		{"nonsense", "a b - c\n - \n", "0\n::\nx:memory:\n", nil, 0},
	} {
		if got := leastLimit(tt.groups, tt.mounts, func(name string) string { return tt.files[name] }); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
