package proto

import "strconv"

// Whole HTTP answers that carry nothing, byte for byte those of opentracker.
// The connection closes after each of them.
const (
	HTTP400 = "HTTP/1.0 400 Invalid Request\r\nContent-Type: text/html\r\nContent-Length: 31\r\n\r\n<title>Invalid Request</title>\n"
	HTTP402 = "HTTP/1.0 402 Payment Required\r\nContent-Type: text/html\r\nContent-Length: 32\r\n\r\n<title>Payment Required</title>\n"
	HTTP403 = "HTTP/1.0 403 Access Denied\r\nContent-Type: text/html\r\nContent-Length: 29\r\n\r\n<title>Access Denied</title>\n"
	HTTP404 = "HTTP/1.0 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 25\r\n\r\n<title>Not Found</title>\n"
	HTTP500 = "HTTP/1.0 500 Internal Server Error\r\nContent-Type: text/html\r\nContent-Length: 37\r\n\r\n<title>Internal Server Error</title>\n"
)

// AppendHTTPRedirect appends a whole answer that sends a browser to url, which
// must be free of line ends.
func AppendHTTPRedirect(dst []byte, url string) []byte {
	dst = append(dst, "HTTP/1.0 302 Found\r\nContent-Length: 0\r\nLocation: "...)
	dst = append(dst, url...)
	return append(dst, "\r\n\r\n"...)
}

// AppendHTTPHead appends the head of an answer with a body of that many bytes.
// The body is built first, in a scratch buffer, and copied behind the head:
// the length stands in front of what it measures, and has no fixed width.
// Copying the largest announce answer costs under 50 ns; leaving a gap and
// closing it would move the same bytes.
func AppendHTTPHead(dst []byte, bodyLen int, keepAlive bool) []byte {
	dst = append(dst, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "...)
	dst = strconv.AppendUint(dst, uint64(bodyLen), 10)
	if keepAlive {
		dst = append(dst, "\r\nConnection: keep-alive"...)
	}
	return append(dst, "\r\n\r\n"...)
}

// AppendHTTPFailure appends the body of an answer that refuses (BEP 3).
func AppendHTTPFailure(dst []byte, r Refusal) []byte {
	dst = append(dst, "d14:failure reason"...)
	dst = appendString(dst, string(r))
	return append(dst, 'e')
}

// AppendHTTPRetry is [AppendHTTPFailure] for what may be answered otherwise in
// so many minutes, and says so (BEP 31).
func AppendHTTPRetry(dst []byte, r Refusal, minutes uint32) []byte {
	dst = AppendHTTPFailure(dst, r)
	dst = appendKey(dst[:len(dst)-1], "8:retry ini", minutes)
	return append(dst, "ee"...)
}

// Form is the shape of an announce answer's body. See [Announce.Form].
type Form uint8

// Forms of an announce answer's body.
const (
	FormCompact Form = iota // peers as strings (BEP 23, BEP 7), of both families
	FormList                // peers as a list of dictionaries (BEP 3), of both families
	FormNoPeers             // no key for peers, because none were wanted
	FormStopped             // an empty string of peers, and no count of downloads
)

// Form returns the form in which a is answered.
func (a *Announce) Form() Form {
	switch {
	case a.Event == EventStopped:
		return FormStopped
	case a.NumWant == 0:
		return FormNoPeers
	case a.List:
		return FormList
	}
	return FormCompact
}

// AnnounceReply is the answer to one announce over HTTP.
type AnnounceReply struct {
	Form     Form
	Asker6   bool   // the asker's address is IPv6: an empty answer says so
	Interval uint32 // seconds
	Counts   Counts
	Peers4   []byte // whole 6-byte peers
	Peers6   []byte // whole 18-byte peers
}

// AppendHTTPAnnounce appends the body of an announce answer. Keys are sorted,
// as bencode demands. The minimal interval is half the interval, rounded down.
func AppendHTTPAnnounce(dst []byte, r *AnnounceReply) []byte {
	dst = appendKey(dst, "d8:completei", r.Counts.Complete)
	if r.Form != FormStopped {
		dst = appendKey(dst, "e10:downloadedi", r.Counts.Downloaded)
	}
	dst = appendKey(dst, "e10:incompletei", r.Counts.Incomplete)
	dst = appendKey(dst, "e8:intervali", r.Interval)
	dst = appendKey(dst, "e12:min intervali", r.Interval/2)
	dst = append(dst, 'e')
	switch r.Form {
	case FormCompact:
		dst = appendCompact(dst, r)
	case FormList:
		dst = append(dst, "5:peersl"...)
		dst = appendList(dst, r.Peers4, Peer4Len)
		dst = appendList(dst, r.Peers6, Peer6Len)
		dst = append(dst, 'e')
	case FormStopped:
		dst = appendNone(dst, r.Asker6)
	case FormNoPeers:
	}
	return append(dst, 'e')
}

// appendCompact appends a key for each family that has peers. With none of
// either, the asker's family gets an empty one, because clients that wanted
// peers look for it.
func appendCompact(dst []byte, r *AnnounceReply) []byte {
	if len(r.Peers4)+len(r.Peers6) == 0 {
		return appendNone(dst, r.Asker6)
	}
	if len(r.Peers4) > 0 {
		dst = append(dst, "5:peers"...)
		dst = appendString(dst, r.Peers4)
	}
	if len(r.Peers6) > 0 {
		dst = append(dst, "6:peers6"...)
		dst = appendString(dst, r.Peers6)
	}
	return dst
}

func appendNone(dst []byte, asker6 bool) []byte {
	if asker6 {
		return append(dst, "6:peers60:"...)
	}
	return append(dst, "5:peers0:"...)
}

// maxAddrText is the longest text of an address, in bytes: eight groups of
// four digits.
const maxAddrText = len("0000:1111:2222:3333:4444:5555:6666:7777")

// appendList appends a dictionary for each of the peers, which take size bytes
// each. It leaves out their ids: we do not remember them, and clients live
// without, as they do with compact answers.
func appendList(dst, peers []byte, size int) []byte {
	var text [maxAddrText]byte
	for ; len(peers) >= size; peers = peers[size:] {
		var p Peer
		p.is = uint8(copy(p.b[:], peers[:size]))
		dst = append(dst, "d2:ip"...)
		dst = appendString(dst, p.Addr().AppendTo(text[:0]))
		dst = append(dst, "4:porti"...)
		dst = strconv.AppendUint(dst, uint64(p.Port()), 10)
		dst = append(dst, "ee"...)
	}
	return dst
}

// AppendHTTPScrapeHead appends the start of a scrape answer's body.
func AppendHTTPScrapeHead(dst []byte) []byte { return append(dst, "d5:filesd"...) }

// AppendHTTPScrapeEntry appends what is known about one torrent. Entries must
// come in ascending order of infohash; see [Scrape.Sort].
func AppendHTTPScrapeEntry(dst []byte, ih *Infohash, c Counts) []byte {
	dst = append(dst, "20:"...)
	dst = append(dst, ih[:]...)
	dst = appendKey(dst, "d8:completei", c.Complete)
	dst = appendKey(dst, "e10:downloadedi", c.Downloaded)
	dst = appendKey(dst, "e10:incompletei", c.Incomplete)
	return append(dst, "ee"...)
}

// AppendHTTPScrapeTail appends the end of a scrape answer's body.
func AppendHTTPScrapeTail(dst []byte) []byte { return append(dst, "ee"...) }

// appendKey appends key, which ends in the "i" of a bencoded integer, and v.
func appendKey(dst []byte, key string, v uint32) []byte {
	return strconv.AppendUint(append(dst, key...), uint64(v), 10)
}

// appendString appends s as a bencoded string.
func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = strconv.AppendUint(dst, uint64(len(s)), 10)
	dst = append(dst, ':')
	return append(dst, s...)
}
