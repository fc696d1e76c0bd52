package cluster

import (
	"sync"
	"testing"
	"time"
)

// testKeys is what a server has for connection ids.
type testKeys struct {
	mu      sync.Mutex
	secret  [16]byte
	clock   int64
	adopted int
}

func (k *testKeys) Secret() ([16]byte, int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.secret, k.clock
}

func (k *testKeys) Adopt(secret [16]byte, clock int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secret, k.clock, k.adopted = secret, clock, k.adopted+1
}

// TestSecret: who joins makes connection ids as the others do; a day later the
// first of them makes a new secret, and all follow.
func TestSecret(t *testing.T) {
	b := startBrokers(t, 1)
	var keys [3]*testKeys
	var nodes []*tester
	for i := range keys {
		keys[i] = &testKeys{secret: [16]byte{byte(i + 1)}, clock: int64(1000 * (i + 1))}
		nodes = append(nodes, startNode(t, string(rune('a'+i)), b.urls(0), func(c *Config) { c.Keys = keys[i] }).ready())
		if i == 0 {
			waitFor(t, 5*time.Second, "the first has a secret to offer", func() bool { return generation(nodes[0]) == 1 })
		}
	}
	same := func(what string, want [16]byte) {
		t.Helper()
		waitFor(t, 5*time.Second, what, func() bool {
			for _, k := range keys {
				if s, _ := k.Secret(); s != want {
					return false
				}
			}
			return true
		})
	}
	same("all have the secret of the first", [16]byte{1})
	if keys[0].adopted != 0 || keys[1].clock != 1000 || keys[2].clock != 1000 {
		t.Errorf("the first adopted %d, clocks are %d, %d, want 0, 1000, 1000", keys[0].adopted, keys[1].clock, keys[2].clock)
	}
	for _, x := range nodes {
		x.mu.Lock()
		x.keys.made = x.keys.made.Add(-rotation)
		x.mu.Unlock()
	}
	waitFor(t, 5*time.Second, "a new generation", func() bool {
		return generation(nodes[0]) == 2 && generation(nodes[1]) == 2 && generation(nodes[2]) == 2
	})
	s, _ := keys[0].Secret()
	same("all have the new secret", s)
	if s == [16]byte{1} {
		t.Error("the new secret is the old one")
	}
}

func generation(x *tester) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.keys.generation
}

// TestSecretHalves: of two halves with secrets of their own the higher wins, on
// both sides.
func TestSecretHalves(t *testing.T) {
	b := startBrokers(t, 1)
	left, right := &testKeys{secret: [16]byte{1}}, &testKeys{secret: [16]byte{2}}
	x := startNode(t, "x", b.urls(0), func(c *Config) { c.Keys = left }).ready()
	other := startBrokers(t, 1)
	y := startNode(t, "y", other.urls(0), func(c *Config) { c.Keys = right }).ready()
	waitFor(t, 5*time.Second, "both have a secret", func() bool { return generation(x) == 1 && generation(y) == 1 })
	join := startRelayBetween(t, b.url(0), other.url(0))
	defer join()
	waitFor(t, 10*time.Second, "they agree", func() bool {
		l, _ := left.Secret()
		r, _ := right.Secret()
		return l == r
	})
}

// TestClockBack: a peer that stopped before a clock was put back is let in after it.
func TestClockBack(t *testing.T) {
	n := testNode(t)
	n.clock.steppedBack()
	n.clock.adjust(3_600_000)
	if n.clock.steppedBack() {
		t.Error("a clock that was put forward is said to be put back")
	}
	n.stops.stopped(6, n.clock.seconds())
	n.clock.adjust(-3_600_000)
	if !n.clock.steppedBack() || n.clock.steppedBack() {
		t.Fatal("that the clock was put back is not noticed, or twice")
	}
	later := n.clock.seconds() + 1
	if n.stops.heard(6, later) == 0 {
		t.Error("the stop is not remembered")
	}
	n.forgetFuture()
	if stopped := n.stops.heard(6, later); stopped != 0 {
		t.Errorf("the stop is %d seconds in the future", stopped-later)
	}
}

// TestClock: a node whose clock is an hour off takes over that of the others, and
// then shares with them.
func TestClock(t *testing.T) {
	b := startBrokers(t, 1)
	x := startNode(t, "x", b.urls(0), nil).ready()
	y := startNode(t, "y", b.urls(0), func(c *Config) { c.Minute = wallMinute })
	y.clock.adjust(3_600_000)
	y.ready()
	waitFor(t, 5*time.Second, "the clock is taken over", func() bool {
		off := y.clock.now() - x.clock.now()
		return off < maxDrift && off > -maxDrift
	})
	c := newChurn(1)
	c.run(time.Second, 2000, x, y)
	sameContent(t, x, y)
}
