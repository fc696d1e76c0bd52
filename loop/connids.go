package loop

import (
	"crypto/rand"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tracker/proto"
)

// epochLength is how long a connection id of BEP 15 is the current one. The
// one before is accepted too, because clients use them far longer than the
// minute the BEP grants.
const epochLength = time.Hour

// earlierLimit is for how long ids of an earlier secret are good: as long as any
// other, or nearly twice as long as some. maxEarlier is of how many secrets that
// is so at most. There is one a day, and a few at once where clusters meet.
const (
	earlierLimit = 2 * epochLength
	maxEarlier   = 4
)

// ConnIDs are what connection ids are made of. Whoever has both goes on with
// those of an earlier process: ids it gave are good for as long as they would
// have been there, and those that had grown old stay so, even if the machine's
// clock has begun anew.
type ConnIDs struct {
	Secret [16]byte
	Clock  time.Duration // must never go back with the same secret
}

// newConnIDs returns ids that nobody has seen.
func newConnIDs(now time.Duration) ConnIDs {
	ids := ConnIDs{Clock: now}
	rand.Read(ids.Secret[:]) // never fails
	return ids
}

// An idMint makes and checks connection ids. What reactors need for that is
// published as [connKeys], which are never changed: a reactor loads a pointer
// and knows all. New ones come once an hour, and when there is another secret:
// trackers that share their announces have one in common, so that a client may
// ask any of them, and take another from time to time.
type idMint struct {
	keys *atomic.Pointer[connKeys]

	mu      sync.Mutex
	ids     ConnIDs
	from    time.Duration // when ids.Clock was what it says, by the clock of the server
	shared  bool          // with other trackers, whose clocks may be ahead of ours
	earlier []earlierIDs  // the youngest first, up to maxEarlier
}

// earlierIDs are ids that are not made any more.
type earlierIDs struct {
	ConnIDs
	from  time.Duration // when Clock was what it says
	until time.Duration // when the last of them is no good any more
}

// EarlierIDs are ids that a server does not make any more, but that are good for
// a while.
type EarlierIDs struct {
	ConnIDs
	Left time.Duration // until they are not
}

// connKeys are what connection ids are made and checked with in one epoch.
type connKeys struct {
	hourKey
	shared  bool
	earlier []hourKey
}

// An hourKey is a key in one epoch.
type hourKey struct {
	key   proto.ConnKey
	epoch uint32
}

// id returns the connection id of addr.
func (k *connKeys) id(addr netip.Addr) proto.ConnID { return k.key.ID(addr, k.epoch) }

// valid reports whether id was given to addr, and not too long ago.
func (k *connKeys) valid(id proto.ConnID, addr netip.Addr) bool {
	return k.key.Valid(id, addr, k.epoch) || k.shared && k.validElsewhere(id, addr)
}

// validElsewhere reports the same of an id that another tracker has made, in an
// epoch that we are not in yet, or that somebody made with an earlier secret.
func (k *connKeys) validElsewhere(id proto.ConnID, addr netip.Addr) bool {
	if k.key.Valid(id, addr, k.epoch+1) {
		return true
	}
	for i := range k.earlier {
		if e := &k.earlier[i]; e.key.Valid(id, addr, e.epoch) {
			return true
		}
	}
	return false
}

// hourKeyOf returns the key of ids whose clock was right at from.
func hourKeyOf(ids *ConnIDs, from, now time.Duration) hourKey {
	return hourKey{proto.MakeConnKey(ids.Secret), uint32((ids.Clock + now - from) / epochLength)}
}

// use makes ids those of an earlier process, before anything is served.
func (m *idMint) use(ids ConnIDs, earlier []EarlierIDs, now time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids, m.from, m.earlier = ids, now, nil
	for _, e := range earlier[:min(len(earlier), maxEarlier)] {
		m.earlier = append(m.earlier, earlierIDs{e.ConnIDs, now, now + min(e.Left, earlierLimit)})
	}
	m.shared = m.shared || len(m.earlier) > 0
	m.publish(now)
}

// past returns the ids of before that are still good.
func (m *idMint) past(now time.Duration) (all []EarlierIDs) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.earlier {
		if now < e.until {
			all = append(all, EarlierIDs{ConnIDs{e.Secret, e.Clock + now - e.from}, e.until - now})
		}
	}
	return all
}

// refresh publishes keys of the present, if those that are out are of an epoch
// that is over.
func (m *idMint) refresh(now time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.keys.Load()
	stale := k == nil || k.epoch != hourKeyOf(&m.ids, m.from, now).epoch || len(k.earlier) != len(m.earlier)
	for i := range m.earlier {
		e := &m.earlier[i]
		stale = stale || now >= e.until || k.earlier[i].epoch != hourKeyOf(&e.ConnIDs, e.from, now).epoch
	}
	if stale {
		m.publish(now)
	}
}

// publish publishes keys of the present.
func (m *idMint) publish(now time.Duration) {
	k := &connKeys{hourKey: hourKeyOf(&m.ids, m.from, now), shared: m.shared}
	kept := m.earlier[:0]
	for _, e := range m.earlier {
		if now < e.until {
			kept = append(kept, e)
			k.earlier = append(k.earlier, hourKeyOf(&e.ConnIDs, e.from, now))
		}
	}
	m.earlier = kept
	m.keys.Store(k)
}

// present returns the ids that are made now, with their clock.
func (m *idMint) present(now time.Duration) ConnIDs {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ConnIDs{m.ids.Secret, m.ids.Clock + now - m.from}
}

// adopt makes ids from now on that other trackers make, too. Those of before
// are good for as long as they would have been, and a secret that is the
// present one already only has its clock go forward.
func (m *idMint) adopt(ids ConnIDs, now time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shared = true
	old := ConnIDs{m.ids.Secret, m.ids.Clock + now - m.from}
	if ids.Secret == old.Secret {
		ids.Clock = max(ids.Clock, old.Clock)
	} else {
		kept := []earlierIDs{{old, now, now + earlierLimit}}
		for _, e := range m.earlier {
			if e.Secret == ids.Secret { // it is the present one again
				ids.Clock = max(ids.Clock, e.Clock+now-e.from)
			} else if len(kept) < maxEarlier {
				kept = append(kept, e)
			}
		}
		m.earlier = kept
	}
	m.ids, m.from = ids, now
	m.publish(now)
}

// ConnIDs returns what a later process needs to go on with our connection ids.
func (s *Server) ConnIDs() ConnIDs { return s.mint.present(s.cfg.Now()) }

// Secret returns what connection ids are made with now, and its clock in
// milliseconds. It may be called by any goroutine, and so may Adopt.
func (s *Server) Secret() (secret [16]byte, clock int64) {
	ids := s.ConnIDs()
	return ids.Secret, ids.Clock.Milliseconds()
}

// maxIDClock bounds the clock of ids that come from elsewhere, so that nothing
// is counted over.
const maxIDClock = 100 * 365 * 24 * time.Hour

// Adopt makes connection ids with secret from now on, at clock in milliseconds.
// Those of the secrets before stay good for two hours. With the secret that is
// the present one already, clock is followed if it is ahead.
func (s *Server) Adopt(secret [16]byte, clock int64) {
	clock = max(0, min(clock, maxIDClock.Milliseconds()))
	s.mint.adopt(ConnIDs{secret, time.Duration(clock) * time.Millisecond}, s.cfg.Now())
}
