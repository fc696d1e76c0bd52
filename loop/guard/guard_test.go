package guard

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
)

var limits = Limits{Address: 50, Prefix: 500, Burst: 10, Bits4: 24, Bits6: 48}

func newTestGuard(l Limits) *Guard { return New(l, [16]byte{1, 2, 3}) }

func addr(format string, args ...any) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(format, args...))
}

// charges charges n requests and returns how many got which verdict.
func charges(g *Guard, a netip.Addr, millis int64, n int) (got [BadPrefix + 1]int) {
	for range n {
		got[g.Charge(a, millis)]++
	}
	return got
}

// TestLadder takes one address up and down.
func TestLadder(t *testing.T) {
	for _, a := range []netip.Addr{addr("192.0.2.7"), addr("2001:db8::7")} {
		g := newTestGuard(limits)
		const start = 1_000_000 // ms
		if got := charges(g, a, start, 10_000); got != [...]int{500, 500, 9000, 0} {
			t.Errorf("%v: %v are fine, slow, silenced, silenced by prefix", a, got)
		}
		// 2,000 are owed, and 50 forgiven a second.
		for _, step := range []struct {
			after int64 // s
			want  Verdict
		}{{19, BadAddress}, {20, BadAddress}, {21, Slow}, {30, Slow}, {31, Fine}} {
			if got := g.Charge(a, start+step.after*1000); got != step.want {
				t.Errorf("%v, %d s later: got %d, want %d", a, step.after, got, step.want)
			}
		}
		if got := charges(g, a, start+42_000, 501); got != [...]int{500, 1, 0, 0} {
			t.Errorf("%v, when all is forgiven: %v", a, got)
		}
	}
}

// TestBanEnds checks the longest there is: it must be over in ten minutes.
func TestBanEnds(t *testing.T) {
	g := newTestGuard(Limits{Address: 100, Prefix: MaxRate, Burst: MaxBurst, Bits4: 24, Bits6: 48})
	a := addr("192.0.2.7")
	charges(g, a, 0, 100_000)
	if g.Charge(a, 0) != BadAddress || g.Charge(a, 400_000) != Fine {
		t.Errorf("silenced for more than 400 s")
	}
}

// TestSteady checks that whoever keeps to the rate is fine for ever, with the
// smallest burst and a clock that is late.
func TestSteady(t *testing.T) {
	g := newTestGuard(Limits{Address: 50, Burst: MinBurst, Bits4: 24, Bits6: 48})
	a := addr("192.0.2.7")
	clock := int64(0)
	for ms := int64(0); ms < 600_000; ms += 20 {
		if ms >= clock+1200 {
			clock = ms
		}
		if v := g.Charge(a, clock); v != Fine {
			t.Fatalf("after %d ms: %d", ms, v)
		}
	}
}

// TestNeighbours checks who has to do with whom.
func TestNeighbours(t *testing.T) {
	g := newTestGuard(limits)
	flooder := addr("192.0.2.7")
	charges(g, flooder, 0, 100_000)
	for name, a := range map[string]netip.Addr{"its /24": addr("192.0.2.8"), "another": addr("192.0.3.7")} {
		if v := g.Charge(a, 0); v != Fine {
			t.Errorf("one flooder: a neighbour in %s gets %d", name, v)
		}
	}
	for i := range 250 { // 40 from each, within the budget of an address
		charges(g, addr("192.0.2.%d", i), 0, 40)
		charges(g, addr("2001:db8:0:%x::1", i), 0, 40)
	}
	for a, want := range map[netip.Addr]Verdict{
		addr("192.0.2.254"): BadPrefix, addr("192.0.3.254"): Fine,
		addr("2001:db8:0:ffff::1"): BadPrefix, addr("2001:db8:1::1"): Fine,
	} {
		if v := g.Charge(a, 0); v != want {
			t.Errorf("all of a prefix: %v gets %d, want %d", a, v, want)
		}
		if v := g.Shut(a, 0); v != want {
			t.Errorf("all of a prefix: a connection of %v gets %d, want %d", a, v, want)
		}
	}
	charges(g, addr("2001:db8:2::1"), 0, 10_000)
	if v := g.Charge(addr("2001:db8:2:0:1:2:3:4"), 0); v != BadAddress {
		t.Errorf("another address of the same /64 gets %d", v)
	}
}

// TestShut checks that looking costs nothing, and coming back while silenced
// does.
func TestShut(t *testing.T) {
	g := newTestGuard(limits)
	a := addr("192.0.2.7")
	for range 10_000 {
		if g.Shut(a, 0) != Fine {
			t.Fatal("looking was charged")
		}
	}
	charges(g, a, 0, 1001)
	for s := range int64(100) {
		for range 51 {
			if g.Shut(a, 1000*s) != BadAddress {
				t.Fatalf("after %d s: a flood that goes on is heard", s)
			}
		}
	}
}

// TestSpoofed checks that datagrams in somebody's name do not silence him.
func TestSpoofed(t *testing.T) {
	g := newTestGuard(limits)
	a := addr("192.0.2.7")
	over := 0
	for range 10_000 {
		if g.ChargeUnproven(a, 0) {
			over++
		}
	}
	if over != 9500 {
		t.Errorf("%d of 10,000 unproven ones are over the budget, want 9,500", over)
	}
	if g.Charge(a, 0) != Fine || g.Shut(a, 0) != Fine || g.ChargeUnproven(addr("192.0.2.8"), 0) {
		t.Errorf("somebody has to pay for it")
	}
}

func TestOnlyOneBudget(t *testing.T) {
	a := addr("192.0.2.7")
	g := newTestGuard(Limits{Prefix: 10, Burst: 2, Bits4: 32, Bits6: 64})
	if got := charges(g, a, 0, 100); got != [...]int{20, 20, 0, 60} || g.ChargeUnproven(a, 0) || g.Shut(a, 0) != BadPrefix {
		t.Errorf("prefixes alone: %v", got)
	}
	g = newTestGuard(Limits{Address: 10, Burst: 2, Bits4: 24, Bits6: 48})
	if got := charges(g, a, 0, 100); got != [...]int{20, 20, 60, 0} {
		t.Errorf("addresses alone: %v", got)
	}
	if newTestGuard(Limits{Burst: 2, Bits4: 24, Bits6: 48}) != nil {
		t.Errorf("a guard without budgets")
	}
}

// few is how many accounts there are where a test is about too few of them.
const few = 1 << 12

// TestCrowd lets one flooder go on among addresses that ask once each within a
// second, six times as many as there are accounts. It has to be found out, none
// of them may be taken for it, and one that is silenced stays so.
func TestCrowd(t *testing.T) {
	g := newTestGuard(Limits{Address: 50, Burst: 2, Bits4: 24, Bits6: 48})
	g.address = makeSketch(few, 50, 2)
	flooder, banned := addr("192.0.2.7"), addr("192.0.2.8")
	charges(g, banned, 0, 400)
	fine, wronged := 0, 0
	const crowd = 6 * few
	for i := range uint32(crowd) {
		if g.Charge(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 0) != Fine {
			wronged++
		}
		if i%12 == 0 && g.Charge(flooder, 0) == Fine { // 2,000 a second
			fine++
		}
	}
	if wronged > 0 {
		t.Errorf("%d of %d innocent ones have to pay", wronged, crowd)
	}
	if fine > 150 {
		t.Errorf("%d of a flooder's 2,000 requests are fine, of which 100 are in the budget", fine)
	}
	if g.Charge(banned, 1000) != BadAddress {
		t.Errorf("a crowd has somebody forgiven")
	}
	t.Logf("among %d addresses in a second: %d of 2,000 requests of a flooder were fine (budget 100)", crowd, fine)
}

// TestFull fills every cell with somebody who is silenced. The others have to be
// served then.
func TestFull(t *testing.T) {
	g := newTestGuard(Limits{Address: 1, Burst: 2, Bits4: 24, Bits6: 48})
	g.address = makeSketch(few, 1, 2)
	silenced := 0
	for i := range uint32(4 * few) {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if got := charges(g, a, 0, 8); got[BadAddress] > 0 {
			silenced++
		}
	}
	if silenced != few {
		t.Errorf("%d are silenced, want %d: one for each cell", silenced, few)
	}
	wronged := 0
	const others = 1 << 17
	for i := range uint32(others) {
		if g.Charge(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), 0) != Fine {
			wronged++
		}
	}
	if wronged > 0 { // others times 8 in 1<<32: once in 4,000 runs, if the key were not the same
		t.Errorf("%d of %d innocent ones have to pay", wronged, others)
	}
}

// TestSweep checks that an account of long ago is not taken for one of now when
// the count of requests has come around.
func TestSweep(t *testing.T) {
	const rate, burst = MaxRate, 2
	g := newTestGuard(Limits{Address: rate, Burst: burst, Bits4: 24, Bits6: 48})
	g.address, g.unproven = makeSketch(few, rate, burst), sketch{}
	a := addr("192.0.2.7")
	charges(g, a, 0, 4*rate*burst)
	around := int64(1) << 32 * 1000 / rate
	for ms := int64(0); ms < around; ms += 1000 {
		g.Sweep(ms)
	}
	if got := g.Charge(a, around); got != Fine {
		t.Errorf("got %d after %d s", got, around/1000)
	}
}

func TestAllocs(t *testing.T) {
	g := newTestGuard(limits)
	for _, a := range []netip.Addr{addr("192.0.2.7"), addr("2001:db8::7")} {
		millis := int64(0)
		if n := testing.AllocsPerRun(10_000, func() {
			g.Charge(a, millis)
			g.Shut(a, millis)
			g.ChargeUnproven(a, millis)
			millis++
		}); n != 0 {
			t.Errorf("%v: %v allocations, want 0", a, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { g.Sweep(1000) }); n != 0 {
		t.Errorf("%v allocations per sweep, want 0", n)
	}
}

// TestTogether has several goroutines charge one address: what they are granted
// together is the budget, and a little that gets lost when they meet.
func TestTogether(t *testing.T) {
	g := newTestGuard(limits)
	a := addr("192.0.2.7")
	var all sync.WaitGroup
	var fine [4]int
	for i := range fine {
		all.Go(func() { fine[i] = charges(g, a, 0, 10_000)[Fine] })
	}
	all.Wait()
	if sum := fine[0] + fine[1] + fine[2] + fine[3]; sum < 500 || sum > 1000 {
		t.Errorf("%d are fine, want 500 and few more", sum)
	}
	if v := g.Charge(a, 0); v != BadAddress {
		t.Errorf("then %d", v)
	}
}

// FuzzSketch runs the input as a program, two bytes to a step: an account, and
// whether it is charged, time goes by, or there is a sweep. No account may ever
// owe more than an exact count says, and while no set is full, not less.
func FuzzSketch(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 1, 0, 255, 3})
	f.Add([]byte{7, 0, 7, 0, 7, 0, 7, 0, 7, 0, 7, 0, 7, 0, 7, 0, 7, 0, 7, 1, 7, 0, 200, 2, 7, 3, 7, 0})
	many := make([]byte, 0, 1024)
	for i := range 256 {
		many = append(many, byte(i), 0, byte(i/16), 0)
	}
	f.Add(many)
	f.Fuzz(func(t *testing.T, program []byte) {
		const rate, burst = 3, 2
		s := makeSketch(sweepRounds*setCells, rate, burst) // only two sets are used
		exact := map[byte]uint32{}
		millis, full := int64(0), false
		for ; len(program) >= 2; program = program[2:] {
			account, op := program[0], program[1]%4
			switch hash := (uint64(account)+1)<<32 | uint64(account&1); op {
			case 0, 1:
				for range op*9 + 1 {
					exact[account] = min(exact[account]+1, s.most)
					got, want := s.charge(hash, millis), s.verdict(exact[account])
					full = full || got < want
					if got > want {
						t.Fatalf("account %d: verdict %d, but it owes %d", account, got, exact[account])
					}
				}
			case 2:
				millis += int64(account) * 1000
				for a := range exact {
					exact[a] -= min(exact[a], rate*uint32(account))
				}
			case 3:
				s.sweep(millis)
			}
		}
		if full && len(exact) <= setCells {
			t.Fatalf("%d accounts were too many", len(exact))
		}
	})
}

func BenchmarkCharge(b *testing.B) {
	g := newTestGuard(limits)
	for _, n := range []int{1, 10_000, 1_000_000} {
		b.Run(fmt.Sprintf("addresses=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			i, millis := uint32(0), int64(0)
			for b.Loop() {
				i++
				if i%100_000 == 0 {
					millis += 1000
				}
				k := i % uint32(n) * 2654435761
				g.Charge(netip.AddrFrom4([4]byte{byte(k >> 24), byte(k >> 16), byte(k >> 8), byte(k)}), millis)
			}
		})
	}
}
