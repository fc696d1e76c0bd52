package loop

import (
	"net/netip"
	"sync/atomic"

	"tracker/loop/guard"
	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// A reactor is what one goroutine needs to turn requests into answers. Its
// fields belong to that goroutine, except for those said to be shared.
type reactor struct {
	store    *store.Store               // shared
	clock    *clock                     // shared, only read here
	allowed  func(*proto.Infohash) bool // shared; nil allows every torrent
	clients  *clients                   // shared, never changed; nil serves every program
	lan      *LAN                       // shared; nil if there is none
	redirect string                     // where GET / is sent, or ""
	trust    trust                      // the networks are shared, never changed
	share    Sharer                     // nil if no other tracker is told
	pace     pace
	guard    *guard.Guard  // shared; nil if there are no budgets
	slowed   bool          // the request being answered is over a budget
	strain   atomic.Uint32 // how far we are behind; set by another, and rarely

	stats       *stats.Counters    // written here, read by others
	woodpeckers *stats.Woodpeckers // the same
	watch       stopwatch
	rnd         *store.Rand

	ledger    *ledger  // shared
	desk      *desk    // shared
	statsPath string   // without leading slashes
	page      bool     // there is one for people
	readers   networks // who may read statistics, or none for everybody; shared, never changed

	metrics bool // the request came to an address for metrics
	apart   bool // there are such addresses

	http  proto.HTTPRequest
	udp   proto.Announce
	reply proto.AnnounceReply
	query store.Query
	found store.Answer
	body  []byte // of an HTTP answer
	keep  bool   // the connection, after an HTTP answer that is no error

	report *stats.Report // nil until there is one
	order  order         // what is left to the desk
}

// familyOf returns the family of an address that is not IPv4-mapped.
func familyOf(a netip.Addr) stats.Family {
	if a.Is4() {
		return stats.V4
	}
	return stats.V6
}

// minute returns the present as the store counts it.
func (r *reactor) minute() store.Minute { return store.Minute(r.clock.minute.Load()) }

// refuses reports whether a is about a torrent that is not served here. Who
// leaves is let go in any case.
func (r *reactor) refuses(a *proto.Announce) bool {
	return r.allowed != nil && a.Event != proto.EventStopped && !r.allowed(&a.Infohash)
}

// refusesClient reports whether a is from a program that is not served, and
// counts it. Who leaves is let go here, too. There must be rules.
func (r *reactor) refusesClient(a *proto.Announce, family stats.Family) bool {
	if a.Event == proto.EventStopped || !r.clients.refuses(&a.PeerID) {
		return false
	}
	r.stats.Inc(stats.Refusals, family)
	r.stats.Inc(stats.RefusedClients, family)
	return true
}

// announce tells the store about a, of a client at addr, and leaves what it
// says in r.found: up to numWant peers, of both families if both is set.
func (r *reactor) announce(a *proto.Announce, addr netip.Addr, numWant int, both families) {
	r.query = store.Query{
		Infohash: a.Infohash,
		Peer:     proto.MakePeer(addr, a.Port),
		Event:    a.Event,
		Seeder:   a.Left == 0,
		Both:     bool(both),
		NumWant:  numWant,
	}
	now := r.minute()
	r.store.Announce(&r.query, now, r.rnd, &r.found)
	if r.share != nil {
		r.share.Announced(&r.query, &r.found, now)
	}
	if r.lan != nil {
		r.present()
	}
	if r.found.Refused != store.NotRefused {
		r.stats.Inc(notStored[r.found.Refused], familyOf(addr))
	}
	if r.found.Completed {
		r.stats.Inc(stats.Completed, familyOf(addr))
	}
	if a.Event == proto.EventStopped {
		return // it wants none, and renews nothing
	}
	r.stats.NumWant(numWant)
	if age := uint32(r.found.Age); r.found.Known {
		r.stats.Renew(age)
		if stats.IsWoodpecker(age) {
			r.woodpeckers.Add(addr)
		}
	}
}

// notStored are what refusals of the store are counted as.
var notStored = [store.NumRefusals]stats.Counter{
	store.RefusedMemory:   stats.PeersNoMemory,
	store.RefusedPeers:    stats.PeersTooMany,
	store.RefusedTorrents: stats.PeersNewTorrent,
	store.RefusedPorts:    stats.PeersManyPorts,
}

// families says whether an answer has room for peers of both families, as over
// HTTP, or only for the asker's, as over UDP.
type families bool

const (
	ownFamily    families = false
	bothFamilies families = true
)
