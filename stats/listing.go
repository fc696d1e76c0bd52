package stats

import (
	"encoding/binary"
	"strconv"
)

// A Torrent is one torrent as listings show it.
type Torrent struct {
	Infohash   [20]byte
	Seeders    uint32
	Leechers   uint32
	Downloaded uint32
	UsedMinute uint32 // of its last use, in minutes since 1970
}

// A Format is how a listing shows torrents. It consists of a head, an entry for
// each torrent, in ascending order of infohash, and a tail.
type Format uint8

// Formats. Queries name all but the first and the last.
const (
	FormatNone  Format = iota
	FormatBin          // infohash, seeders and leechers of 4 bytes each, big-endian
	FormatBen          // the dictionary of a scrape (BEP 48); a full scrape has it too
	FormatURL          // infohash as in a query, :seeders:leechers
	FormatTxt          // infohash in hex, :seeders:leechers
	FormatTxtp         // infohash in hex, :seeders:leechers:downloaded
	FormatState        // infohash in hex, :minute:downloaded, for LoadLine
)

// formatNames are formats as they stand in a query.
var formatNames = [...]string{FormatBin: "bin", FormatBen: "ben", FormatURL: "url", FormatTxt: "txt", FormatTxtp: "txtp"}

// formatOf returns the format of that name.
func formatOf(name []byte) (f Format, ok bool) {
	for i := range formatNames {
		if i > 0 && string(name) == formatNames[i] {
			return Format(i), true
		}
	}
	return FormatNone, false
}

// AppendHead appends what stands before the first torrent.
func (f Format) AppendHead(dst []byte) []byte {
	if f == FormatBen {
		dst = append(dst, "d5:filesd"...)
	}
	return dst
}

// AppendTail appends what stands behind the last torrent.
func (f Format) AppendTail(dst []byte) []byte {
	if f == FormatBen {
		dst = append(dst, "ee"...)
	}
	return dst
}

// maxEntry is the most bytes of one torrent, in any format: a bencoded one with
// the largest numbers.
const maxEntry = len("20:") + 20 + len("d8:completeie10:downloadedie10:incompleteiee") + 3*len("4294967295")

// AppendTorrent appends t, at most 97 bytes.
func (f Format) AppendTorrent(dst []byte, t *Torrent) []byte {
	switch f {
	case FormatBin:
		dst = append(dst, t.Infohash[:]...)
		dst = binary.BigEndian.AppendUint32(dst, t.Seeders)
		return binary.BigEndian.AppendUint32(dst, t.Leechers)
	case FormatBen:
		return appendBencoded(dst, t)
	case FormatURL:
		dst = appendEscaped(dst, &t.Infohash)
		dst = appendField(dst, t.Seeders)
		dst = appendField(dst, t.Leechers)
	case FormatTxt, FormatTxtp:
		dst = appendHex(dst, &t.Infohash)
		dst = appendField(dst, t.Seeders)
		dst = appendField(dst, t.Leechers)
		if f == FormatTxtp {
			dst = appendField(dst, t.Downloaded)
		}
	case FormatState:
		dst = appendHex(dst, &t.Infohash)
		dst = appendField(dst, t.UsedMinute)
		dst = appendField(dst, t.Downloaded)
	default:
		return dst
	}
	return append(dst, '\n')
}

func appendBencoded(dst []byte, t *Torrent) []byte {
	dst = append(dst, "20:"...)
	dst = append(dst, t.Infohash[:]...)
	dst = append(dst, "d8:completei"...)
	dst = strconv.AppendUint(dst, uint64(t.Seeders), 10)
	dst = append(dst, "e10:downloadedi"...)
	dst = strconv.AppendUint(dst, uint64(t.Downloaded), 10)
	dst = append(dst, "e10:incompletei"...)
	dst = strconv.AppendUint(dst, uint64(t.Leechers), 10)
	return append(dst, "ee"...)
}

// appendField appends a colon and n.
func appendField(dst []byte, n uint32) []byte {
	return strconv.AppendUint(append(dst, ':'), uint64(n), 10)
}

// appendHex appends an infohash as 40 upper-case digits.
func appendHex(dst []byte, ih *[20]byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range ih {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// appendEscaped appends an infohash as it stands in a query, its hex lower
// case.
func appendEscaped(dst []byte, ih *[20]byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range ih {
		if inURL(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// inURL reports whether opentracker leaves c unescaped.
func inURL(c byte) bool {
	switch {
	case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		return true
	}
	switch c {
	case '$', '/', '.', '=', '~', '-', '_':
		return true
	}
	return false
}
