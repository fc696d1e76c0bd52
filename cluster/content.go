package cluster

import (
	"encoding/binary"

	"tracker/proto"
	"tracker/store"
)

// Content is torrents with their peers, for who joins or lacks them:
//
//	0  base        4   seconds since 1970, not before anything
//	4  torrents    4
//	8  for each:
//	   infohash   20
//	   IPv4 peers  2
//	   IPv6 peers  2
//	   downloaded  4   0: nothing is said of that
//	   idle        2   minutes since it was used, if it was downloaded
//	   peers       8 and 20 each: compact peer, mark
//
// What is known of a peer is the minute it was last heard of, so its mark tells
// the first second of that, or when it came back after a stop. A torrent may be
// told in several parts.
const (
	contentHead = 8
	torrentHead = 30
	maxIdle     = 1<<16 - 1

	// maxChunk is the length of the longest message with content. It is ended
	// when it has chunkFull bytes: what a visit finds at once is shorter than the
	// rest.
	maxChunk  = 256 << 10
	chunkFull = 128 << 10
)

// A writer of content appends parts to a message.
type content struct {
	node *Node
	msg  []byte
	at   int // where the content begins in it
	base uint32
	n    uint32
}

// begin begins the content of msg.
func (w *content) begin(msg []byte) {
	w.at, w.n, w.base = len(msg), 0, w.node.clock.seconds()+ahead
	w.msg = binary.LittleEndian.AppendUint32(msg, w.base)
	w.msg = binary.LittleEndian.AppendUint32(w.msg, 0)
}

// full reports whether the message should be sent.
func (w *content) full() bool { return len(w.msg) >= chunkFull }

// end returns the message, sealed.
func (w *content) end() []byte {
	binary.LittleEndian.PutUint32(w.msg[w.at+4:], w.n)
	w.msg = seal(w.msg)
	return w.msg
}

// add adds a part. Downloads in the buckets that changed just now are left out:
// they may be under way to whom this is for, and would be counted twice.
func (w *content) add(p *store.Part) {
	n := w.node
	n4, n6 := p.Len()
	downloaded := p.Downloaded
	if downloaded > 0 && n.hot(&p.Infohash, w.base-ahead) {
		downloaded = 0
	}
	if n4+n6 == 0 && downloaded == 0 {
		return
	}
	w.n++
	head := len(w.msg)
	w.msg = append(w.msg, p.Infohash[:]...)
	w.msg = append(w.msg, 0, 0, 0, 0) // how many peers, when that is known
	w.msg = binary.LittleEndian.AppendUint32(w.msg, downloaded)
	w.msg = binary.LittleEndian.AppendUint16(w.msg, uint16(min(p.Idle, maxIdle)))
	now := n.clock.minute()
	n.stops.Lock()
	defer n.stops.Unlock()
	for family, count := range [...]int{n4, n6} {
		told := uint16(0)
		for i := range count {
			compact, seeder, age := p.Peer(family, i)
			if n.cfg.Local != nil && n.cfg.Local(compact) {
				continue
			}
			told++
			when := n.clock.shared(now-age) * 60
			if back := n.stops.since(peerHash(&p.Infohash, compact)); back/60 == when/60 {
				when = back
			}
			var flags mark
			if seeder {
				flags = markSeeder
			}
			w.msg = append(w.msg, compact...)
			w.msg = binary.LittleEndian.AppendUint16(w.msg, uint16(makeMark(flags, w.base, when)))
		}
		binary.LittleEndian.PutUint16(w.msg[head+20+2*family:], told)
	}
}

// parseContent calls peer for every peer of a content, and torrent for what was
// downloaded. It reports whether the body is one; if not, nothing was called.
func parseContent(body []byte, now uint32, torrent func(ih *proto.Infohash, downloaded uint32, idle store.Minute),
	peer func(ih *proto.Infohash, compact []byte, m mark, when uint32),
) bool {
	if len(body) < contentHead {
		return false
	}
	base, torrents := binary.LittleEndian.Uint32(body), binary.LittleEndian.Uint32(body[4:])
	body = body[contentHead:]
	if !plausible(base, now) || !possibleContent(body, torrents) {
		return false
	}
	for range torrents {
		ih := (*proto.Infohash)(body)
		n4, n6 := int(binary.LittleEndian.Uint16(body[20:])), int(binary.LittleEndian.Uint16(body[22:]))
		downloaded, idle := binary.LittleEndian.Uint32(body[24:]), store.Minute(binary.LittleEndian.Uint16(body[28:]))
		body = body[torrentHead:]
		for _, part := range [...]struct{ n, width int }{{n4, proto.Peer4Len}, {n6, proto.Peer6Len}} {
			for range part.n {
				m := mark(binary.LittleEndian.Uint16(body[part.width:]))
				peer(ih, body[:part.width], m, m.when(base))
				body = body[part.width+markLen:]
			}
		}
		if downloaded > 0 {
			torrent(ih, downloaded, idle)
		}
	}
	return true
}

// possibleContent reports whether b is so many torrents a tracker could have.
func possibleContent(b []byte, torrents uint32) bool {
	for ; torrents > 0; torrents-- {
		if len(b) < torrentHead {
			return false
		}
		n4, n6 := int(binary.LittleEndian.Uint16(b[20:])), int(binary.LittleEndian.Uint16(b[22:]))
		b = b[torrentHead:]
		for _, part := range [...]struct{ n, width int }{{n4, proto.Peer4Len}, {n6, proto.Peer6Len}} {
			for range part.n {
				if len(b) < part.width+markLen || !possiblePeer(b[:part.width]) {
					return false
				}
				if m := mark(binary.LittleEndian.Uint16(b[part.width:])); m&(markStopped|markCompleted) != 0 {
					return false
				}
				b = b[part.width+markLen:]
			}
		}
	}
	return len(b) == 0
}
