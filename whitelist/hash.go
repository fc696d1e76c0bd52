package whitelist

import (
	"encoding/base32"
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"strings"
	"unicode"

	"tracker/proto"
)

// A Line is a line of a list: one infohash and what it is called.
type Line struct {
	Infohash proto.Infohash
	Name     string // printable, on one line; may be ""
}

// String returns the line as it stands in a list, without LF: the hash in
// lower case, and the name as a comment.
func (l Line) String() string {
	s := hex.EncodeToString(l.Infohash[:])
	if l.Name != "" {
		s += " # " + l.Name
	}
	return s
}

// What can be wrong with a magnet link.
var (
	errMagnet   = errors.New("magnet link without a whole urn:btih: or urn:btmh:1220")
	errMultiple = errors.New("magnet link for several torrents")
)

// HashFile returns the lines for file, which is the path of a .torrent file or
// a magnet link. A hybrid torrent gives two, version 1 first. Errors begin with
// the path.
func HashFile(file string) ([]Line, error) {
	t, err := torrentOf(file)
	if err != nil {
		return nil, &os.PathError{Op: "hash", Path: clean(file), Err: cause(err)}
	}
	var lines []Line
	for _, ih := range t.infohashes() {
		lines = append(lines, Line{ih, clean(t.name)})
	}
	return lines, nil
}

// torrentOf reads the .torrent file or magnet link file.
func torrentOf(file string) (torrent, error) {
	if query, ok := cutPrefixFold(file, "magnet:?"); ok {
		return parseMagnet(query)
	}
	f, err := os.Open(file)
	if err != nil {
		return torrent{}, err
	}
	defer f.Close() // it was only read
	return readTorrent(f)
}

// parseMagnet reads what stands behind "magnet:?" (BEP 9, BEP 52): at most one
// hash of either version. A name that cannot be decoded is left out.
func parseMagnet(query string) (torrent, error) {
	var name string
	var found [2]proto.Infohash
	var have [2]bool
	for field := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(field, "=")
		value, err := url.QueryUnescape(value)
		if err != nil {
			continue
		}
		if key == "dn" {
			name = value
		}
		if key != "xt" && !strings.HasPrefix(key, "xt.") {
			continue
		}
		version, ih, ok := parseTopic(value)
		if !ok {
			continue
		}
		if have[version] && found[version] != ih {
			return torrent{}, errMultiple
		}
		found[version], have[version] = ih, true
	}
	t := torrent{name: name}
	for version, ih := range found {
		if have[version] {
			t.add(ih)
		}
	}
	if t.n == 0 {
		return t, errMagnet
	}
	return t, nil
}

// parseTopic reads an exact topic: 40 hex or 32 base32 digits of a version 1
// infohash (version 0 in what it returns), or the SHA-256 multihash of a
// version 2 one (1): hex 12, 20, and 64 digits.
func parseTopic(urn string) (version int, ih proto.Infohash, ok bool) {
	if digits, ok := cutPrefixFold(urn, "urn:btmh:1220"); ok {
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) != 32 {
			return 0, ih, false
		}
		return 1, proto.Infohash(b[:20]), true
	}
	digits, ok := cutPrefixFold(urn, "urn:btih:")
	if !ok {
		return 0, ih, false
	}
	b, err := hex.DecodeString(digits)
	if len(digits) == 32 {
		b, err = base32.StdEncoding.DecodeString(strings.ToUpper(digits))
	}
	if err != nil || len(b) != len(ih) {
		return 0, ih, false
	}
	return 0, proto.Infohash(b), true
}

// cutPrefixFold is strings.CutPrefix without regard to case.
func cutPrefixFold(s, prefix string) (after string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// clean returns name fit for one line of a list or a terminal: no line ends, no
// escape sequences, nothing that is not UTF-8, no more than maxNameLen bytes.
func clean(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, name)
	return strings.TrimSpace(strings.ToValidUTF8(name[:min(len(name), maxNameLen)], ""))
}
