package stats

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestCapturedNetworks counts the peers that were there when opentracker made
// its page. That of the older generation is met byte for byte; the newer one
// prints the first four bytes of an address as if they were IPv6.
func TestCapturedNetworks(t *testing.T) {
	for file, fix := range map[string]func(string) string{
		"debian": func(page string) string { return page },
		"open":   dottedQuads,
	} {
		want := fix(string(captures(t, file)["stats-mode-s24s"].body))
		narrow, _, _ := strings.Cut(want, "\n\n")
		var n Networks
		for _, line := range regexp.MustCompile(`(?m)^(\d{8}): (.*)$`).FindAllStringSubmatch(narrow, -1) {
			count, _ := strconv.Atoi(line[1])
			network := netip.MustParseAddr(line[2]).As4()
			for i := range count {
				network[3] = network[3]&0xf0 | byte(i&15)
				n.Add(netip.AddrFrom4(network))
			}
		}
		if got := string(AppendNetworks(nil, &n)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", file, got, want)
		}
	}
}

// dottedQuads prints IPv4 addresses properly that were printed as IPv6.
func dottedQuads(page string) string {
	return regexp.MustCompile(`: .*`).ReplaceAllStringFunc(page, func(s string) string {
		bytes := netip.MustParseAddr(s[2:]).As16()
		return ": " + netip.AddrFrom4([4]byte(bytes[:4])).String()
	})
}

func TestNetworks(t *testing.T) {
	var n Networks
	if got, want := string(AppendNetworks(nil, &n)), "Networks, limit /28:\n\nNetworks, limit /24:\n\n"; got != want {
		t.Errorf("nobody: got %q, want %q", got, want)
	}
	for _, a := range []string{
		"192.0.2.17", "192.0.2.31", "192.0.2.32", "::ffff:198.51.100.255", "0.0.0.1", "255.255.255.255",
		"2001:db8:1:2::1", "2001:db8:1:2:ffff::", "2001:db8:1:3::1", "::1", "ffff:ffff:ffff:ffff:ffff::",
	} {
		n.Add(netip.MustParseAddr(a))
	}
	const want = `Networks, limit /28:
00000002: 192.0.2.16
00000001: 0.0.0.0
00000001: 192.0.2.32
00000001: 198.51.100.240
00000001: 255.255.255.240

Networks, limit /24:
00000003: 192.0.2.0
00000001: 0.0.0.0
00000001: 198.51.100.0
00000001: 255.255.255.0

Networks, limit /64:
00000002: 2001:db8:1:2::
00000001: ::
00000001: 2001:db8:1:3::
00000001: ffff:ffff:ffff:ffff::

Networks, limit /48:
00000003: 2001:db8:1::
00000001: ::
00000001: ffff:ffff:ffff::

`
	if got := string(AppendNetworks(nil, &n)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestNetworksMany checks that counts are exact while there is room, and the
// lists as long as they may be.
func TestNetworksMany(t *testing.T) {
	var n Networks
	const networks = 10000
	for i := range networks {
		for range 1 + i/100 {
			n.Add(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}))
		}
	}
	lines := strings.Split(string(AppendNetworks(nil, &n)), "\n")
	if len(lines) != 2*(1+maxNetworks+1)+1 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, line := range lines[1 : 1+maxNetworks] {
		network := networks - 100 + i // a hundred of each size, the lowest first
		if i >= 100 {
			network = networks - 300 + i
		}
		if want := fmt.Sprintf("%08d: 10.%d.%d.0", 1+network/100, network>>8, network&255); line != want {
			t.Fatalf("line %d: got %q, want %q", i, line, want)
		}
	}
}

// TestNetworksFlood counts far more networks than there is room for. Memory is
// bounded, the large ones are found, and none is said to have more than it has.
func TestNetworksFlood(t *testing.T) {
	var n Networks
	const large = 50
	for i := range 16 * maxCells {
		if i%10 == 0 {
			n.Add(netip.AddrFrom4([4]byte{10, 0, byte(i / 10 % large), 1}))
		}
		a := rand.Uint32()
		n.Add(netip.AddrFrom4([4]byte{128 | byte(a>>24), byte(a >> 16), byte(a >> 8), byte(a)}))
	}
	if len(n.narrow4.cells) != maxCells || len(n.wide4.cells) != maxCells {
		t.Errorf("%d and %d cells, want %d", len(n.narrow4.cells), len(n.wide4.cells), maxCells)
	}
	exact := 16 * maxCells / 10 / large
	lines := strings.Split(string(AppendNetworks(nil, &n)), "\n")
	for i, line := range lines[1 : 1+large] {
		count, _ := strconv.Atoi(line[:8])
		if !strings.Contains(line, ": 10.0.") || count > exact+1 || count < exact*9/10 {
			t.Errorf("line %d: got %q, want some %d of a network in 10.0.0.0/16", i, line, exact)
		}
	}
}

func TestWoodpeckers(t *testing.T) {
	var n Networks
	if got, want := string(AppendWoodpeckers(nil, &n)), "Networks, limit /28:\n\n"; got != want {
		t.Errorf("nobody: got %q, want %q", got, want)
	}
	var a, b Woodpeckers
	for range 3 {
		a.Add(netip.MustParseAddr("192.0.2.17"))
		b.Add(netip.MustParseAddr("192.0.2.18"))
	}
	b.Add(netip.MustParseAddr("2001:db8::1"))
	n.Merge(&a)
	n.Merge(&b)
	if got, want := string(AppendWoodpeckers(nil, &n)), "Networks, limit /28:\n00000006: 192.0.2.16\n\nNetworks, limit /64:\n00000001: 2001:db8::\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for i := range uint32(4 * maxWoodpeckerCells) {
		a.Add(netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}))
	}
	if len(a.narrow4.cells) != maxWoodpeckerCells {
		t.Errorf("%d cells, want %d", len(a.narrow4.cells), maxWoodpeckerCells)
	}
	addr := netip.MustParseAddr("192.0.2.17")
	if n := testing.AllocsPerRun(100, func() { a.Add(addr) }); n != 0 {
		t.Errorf("%v allocations per announce, want 0", n)
	}
	for minutes, want := range map[uint32]bool{0: false, 1: true, 19: true, 20: false, 1 << 31: false} {
		if IsWoodpecker(minutes) != want {
			t.Errorf("IsWoodpecker(%d) = %v", minutes, !want)
		}
	}
}

// FuzzTally runs the input as additions, two bytes of key each, against a plain
// map: exact while no key had to make place, never certain of too much after.
func FuzzTally(f *testing.F) {
	f.Add([]byte("aabbccaa"))
	f.Add([]byte(strings.Repeat("abcdefghijklmnopqrstuvwxyz", 100)))
	f.Fuzz(func(t *testing.T, program []byte) {
		tally, model, total := tally{max: minCells}, map[uint64]uint64{}, uint64(0)
		for ; len(program) >= 2; program = program[2:] {
			key := uint64(program[0])<<8 | uint64(program[1])
			tally.add(key, 1)
			model[key]++
			total++
		}
		exact := !slices.ContainsFunc(tally.cells, func(c cell) bool { return c.doubt > 0 })
		var sum uint64
		seen := map[uint64]bool{}
		for _, c := range tally.cells {
			if c.count == 0 {
				continue
			}
			if seen[c.key] {
				t.Fatalf("key %d has two cells", c.key)
			}
			seen[c.key] = true
			if c.certain() > model[c.key] || exact && c.count != model[c.key] {
				t.Fatalf("key %d: %d of %d are certain, but it is %d", c.key, c.certain(), c.count, model[c.key])
			}
			sum += c.count
		}
		if exact && len(seen) != len(model) {
			t.Fatalf("%d keys, want %d", len(seen), len(model))
		}
		if sum != total {
			t.Fatalf("counts sum up to %d, want %d", sum, total)
		}
	})
}

func BenchmarkNetworks(b *testing.B) {
	var n Networks
	i := uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		i = i*1664525 + 1013904223
		n.Add(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}))
	}
}
