package proto

import (
	"math"
	"net/netip"
)

// Classes of bytes in a request line, as opentracker has them. Clients send
// many bytes unescaped that RFC 3986 would have escaped, and are let.
const (
	inPath   uint8 = 1 << iota // may stand in a path
	inName                     // may stand in the name of a parameter
	inValue                    // may stand in a value
	isEnd                      // ends path and query: space, CR, LF, NUL
	isBad                      // makes a query invalid even in values nobody reads
	isEscape                   // the percent sign
	// A byte of no class, such as a control or one over 0x7f, ends a value
	// that nobody reads, like "&", and is invalid everywhere else.
)

// class holds the classes of every byte.
var class = func() (t [256]uint8) {
	set := func(bytes string, bits uint8) {
		for i := range len(bytes) {
			t[bytes[i]] |= bits
		}
	}
	set("ABCDEFGHIJKLMNOPQRSTUVWXYZ", inPath|inName|inValue)
	set("abcdefghijklmnopqrstuvwxyz", inPath|inName|inValue)
	set("0123456789!%'()*+,-./:;<>_~", inPath|inName|inValue)
	set("?", inName|inValue)
	set("=@", inValue)
	set(" \r\n\x00", isEnd)
	set("\"#$[\\]^`{|}", isBad)
	set("%", isEscape)
	return t
}()

// notHex is what unhex holds for a byte that is no hexadecimal digit.
const notHex = 0xff

// unhex holds the value of every hexadecimal digit, of either case.
var unhex = func() (t [256]uint8) {
	for i := range t {
		t[i] = notHex
	}
	for i := range uint8(10) {
		t['0'+i] = i
	}
	for i := range uint8(6) {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()

// escaped returns the byte that the escape at the start of b stands for; b[0]
// is the percent sign.
func escaped(b []byte) (c byte, ok bool) {
	if len(b) < 3 {
		return 0, false
	}
	high, low := unhex[b[1]], unhex[b[2]]
	return high<<4 | low, high|low != notHex
}

// unescape decodes src and returns its decoded length. What does not fit dst is
// dropped, but counted. A broken escape is not ok.
func unescape(dst, src []byte) (n int, ok bool) {
	for i := 0; i < len(src); i++ {
		c := src[i]
		if c == '%' {
			if c, ok = escaped(src[i:]); !ok {
				return n, false
			}
			i += 2
		}
		if n < len(dst) {
			dst[n] = c
		}
		n++
	}
	return n, true
}

// param is a parameter we read.
type param uint8

const (
	paramUnknown param = iota
	paramInvalid       // the name is malformed
	paramInfohash
	paramPeerID
	paramPort
	paramLeft
	paramEvent
	paramNumWant
	paramCompact
	paramCompact6
	paramIP
)

// maxName is the longest name of a parameter we read, in bytes.
const maxName = len("info_hash")

// lookup returns the parameter of that name. The compiler turns this into a
// search by length first and allocates no string.
func lookup(name []byte) param {
	switch string(name) {
	case "info_hash":
		return paramInfohash
	case "peer_id":
		return paramPeerID
	case "port":
		return paramPort
	case "left":
		return paramLeft
	case "event":
		return paramEvent
	case "numwant":
		return paramNumWant
	case "compact":
		return paramCompact
	case "compact6":
		return paramCompact6
	case "ip":
		return paramIP
	}
	return paramUnknown
}

// queryEnd returns the length of the query that b starts with.
func queryEnd(b []byte) int {
	for i, c := range b {
		if class[c]&isEnd != 0 {
			return i
		}
	}
	return len(b)
}

// scan reads a query once, from left to right:
//
//	name=value&name=value&name HTTP/1.1
//	    |     |
//	    |     after a value or a skip; next steps over it
//	    name steps over it; without one, the value is empty
//
// Methods that read a value leave i at the byte that ended it, and report
// whether the value was legal.
type scan struct {
	b []byte
	i int
}

// next steps to the next parameter, and reports whether there is one.
func (s *scan) next() bool {
	if s.i >= len(s.b) || class[s.b[s.i]]&isEnd != 0 {
		return false
	}
	s.i++
	return true
}

// name reads the name of a parameter, and the equals sign if there is one.
func (s *scan) name() param {
	b, i := s.b, s.i
	var seen uint8
	for i < len(b) && class[b[i]]&inName != 0 {
		seen |= class[b[i]]
		i++
	}
	name := b[s.i:i]
	s.i = i
	if i < len(b) && b[i] == '=' {
		s.i++
	} else if !s.ended() {
		return paramInvalid
	}
	if seen&isEscape == 0 {
		return lookup(name)
	}
	var decoded [maxName]byte
	n, ok := unescape(decoded[:], name)
	if !ok {
		return paramInvalid
	}
	if n > maxName {
		return paramUnknown
	}
	return lookup(decoded[:n])
}

// ended reports whether i is where a value that somebody reads may end.
func (s *scan) ended() bool {
	return s.i >= len(s.b) || s.b[s.i] == '&' || class[s.b[s.i]]&isEnd != 0
}

// skip passes over a value that nobody reads. Escapes in it are not looked at.
func (s *scan) skip() bool {
	b, i := s.b, s.i
	for i < len(b) && class[b[i]]&inValue != 0 {
		i++
	}
	s.i = i
	return i >= len(b) || class[b[i]]&isBad == 0
}

// decode reads a value into dst and returns its decoded length. What does not
// fit dst is dropped, but counted.
func (s *scan) decode(dst []byte) (n int, ok bool) {
	b, i := s.b, s.i
	for i < len(b) && class[b[i]]&inValue != 0 {
		c := b[i]
		if c == '%' {
			if c, ok = escaped(b[i:]); !ok {
				return n, false
			}
			i += 2
		}
		if n < len(dst) {
			dst[n] = c
		}
		n++
		i++
	}
	s.i = i
	return n, s.ended()
}

// infohash reads 20 bytes, or the first 20 of the 32 of a version 2 torrent
// (BEP 52), whose swarm is known by that prefix everywhere.
func (s *scan) infohash(ih *Infohash) bool {
	n, ok := s.decode(ih[:])
	return ok && (n == len(ih) || n == 32)
}

// peerID reads 20 bytes.
func (s *scan) peerID(id *PeerID) bool {
	n, ok := s.decode(id[:])
	return ok && n == len(id)
}

// event reads an event. Any other text changes nothing, as in opentracker.
func (s *scan) event(e *Event) bool {
	var text [len("completed")]byte
	n, ok := s.decode(text[:])
	if !ok || n > len(text) {
		return ok
	}
	switch string(text[:n]) {
	case "completed":
		*e = EventCompleted
	case "started":
		*e = EventStarted
	case "stopped":
		*e = EventStopped
	}
	return true
}

// numberKind says what became of a number. The first three have a value.
type numberKind uint8

const (
	numberPlain    numberKind = iota
	numberNegative            // below zero; the value is its magnitude
	numberHuge                // over 64 bits; the value is the largest there is
	numberText                // not a number, of legal bytes
	numberEmpty
	numberInvalid // has illegal bytes
)

// number reads a decimal number, which may be negative.
func (s *scan) number() (v uint64, kind numberKind) {
	b, i := s.b, s.i
	limit := min(len(b), i+maxSafeDigits)
	for i < limit && b[i]-'0' <= 9 {
		v = v*10 + uint64(b[i]-'0')
		i++
	}
	if i == s.i || i < len(b) && b[i] != '&' && class[b[i]]&isEnd == 0 {
		return s.oddNumber()
	}
	s.i = i
	return v, numberPlain
}

// maxSafeDigits is the most decimal digits that always fit 64 bits.
const maxSafeDigits = 19

// maxDigits is the most characters of a number that are read, sign and leading
// zeros included. A longer number is huge, whatever its digits.
const maxDigits = 32

// oddNumber reads a value that is anything but a few plain digits.
func (s *scan) oddNumber() (v uint64, kind numberKind) {
	var text [maxDigits]byte
	n, ok := s.decode(text[:])
	if !ok {
		return 0, numberInvalid
	}
	if n == 0 {
		return 0, numberEmpty
	}
	digits := text[:min(n, maxDigits)]
	if digits[0] == '-' {
		digits, kind = digits[1:], numberNegative
	}
	if len(digits) == 0 {
		return 0, numberText
	}
	huge := n > maxDigits
	for _, c := range digits {
		d := uint64(c - '0')
		if c < '0' || c > '9' {
			return 0, numberText
		}
		huge = huge || v > (math.MaxUint64-d)/10
		v = v*10 + d
	}
	switch {
	case huge && kind == numberPlain:
		return math.MaxUint64, numberHuge
	case huge:
		return math.MaxUint64, numberNegative
	case v == 0:
		return 0, numberPlain // minus zero
	}
	return v, kind
}

// port reads a port. One that is negative becomes 0: it is a number, and the
// client is told why it is refused, unless it stops anyway.
func (s *scan) port(port *uint16) bool {
	v, kind := s.number()
	if kind == numberNegative {
		*port = 0
		return true
	}
	*port = uint16(v)
	return kind == numberPlain && v <= math.MaxUint16
}

// left reads how much a client still needs. Less than nothing is taken as
// something, as opentracker does. What is no number, or over 64 bits, is bad:
// opentracker took the first for a seeder, and cut the second to 32 bits.
func (s *scan) left(left *uint64) (bad, ok bool) {
	v, kind := s.number()
	if kind == numberNegative {
		v = math.MaxUint64
	}
	*left = v
	return kind == numberHuge || kind == numberText, kind < numberEmpty
}

// numWant reads how many peers a client wants. A negative number is no wish.
func (s *scan) numWant(n *int) bool {
	v, kind := s.number()
	*n = int(min(v, MaxNumWant))
	if kind == numberNegative {
		*n = DefaultNumWant
	}
	return kind <= numberHuge
}

// ip reads the address of a peer, or, if nobody reads it, skips it. No peer is
// at the unspecified address.
func (s *scan) ip(a *netip.Addr, read bool) bool {
	if !read {
		return s.skip()
	}
	var text [maxAddrMapped]byte
	n, ok := s.decode(text[:])
	if !ok || n > len(text) {
		return false
	}
	*a, ok = ParseAddr(text[:n])
	return ok && !a.IsUnspecified()
}

// maxAddrMapped is the longest text of an address that anybody writes, in
// bytes.
const maxAddrMapped = len("0000:1111:2222:3333:4444:5555:255.255.255.255")
