// Package guard keeps account of who asks how often, and says who has asked too
// often, in memory of a fixed size.
//
// # A budget
//
// Whoever asks owes one request more, and everybody is forgiven so many a
// second: the rate. What somebody owes decides what becomes of the request:
//
//	owes    0 ─────── budget ─────── 2 × budget ──────────── 4 × budget
//	        │   fine    │     slow       │        silence        │ never more
//	        │ answered  │ asked to stay  │ no answer             │
//	        │           │ away longer    │                       │
//
// The budget is the rate times the burst, which is thus a number of seconds. A
// request that gets no answer is charged as well, so that a flood which goes on
// stays silenced, at the cost of looking at it. It ends by itself: who stops is
// heard again after twice the burst, and has a clean slate after four times
// that. With the longest burst there is, [MaxBurst], these are 200 and 400
// seconds.
//
// Two budgets are kept, for an address and for the prefix it is in. One host
// with IPv6 owns 2^64 addresses, so what is called an address here is a /64 of
// it. A request that its address has no right to is not charged to the prefix:
// one host can never silence its neighbours. Many can, who flood from the same
// prefix with a little each. That is what the prefix's budget is for.
//
// # The sketch
//
// An account is a cell of 8 bytes: 32 bits of a keyed hash of the address, and
// when it will owe nothing, which is a count of requests forgiven since the
// clock began. Nothing has to be done as time goes by. Eight cells are a set, in
// one cache line, and the hash chooses the set. So a lookup touches one line, no
// memory is ever asked for, and goroutines need no lock: a cell changes by
// compare and swap, and who loses four times in a row charges nothing.
//
//	hash  nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn................ssssssssssssssss
//	      name                                            set
//
//	cell  nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnntttttttttttttttttttttttttttttttt
//	      name                            owes nothing from here on
//
// An address that is not in its set takes a cell whose owner owes nothing, or
// else pushes out the one that owes least, unless even that one is over its
// budget: nobody who is being slowed or silenced is forgotten before the time.
// If all eight are, the newcomer is let through without an account.
//
// So whatever is forgotten is forgiven. A sketch of counters that several
// addresses share would count what others do against an address, and a flood
// from many would silence everybody. Here an address pays for another only if
// 32 bits of their hashes agree, in the same set: with every cell taken by
// somebody who is silenced, that hits one in 500 million.
//
// # Who is too many for it
//
// Accounts are only of use while something is owed. At 50 requests a second,
// one request is forgiven within 20 ms, as soon as the clock moves, which it
// does once a second. [addressCells] accounts are therefore enough for that many
// different addresses a second. With more, those who ask once push each other
// out, while one that is over the rate comes back before its eight neighbours
// have been replaced, owes more than they do, and stays.
//
// To fill the sketch with accounts that cannot be pushed out, an attacker has to
// keep [addressCells] addresses over their budget, which at 50 a second is a
// flood of 3.3 million requests a second. It then has the same as without a
// guard. Nobody can choose addresses that meet in one set, because the key of
// the hash is random and the process's own.
//
// # Whom to believe
//
// Over UDP anybody can write anybody's address on a datagram. If such a one were
// charged, whoever knows your address could have you silenced. So only what is
// proven is charged to address and prefix: requests over TCP, and announces and
// scrapes with a valid connection id. What is not, connects and ids that are
// wrong, has an account of its own ([Guard.ChargeUnproven]), and the worst that
// may come of it is no answer to what is not proven.
//
// An id is valid for one to two hours, so somebody who has had an address and
// lost it can have it silenced for that long.
//
// # What it never does
//
// It allocates nothing after [New], takes no lock and reads no clock.
package guard

import (
	"encoding/binary"
	"net/netip"

	"github.com/dchest/siphash"
)

// Bounds of [Limits].
const (
	// MaxRate is the most requests a second that a budget can have.
	MaxRate = 100_000
	// MinBurst and MaxBurst bound Burst. The clock moves once a second, and
	// sometimes late, so that less than two seconds' worth would refuse clients
	// that keep to the rate.
	MinBurst, MaxBurst = 2, 100
	// Bits of a prefix. A prefix of more than 64 bits is within what one host has.
	MinBits4, MaxBits4 = 8, 32
	MinBits6, MaxBits6 = 16, 64
)

// How many accounts there are, 8 bytes each: 512 KiB for addresses, 128 KiB for
// prefixes, and as much for what is unproven.
const (
	addressCells  = 1 << 16
	prefixCells   = 1 << 14
	unprovenCells = 1 << 14
)

// Limits are the budgets.
type Limits struct {
	Address, Prefix int // requests a second, up to MaxRate; 0: no budget
	Burst           int // seconds' worth that may come at once, MinBurst to MaxBurst
	Bits4, Bits6    int // of a prefix
}

// within returns l with everything that is out of bounds at the nearer one.
func (l Limits) within() Limits {
	l.Address, l.Prefix = min(l.Address, MaxRate), min(l.Prefix, MaxRate)
	l.Burst = max(MinBurst, min(l.Burst, MaxBurst))
	l.Bits4 = max(MinBits4, min(l.Bits4, MaxBits4))
	l.Bits6 = max(MinBits6, min(l.Bits6, MaxBits6))
	return l
}

// A Guard is an account of who asks how often. Its methods may be called by
// several goroutines at once, except Sweep. Times are milliseconds of a
// monotonic clock.
type Guard struct {
	k0, k1                    uint64 // of the hash
	mask4, mask6              uint64 // of a prefix
	address, prefix, unproven sketch
}

// New returns a guard whose hash has that key, which must be random and
// nobody's but the process's. It returns nil, for which there is no use, if
// there are no budgets.
func New(l Limits, secret [16]byte) *Guard {
	if l.Address <= 0 && l.Prefix <= 0 {
		return nil
	}
	l = l.within()
	g := &Guard{
		k0:    binary.LittleEndian.Uint64(secret[:8]),
		k1:    binary.LittleEndian.Uint64(secret[8:]),
		mask4: ^uint64(0) << (32 - l.Bits4),
		mask6: ^uint64(0) << (64 - l.Bits6),
	}
	if l.Address > 0 {
		g.address = makeSketch(addressCells, l.Address, l.Burst)
		g.unproven = makeSketch(unprovenCells, l.Address, l.Burst)
	}
	if l.Prefix > 0 {
		g.prefix = makeSketch(prefixCells, l.Prefix, l.Burst)
	}
	return g
}

// A Verdict says what is to become of a request.
type Verdict uint8

// The verdicts.
const (
	Fine       Verdict = iota
	Slow               // answer, and ask to stay away for longer
	BadAddress         // no answer, for what the address has asked
	BadPrefix          // no answer, for what the prefix has asked
)

// Silent reports whether there is to be no answer.
func (v Verdict) Silent() bool { return v >= BadAddress }

// Charge charges one request, proven to come from a, to its address and its
// prefix. a must not be IPv4-mapped.
func (g *Guard) Charge(a netip.Addr, millis int64) Verdict {
	account, verdict := accountOf(a), Fine
	if g.address.on() {
		if verdict = g.address.charge(g.hash(account), millis); verdict.Silent() {
			return BadAddress
		}
	}
	if g.prefix.on() {
		if v := g.prefix.charge(g.hash(g.prefixOf(account)), millis); v.Silent() {
			return BadPrefix
		} else if v == Slow {
			verdict = Slow
		}
	}
	return verdict
}

// Shut reports, as [BadAddress] or [BadPrefix], whether a is so far over a
// budget that there is nothing to wait for: a connection can be closed before
// it has said anything. That is charged, and otherwise it returns [Fine] and
// charges nothing.
func (g *Guard) Shut(a netip.Addr, millis int64) Verdict {
	account := accountOf(a)
	if g.address.on() && g.address.shut(g.hash(account), millis) {
		return BadAddress
	}
	if g.prefix.on() && g.prefix.shut(g.hash(g.prefixOf(account)), millis) {
		return BadPrefix
	}
	return Fine
}

// ChargeUnproven charges one datagram that says it comes from a, and may not,
// and reports whether that is over the budget of such. It has no bearing on
// anything else.
func (g *Guard) ChargeUnproven(a netip.Addr, millis int64) (over bool) {
	return g.unproven.on() && g.unproven.charge(g.hash(accountOf(a)), millis) != Fine
}

// Sweep empties accounts that owe nothing, a part of all each time. It has to be
// called about once a second, or an account of weeks ago might seem to owe
// something.
func (g *Guard) Sweep(millis int64) {
	for _, s := range []*sketch{&g.address, &g.prefix, &g.unproven} {
		if s.on() {
			s.sweep(millis)
		}
	}
}

func (g *Guard) hash(account uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], account)
	return siphash.Hash(g.k0, g.k1, b[:])
}

// accountOf returns what is charged for a: all of an IPv4 address, with 16 bits
// set before it, where no IPv6 network is; the first 64 bits of an IPv6 one.
func accountOf(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return mapped | uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:])
}

const mapped = 0xffff << 32

// prefixOf returns what is charged for the prefix of account.
func (g *Guard) prefixOf(account uint64) uint64 {
	if account>>32 == mapped>>32 {
		return account & g.mask4
	}
	return account & g.mask6
}
