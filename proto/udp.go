package proto

import (
	"encoding/binary"
	"net/netip"
)

// UDP requests and answers, BEP 15. Offsets in bytes, integers big-endian.
//
//	every request            connect answer           error
//	 0  connection id   8     0  action          4     0  action          4
//	 8  action          4     4  transaction id  4     4  transaction id  4
//	12  transaction id  4     8  connection id   8     8  message
//
//	announce request
//	16  infohash       20    56  downloaded      8    84  ip              4
//	36  peer id        20    64  left            8    88  key             4
//	                         72  uploaded        8    92  numwant         4
//	                         80  event           4    96  port            2
//
//	announce answer          scrape request           scrape answer
//	 0  action          4    16  infohash  20         0  action           4
//	 4  transaction id  4    36  infohash  20         4  transaction id   4
//	 8  interval        4     …  up to 75             8  complete         4
//	12  incomplete      4                            12  downloaded       4
//	16  complete        4                            16  incomplete       4
//	20  peers, 6 or 18 each                           …  for each infohash
const (
	udpHeaderLen   = 16
	udpAnnounceLen = 98
)

// TxID is a transaction id: the client's, given back with the answer.
type TxID uint32

// ConnID is a connection id. See [ConnKey].
type ConnID uint64

// ConnIDMagic stands for the connection id in a connect request.
const ConnIDMagic ConnID = 0x41727101980

// Actions of a UDP packet.
const (
	ActionConnect uint32 = iota
	ActionAnnounce
	ActionScrape
	ActionError // only in answers
)

// UDPHeader reads what every request starts with. It is not ok if pkt is too
// short to be one.
func UDPHeader(pkt []byte) (id ConnID, action uint32, tx TxID, ok bool) {
	if len(pkt) < udpHeaderLen {
		return 0, 0, 0, false
	}
	pkt = pkt[:udpHeaderLen]
	id = ConnID(binary.BigEndian.Uint64(pkt))
	return id, binary.BigEndian.Uint32(pkt[8:]), TxID(binary.BigEndian.Uint32(pkt[12:])), true
}

// IsUDPConnect reports whether a request with that header is a connect.
func IsUDPConnect(id ConnID, action uint32) bool {
	return id == ConnIDMagic && action == ActionConnect
}

// ParseUDPAnnounce reads pkt into a, overwriting all of it. The connection id
// and the action are the caller's to check. Bytes past the fixed request are
// passed over, such as the options of BEP 41: none of them is for a tracker
// that serves one announce URL. The address in the packet is IPv4's alone,
// whatever the packet came over (BEP 15); 0 is none.
//
// It returns [ErrShort] or [RefusePort]; the transaction id is good with the
// latter.
func ParseUDPAnnounce(pkt []byte, a *Announce) (TxID, error) {
	if len(pkt) < udpAnnounceLen {
		return 0, ErrShort
	}
	pkt = pkt[:udpAnnounceLen] // one bounds check for all the reads below
	a.Infohash = Infohash(pkt[16:36])
	a.PeerID = PeerID(pkt[36:56])
	a.Left = binary.BigEndian.Uint64(pkt[64:])
	a.Event = udpEvent(binary.BigEndian.Uint32(pkt[80:]))
	// Unsigned, so that -1, which means no wish, gives the most.
	a.NumWant = int(min(binary.BigEndian.Uint32(pkt[92:]), MaxNumWant))
	a.Port = binary.BigEndian.Uint16(pkt[96:])
	a.List, a.IP = false, netip.Addr{}
	if ip := [4]byte(pkt[84:]); ip != [4]byte{} {
		a.IP = netip.AddrFrom4(ip)
	}
	tx := TxID(binary.BigEndian.Uint32(pkt[12:]))
	if a.Port == 0 && a.Event != EventStopped {
		return tx, RefusePort
	}
	return tx, nil
}

// udpEvent returns the event of that number. Unknown ones are none, as in
// opentracker: a client of the future is still a peer.
func udpEvent(n uint32) Event {
	if n > uint32(EventStopped) {
		return EventNone
	}
	return Event(n)
}

// ParseUDPScrape reads pkt into s. The connection id and the action are the
// caller's to check. Infohashes past [MaxScrape] are dropped, and so is one
// that is cut short. None at all is fine, and answered with none.
//
// It returns [ErrShort].
func ParseUDPScrape(pkt []byte, s *Scrape) (TxID, error) {
	if len(pkt) < udpHeaderLen {
		return 0, ErrShort
	}
	tx := TxID(binary.BigEndian.Uint32(pkt[12:]))
	s.N = 0
	for b := pkt[udpHeaderLen:]; len(b) >= len(Infohash{}) && s.N < MaxScrape; b = b[len(Infohash{}):] {
		s.Infohashes[s.N] = Infohash(b[:len(Infohash{})])
		s.N++
	}
	return tx, nil
}

// AppendUDPConnect appends the answer to a connect.
func AppendUDPConnect(dst []byte, tx TxID, id ConnID) []byte {
	dst = appendUDPHeader(dst, ActionConnect, tx)
	return binary.BigEndian.AppendUint64(dst, uint64(id))
}

// AppendUDPAnnounce appends the answer to an announce. Interval is in seconds;
// peers holds whole peers of the asker's family, back to back.
func AppendUDPAnnounce(dst []byte, tx TxID, interval uint32, c Counts, peers []byte) []byte {
	dst = appendUDPHeader(dst, ActionAnnounce, tx)
	dst = binary.BigEndian.AppendUint32(dst, interval)
	dst = binary.BigEndian.AppendUint32(dst, c.Incomplete)
	dst = binary.BigEndian.AppendUint32(dst, c.Complete)
	return append(dst, peers...)
}

// AppendUDPScrapeHead appends the start of the answer to a scrape.
func AppendUDPScrapeHead(dst []byte, tx TxID) []byte {
	return appendUDPHeader(dst, ActionScrape, tx)
}

// AppendUDPScrapeEntry appends what is known about one torrent. There must be
// one for every infohash asked for, in that order; an unknown one has zeros.
func AppendUDPScrapeEntry(dst []byte, c Counts) []byte {
	dst = binary.BigEndian.AppendUint32(dst, c.Complete)
	dst = binary.BigEndian.AppendUint32(dst, c.Downloaded)
	return binary.BigEndian.AppendUint32(dst, c.Incomplete)
}

// AppendUDPError appends an answer that refuses. It takes 8 bytes and the text,
// without the NUL that opentracker sends behind it and clients print.
func AppendUDPError(dst []byte, tx TxID, r Refusal) []byte {
	dst = appendUDPHeader(dst, ActionError, tx)
	return append(dst, r...)
}

// UDPErrorLen returns how many bytes [AppendUDPError] appends, to compare with
// a question whose sender has not proven its address.
func UDPErrorLen(r Refusal) int { return 8 + len(r) }

func appendUDPHeader(dst []byte, action uint32, tx TxID) []byte {
	dst = binary.BigEndian.AppendUint32(dst, action)
	return binary.BigEndian.AppendUint32(dst, uint32(tx))
}
