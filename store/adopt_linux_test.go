//go:build !purego

package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"tracker/proto"
)

// newSharing returns a machine whose store another can go on with.
func newSharing(t testing.TB) *machine {
	t.Helper()
	m := newMachine(t, 45)
	m.end()
	m.store = New(Options{Shards: 2, Expire: 45, Shared: true})
	if m.store.Memory() < 0 {
		t.Fatal("this system has no memory to share")
	}
	return m
}

// handOn has another store, with these options, go on with that of m, as another
// process would.
func (m *machine) handOn(o Options) *Store {
	m.t.Helper()
	var layout bytes.Buffer
	if err := m.store.WriteLayout(&layout); err != nil {
		m.t.Fatal(err)
	}
	fd, err := unix.FcntlInt(uintptr(m.store.Memory()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	next := New(o)
	if err := next.Adopt(fd, &layout); err != nil {
		m.t.Fatal(err)
	}
	if layout.Len() > 0 {
		m.t.Errorf("%d bytes are left", layout.Len())
	}
	return next
}

// leave unmaps the store's memory, and leaves what is in it to others.
func (s *Store) leave() {
	for i := range s.shards {
		sh := &s.shards[i]
		if len(sh.tab.slots) > 0 {
			unmapMemory(memoryOf(sh.tab.slots))
		}
		for _, pools := range [...][]pool{sh.records[:], sh.blocks[:]} {
			for i := range pools {
				for _, c := range pools[i].chunks {
					if len(c) > 0 {
						unmapMemory(c)
					}
				}
			}
		}
	}
	s.mem.close()
}

// TestAdopt hands a store on again and again, in the middle of sweeps too, and
// compares it with the model all the way.
func TestAdopt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m := newSharing(t)
	defer func() { m.end() }()
	steps := 3000
	if checked {
		steps /= 40
	}
	for range 12 {
		for range steps {
			m.do(byte(r.IntN(250))&15, byte(r.IntN(4)), uint16(r.IntN(2000)))
			m.do(byte(r.IntN(250)), byte(r.IntN(250)), uint16(r.IntN(9)))
		}
		for range r.IntN(3) {
			m.store.SweepStep(m.now)
		}
		last := m.store
		m.model.expire = MinExpire + Minute(r.IntN(20))
		m.store = m.handOn(Options{Shards: 4, Expire: m.model.expire, Shared: true})
		last.leave()
		if checked {
			for i := range m.store.shards {
				m.store.shards[i].check()
			}
		}
		m.compare()
		m.advance(1)
		m.compare()
	}
}

// TestAdoptGivesBack fills a shared store, hands it on and empties it: the file
// is as small as before.
func TestAdoptGivesBack(t *testing.T) {
	m := newSharing(t)
	defer func() { m.end() }()
	pages := func() int64 {
		if n := m.fileBytes(); n != m.store.Bytes() {
			t.Errorf("the file has %d bytes, the budget says %d", n, m.store.Bytes())
		}
		return m.store.Bytes() / int64(pageLen)
	}
	peers := uint32(40_000)
	if checked {
		peers /= 40
	}
	announce := func(e proto.Event) {
		for i := range peers {
			q := Query{Infohash: testInfohash(i % (peers / 4)), Peer: testPeer4(i), Event: e}
			if i%4 == 0 {
				q.Infohash = testInfohash(1 << 20)
			}
			m.store.Announce(&q, m.now, m.rnd, &m.a)
		}
	}
	before := pages()
	announce(proto.EventNone)
	full := pages()
	last := m.store
	m.store = m.handOn(Options{Shards: 4, Expire: 45, Shared: true})
	last.leave()
	if n := pages(); n != full {
		t.Errorf("%d pages after it was handed on, before %d", n, full)
	}
	announce(proto.EventStopped)
	for !m.store.SweepStep(m.now) {
	}
	// A page for each kind of thing, of which there are some dozens a shard.
	if n := pages(); n > before+int64(2*(len(recordClasses)+blockClasses)) {
		t.Errorf("%d pages are left, at first %d, full %d", n, before, full)
	}
}

// TestAdoptDamage gives layouts that are cut, and some with a bit changed: that
// is an error and nothing worse.
func TestAdoptDamage(t *testing.T) {
	m := newSharing(t)
	defer func() { m.end() }()
	for i := range uint32(3000) {
		q := Query{Infohash: testInfohash(i % 100), Peer: testPeer4(i)}
		if i%2 == 0 {
			q.Infohash = testInfohash(1 << 20)
		}
		m.store.Announce(&q, m.now, m.rnd, &m.a)
	}
	var layout bytes.Buffer
	if err := m.store.WriteLayout(&layout); err != nil {
		t.Fatal(err)
	}
	refused := func(b []byte, what string, n int) {
		t.Helper()
		fd, err := unix.FcntlInt(uintptr(m.store.Memory()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := New(Options{Shards: 1, Shared: true})
		if err := s.Adopt(fd, bytes.NewReader(b)); !errors.Is(err, ErrLayout) && !errors.Is(err, errPiece) {
			t.Errorf("%s %d: %v", what, n, err)
		}
		s.leave()
	}
	b := layout.Bytes()
	for n := 0; n < len(b); n += 61 {
		refused(b[:n], "cut at", n)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := r.IntN(len(b))
		bad := bytes.Clone(b)
		bad[n] ^= 1 << r.IntN(8)
		refused(bad, "a bit of byte", n)
	}
}

// TestWhoSharesLimited has files limited in length: no memory is shared, which the
// other side has to know before it gives any. Once known, it stays so.
func TestWhoSharesLimited(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	before := Layout(Limits{})
	limited := was
	limited.Cur = 1 << 40
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limited); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &was)
	if mayHaveArenas() {
		t.Error("there may be arenas")
	}
	if Layout(Limits{}) != before {
		t.Error("the layout has changed while the program runs")
	}
}

// TestAdoptFile gives files that are no store's memory, and none at all.
func TestAdoptFile(t *testing.T) {
	m := newSharing(t)
	defer func() { m.end() }()
	var layout bytes.Buffer
	if err := m.store.WriteLayout(&layout); err != nil {
		t.Fatal(err)
	}
	short, err := unix.MemfdCreate("short", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range []int{-1, short, null} {
		s := New(Options{Shards: 1, Shared: true})
		if err := s.Adopt(fd, bytes.NewReader(layout.Bytes())); !errors.Is(err, ErrMemory) {
			t.Errorf("%d: %v", fd, err)
		}
		s.leave()
	}
}

// TestMemoryLayout reminds whoever changes what lies in memory to change memoryLayout:
// a small store with known secrets has to look as it did. If it must not, raise
// the number and put the new sum here.
func TestMemoryLayout(t *testing.T) {
	m := newSharing(t)
	defer func() { m.end() }()
	m.store.secret = secrets{peer: [3]uint64{1, 2, 3}}
	for i := range uint32(200) {
		q := Query{Infohash: testInfohash(i % 7), Peer: testPeer4(i), Seeder: i%3 == 0, Event: proto.EventCompleted}
		m.store.Announce(&q, m.now, m.rnd, &m.a)
		q.Infohash, q.Peer = testInfohash(100), testPeer6(i)
		m.store.Announce(&q, m.now, m.rnd, &m.a)
	}
	var b bytes.Buffer
	if err := m.store.WriteLayout(&b); err != nil {
		t.Fatal(err)
	}
	for i := range m.store.shards {
		sh := &m.store.shards[i]
		b.Write(memoryOf(sh.tab.slots))
		for _, pools := range [...][]pool{sh.records[:], sh.blocks[:]} {
			for _, p := range pools {
				for i := range p.n {
					b.Write(p.at(i))
				}
			}
		}
	}
	const number, sum = 2, 0x80c9f26d81963955
	if got := xxhash.Sum64(b.Bytes()); memoryLayout != number || pageLen == 4096 && got != sum {
		t.Errorf("layout %d has the sum %#x, layout %d had %#x", memoryLayout, got, number, uint64(sum))
	}
}
