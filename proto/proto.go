// Package proto turns tracker requests into structs and replies into bytes.
//
// A request arrives over HTTP (BEP 3, 7, 23, 48) or UDP (BEP 15) and leaves
// as the same [Announce] or [Scrape] whichever wire it came from. Replies are
// appended to a buffer the caller owns.
//
//	bytes ─► HTTPEnd ─► ParseHTTP ────────┐                     ┌► AppendHTTP… ─► bytes
//	                                      ├► Announce, Scrape ──┤
//	bytes ─► UDPHeader ─► ParseUDP… ──────┘   Counts, peers     └► AppendUDP…  ─► bytes
//
// What reverse proxies say about the client is read here as well, and left to
// the caller to believe: [ParsePROXY] before a connection, [ForwardedFor] and
// [RealIP] in a request.
//
// # Vocabulary
//
// A torrent is named by its [Infohash]. A [Peer] is one client in one swarm,
// in the 6 or 18 bytes it takes on the wire. [Counts] are the three numbers
// known about a swarm. Each file is one idea: a kind of value, or one wire in
// one direction.
//
// # Bad input
//
// Every function that reads may be given hostile bytes of any length; it never
// panics and never keeps a reference to its input, except where a field of
// [HTTPRequest] says so. What is wrong with a request is one of three things:
// it is no request at all ([ErrInvalid], [ErrShort]), it asks for a page that
// is not there ([ErrNotFound]), or it is understood and turned down (a
// [Refusal], whose text the client is shown).
//
// What is taken and what is not was compared with opentracker, byte value by
// byte value, because twenty years of clients were tested against its habits.
// Where we differ on purpose the code says so with the reason.
//
// # What it never does
//
// Nothing here allocates, blocks, logs, reads a clock or draws a random
// number, and nothing here knows who is in a swarm.
package proto

import "net/netip"

// Infohash names a torrent: the SHA-1 of its info dictionary (BEP 3), or the
// first 20 bytes of the SHA-256 of a version 2 torrent (BEP 52).
type Infohash [20]byte

// A PeerID is what a client calls itself (BEP 3). By custom, it begins with the
// program and its version (BEP 20).
type PeerID [20]byte

// Event says why a client announces. Values are those of BEP 15.
type Event uint8

// Events of BEP 3 and BEP 15.
const (
	EventNone Event = iota
	EventCompleted
	EventStarted
	EventStopped
)

// Limits on how many peers one answer carries.
const (
	DefaultNumWant = 50
	// MaxNumWant is the most peers one answer carries. 200 IPv4 peers fill
	// 1,220 bytes of UDP payload, which still fits an unfragmented packet.
	MaxNumWant = 200
	// MaxNumWantUDP6 is the most IPv6 peers in a UDP answer: 66 fill 1,208
	// bytes, below the 1,232 that IPv6 guarantees without fragments.
	MaxNumWantUDP6 = 66
)

// Announce is one announce request, whichever wire it came from.
type Announce struct {
	Infohash Infohash
	Left     uint64 // bytes the client still needs; math.MaxUint64 if it did not say
	NumWant  int    // 0 to MaxNumWant
	Port     uint16 // 0 only with EventStopped
	Event    Event  // as sent: EventCompleted may come with Left > 0, and is no completion then
	PeerID   PeerID // zeros if there is none, which only HTTP allows
	List     bool   // HTTP compact=0: the client wants the dictionary list of BEP 3

	// IP is the address the client says it has, or the zero Addr. It is not to
	// be believed: whoever names another's points a whole swarm at that one.
	IP netip.Addr
}

// Counts are the three numbers of a scrape (BEP 48).
type Counts struct {
	Complete   uint32 // seeders
	Downloaded uint32 // times a download was completed
	Incomplete uint32 // leechers
}
