package store

import "tracker/proto"

// Limits are bounds on what is stored, beside memory. 0 is none.
type Limits struct {
	PeersPerTorrent int
	Torrents        int
	// PortsPerAddress is how many peers of one address one torrent may have:
	// for IPv6, of one /64, because whoever has one address there has all.
	PortsPerAddress int
}

// byAddress reports whether peers have to be in the order of their addresses.
func (l *Limits) byAddress() bool { return l.PortsPerAddress > 0 }

// A Refusal says why a peer was not stored. It is answered all the same.
type Refusal uint8

// The refusals.
const (
	NotRefused Refusal = iota
	// RefusedMemory: the budget is used up, or nearly and the torrent is large,
	// or the system has no memory. A known peer stays what it was.
	RefusedMemory
	RefusedPeers    // the torrent has Limits.PeersPerTorrent
	RefusedTorrents // the torrent is new, and there are Limits.Torrents
	RefusedPorts    // the address has Limits.PortsPerAddress in the torrent
	NumRefusals
)

// SetMemory limits the memory of the store, in bytes of pages: new peers and
// torrents are stored up to about keep, and what must not fail, like the renewal
// of a peer that becomes a seeder, may take up to most. It may be called at any
// time. Nobody is forgotten if there is more than that already. Before the first
// call there is no limit.
func (s *Store) SetMemory(most int64) { s.budget.set(most-s.reserve(most), most) }

// reserve returns how much of a budget is not for new peers: a sixteenth, but
// as much as the largest moves take in every shard at once, unless that would be
// most of it.
func (s *Store) reserve(most int64) int64 {
	least := int64(len(s.shards) * reservePages * pageLen)
	return max(most/16, min(least, most/4))
}

// reservePages is what a shard may need to move a peer: pages of a few blocks
// and records of other sizes.
const reservePages = 16

// Bytes returns how many bytes of pages the store has.
func (s *Store) Bytes() int64 { return s.budget.used.Load() }

// Charge counts n bytes more, or less, into what the store takes: memory of
// somebody else that is part of what SetMemory limits.
func (s *Store) Charge(n int64) { s.budget.used.Add(n) }

// refusesTorrent returns why no torrent more is stored.
func (sh *shard) refusesTorrent() Refusal {
	switch most := sh.limits.Torrents; {
	case most > 0 && sh.budget.torrents.Load() >= int64(most):
		return RefusedTorrents
	case sh.budget.crowded(0):
		return RefusedMemory
	}
	return NotRefused
}

// refusesPeer returns why a torrent of n peers gets no other one.
func (sh *shard) refusesPeer(n int) Refusal {
	switch most := sh.limits.PeersPerTorrent; {
	case most > 0 && n >= most:
		return RefusedPeers
	case sh.budget.crowded(n):
		return RefusedMemory
	}
	return NotRefused
}

// refusesPort reports whether the address of c has as many peers as it may in
// the torrent at at.
func (sh *shard) refusesPort(at ref, c []byte) bool {
	most := sh.limits.PortsPerAddress
	if most <= 0 {
		return false
	}
	if at.class() != swarmRef {
		l := sh.record(at).list(len(c))
		return l.ports(c) >= most
	}
	n, key := 0, sh.secret.key(c)&^portBits
	for _, seeder := range [...]bool{false, true} {
		v := sh.view(at.index(), setOf(len(c), seeder))
		n += v.ports(key, c, most-n)
	}
	return n >= most
}

// addressLen returns how many bytes of a compact peer are its address: those of
// IPv6 that are a network's.
func addressLen(width int) int {
	if width == proto.Peer4Len {
		return 4
	}
	return 8
}

// ports counts the peers with the address of c.
func (l *list) ports(c []byte) (n int) {
	address := string(c[:addressLen(l.width)])
	for i := range l.stamps {
		if string(l.peer(i)[:len(address)]) == address {
			n++
		}
	}
	return n
}

// ports counts the peers with the address of c, most at most. They are side by
// side, because with a limit of ports all but the lowest bits of a peer's key,
// which are 0 in key, come from its address.
func (v *setView) ports(key uint64, c []byte, most int) (n int) {
	if len(v.dir) == 0 {
		return 0
	}
	address := string(c[:addressLen(v.width)])
	b := v.blockOf(key)
	i := v.lower(b, key)
	for ; b < len(v.dir); b, i = b+1, 0 {
		for l := v.block(b); i < l.len(); i++ {
			switch p := l.peer(i); {
			case n >= most || (v.sh.secret.key(p)^key)&^portBits != 0:
				return n
			case string(p[:len(address)]) == address:
				n++
			}
		}
	}
	return n
}
