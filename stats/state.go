package stats

import (
	"errors"
	"math"
)

// ErrState is a line that is no line of a state dump.
var ErrState = errors.New("stats: not a line HASH:minute:count")

// LoadLine reads one line of a state dump, as [FormatState] writes it, and
// whatever opentracker writes:
//
//	0123456789ABCDEF0123456789ABCDEF01234567:29922679:3
//
// The infohash may be in either case. White space ends the count, and what
// stands behind that is ignored. Seeders and leechers of the torrent are 0.
//
// It returns [ErrState] for all other lines, in which opentracker sometimes saw
// a torrent. Unlike its later versions, it does not double the count.
func LoadLine(line []byte) (Torrent, error) {
	var t Torrent
	const hexLen = 2 * len(t.Infohash)
	if len(line) < hexLen {
		return Torrent{}, ErrState
	}
	for i := range t.Infohash {
		high, low := unhex(line[2*i]), unhex(line[2*i+1])
		if high|low > 0xf {
			return Torrent{}, ErrState
		}
		t.Infohash[i] = high<<4 | low
	}
	var ok bool
	line = line[hexLen:]
	if t.UsedMinute, line, ok = field(line); !ok {
		return Torrent{}, ErrState
	}
	if t.Downloaded, line, ok = field(line); !ok {
		return Torrent{}, ErrState
	}
	if len(line) > 0 && !isSpace(line[0]) {
		return Torrent{}, ErrState
	}
	return t, nil
}

// field reads a colon and a number of 32 bits, and returns what follows.
func field(b []byte) (n uint32, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != ':' {
		return 0, nil, false
	}
	v, i := uint64(0), 1
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		if v = v*10 + uint64(b[i]-'0'); v > math.MaxUint32 {
			return 0, nil, false
		}
	}
	return uint32(v), b[i:], i > 1
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
