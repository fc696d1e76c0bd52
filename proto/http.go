package proto

import (
	"bytes"
	"math"
)

// MaxHTTPRequest is the most bytes of one HTTP request, headers and the empty
// line included. It is opentracker's limit; a longer one is answered with
// [HTTP500] by whoever holds the buffer.
const MaxHTTPRequest = 8192

// maxPath is the longest path, in bytes, that is unescaped. Only a configured
// statistics path has any business with escapes here.
const maxPath = 128

// Kind says what an HTTP request asks for.
type Kind uint8

// Kinds of HTTP requests, told apart by the path.
const (
	KindAnnounce   Kind = iota // begins with "a" and has a query
	KindScrape                 // begins with "sc" and has a query
	KindFullScrape             // is "scrape" and has no query
	KindRoot                   // is empty and has no query
	KindOther                  // anything else: a statistics page, or nothing
)

// HTTPRequest is one HTTP request. Path and Query are borrowed: they hold
// until the request's bytes change or the struct is parsed into again.
type HTTPRequest struct {
	// ReadIP is set by the caller: the parameter ip of an announce is read.
	// Otherwise it is passed over like any unknown one.
	ReadIP bool

	Kind      Kind
	Announce  Announce // for KindAnnounce
	Scrape    Scrape   // for KindScrape
	KeepAlive bool     // the client asked for Connection: keep-alive
	Close     bool     // the client asked for Connection: close
	Minor11   bool     // the client speaks HTTP/1.1
	Path      []byte   // decoded, without leading slashes, for KindOther
	Query     []byte   // raw, from behind the question mark to the end of the query

	path [maxPath]byte // what Path points to if it had escapes
}

// HTTPEnd returns the length of the request at the start of buf, or 0 if it is
// not all there. A request ends at CR LF CR LF or LF LF; LF CR LF does not end
// it. The first from bytes were looked at by earlier calls, so a request that
// trickles in byte by byte costs no more than one that comes at once.
func HTTPEnd(buf []byte, from int) int {
	for i := from; i < len(buf); i++ {
		lf := bytes.IndexByte(buf[i:], '\n')
		if lf < 0 {
			return 0
		}
		// Both ends of a request end in LF, so looking back is enough.
		i += lf
		if i >= 1 && buf[i-1] == '\n' || i >= 3 && string(buf[i-3:i]) == "\r\n\r" {
			return i + 1
		}
	}
	return 0
}

// ParseHTTP reads req, one request as measured by [HTTPEnd], into q. Of q, only
// the parts that its Kind names are meaningful afterwards.
//
// It returns [ErrInvalid], [ErrNotFound], or, for an announce, [ErrCompact],
// [RefuseNoInfohash], [RefusePort] or [RefuseLeft]. KeepAlive, Close and
// Minor11 are set with a refusal too, and a connection may be kept after it.
func ParseHTTP(req []byte, q *HTTPRequest) error {
	q.KeepAlive, q.Close, q.Minor11 = false, false, false
	q.Path, q.Query = nil, nil
	const start = "GET /"
	if len(req) < len(start) || string(req[:len(start)]) != start {
		return ErrInvalid
	}
	b := req[len(start):]
	for len(b) > 0 && b[0] == '/' {
		b = b[1:]
	}
	n, ok := q.scanPath(b)
	if !ok {
		return ErrNotFound
	}
	b = b[n:] // from the byte that ended the path
	q.connection(b)

	switch path := q.Path; {
	case len(path) == 0:
		q.Kind = KindRoot
		if len(b) > 0 && b[0] == '?' {
			return ErrNotFound
		}
		return nil
	case path[0] == 'a':
		q.Kind = KindAnnounce
		if b = queryInLine(b); b == nil {
			return ErrInvalid
		}
		return q.announce(b)
	case n == len("scrape") && string(path) == "scrape" && bytes.HasPrefix(b, httpVersion):
		q.Kind = KindFullScrape
		return nil
	case path[0] == 's' && len(path) > 1 && path[1] == 'c':
		q.Kind = KindScrape
		if b = queryInLine(b); b == nil {
			return ErrInvalid
		}
		return q.scrape(b)
	}
	q.Kind = KindOther
	if len(b) > 0 && b[0] == '?' {
		b = b[1:]
		q.Query = b[:queryEnd(b)]
	}
	return nil
}

// httpVersion is what a request line has behind its target.
var httpVersion = []byte(" HTTP/")

// scanPath reads the path at the start of b into q.Path, and returns how many
// bytes of b it took. An illegal byte or a broken escape is not ok.
func (q *HTTPRequest) scanPath(b []byte) (n int, ok bool) {
	var seen uint8
	for n < len(b) && class[b[n]]&inPath != 0 {
		seen |= class[b[n]]
		n++
	}
	if n < len(b) && b[n] != '?' && class[b[n]]&isEnd == 0 {
		return n, false
	}
	if q.Path = b[:n]; seen&isEscape == 0 {
		return n, true
	}
	length, ok := unescape(q.path[:], b[:n])
	// A longer path is cut. It can still be an announce, by its first letter.
	q.Path = q.path[:min(length, maxPath)]
	return n, ok
}

// queryInLine returns what is behind the first question mark of the line that
// b starts in, or nil. Some clients put a space before the question mark.
func queryInLine(b []byte) []byte {
	if len(b) > 0 && b[0] == '?' { // nearly always
		return b[1:]
	}
	line := b
	if lf := bytes.IndexByte(b, '\n'); lf >= 0 {
		line = b[:lf]
	}
	if i := bytes.IndexByte(line, '?'); i >= 0 {
		return b[i+1:]
	}
	return nil
}

// announce reads the query that b starts with into q.Announce.
func (q *HTTPRequest) announce(b []byte) error {
	s := scan{b: b}
	a := &q.Announce
	*a = Announce{Left: math.MaxUint64, NumWant: DefaultNumWant}
	var haveInfohash, badLeft, no6 bool
	for more := true; more; more = s.next() {
		ok := true
		switch s.name() {
		case paramUnknown:
			ok = s.skip()
		case paramInfohash:
			ok = !haveInfohash && s.infohash(&a.Infohash)
			haveInfohash = true
		case paramPeerID:
			ok = s.peerID(&a.PeerID)
		case paramPort:
			ok = s.port(&a.Port)
		case paramLeft:
			badLeft, ok = s.left(&a.Left)
		case paramEvent:
			ok = s.event(&a.Event)
		case paramNumWant:
			ok = s.numWant(&a.NumWant)
		case paramCompact:
			v, kind := s.number()
			ok, a.List = kind <= numberHuge, v == 0
		case paramCompact6:
			v, kind := s.number()
			ok, no6 = kind <= numberHuge, v == 0
		case paramIP:
			ok = s.ip(&a.IP, q.ReadIP)
		default:
			ok = false
		}
		if !ok {
			return ErrInvalid
		}
	}
	q.Query = b[:s.i]
	switch {
	case no6:
		return ErrCompact
	case !haveInfohash:
		return RefuseNoInfohash
	case a.Port == 0 && a.Event != EventStopped:
		return RefusePort
	case badLeft:
		return RefuseLeft
	}
	return nil
}

// scrape reads the query that b starts with into q.Scrape.
func (q *HTTPRequest) scrape(b []byte) error {
	s := scan{b: b}
	q.Scrape.N = 0
	for more := true; more; more = s.next() {
		ok := false
		switch s.name() {
		case paramInfohash:
			var ih Infohash
			ok = s.infohash(&ih)
			q.Scrape.add(&ih, MaxHTTPScrape)
		case paramInvalid:
		default:
			ok = s.skip()
		}
		if !ok {
			return ErrInvalid
		}
	}
	q.Query = b[:s.i]
	if q.Scrape.N == 0 {
		return ErrInvalid
	}
	return nil
}
