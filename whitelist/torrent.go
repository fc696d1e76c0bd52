package whitelist

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"tracker/proto"
)

const (
	// MaxTorrentLen is the longest .torrent file that is read, in bytes. It
	// describes a few terabytes in small pieces.
	MaxTorrentLen = 64 << 20
	// maxNameLen is how many bytes of a torrent's name are kept.
	maxNameLen = 255
	// maxKeyLen is the longest key of a dictionary that could matter here.
	maxKeyLen = 16
)

// What can be wrong with a .torrent file.
var (
	errBencode  = errors.New("not a torrent: not bencoded")
	errNoInfo   = errors.New("not a torrent: no info dictionary")
	errTwoInfos = errors.New("two info dictionaries")
	errNoPieces = errors.New("not a torrent: info has neither pieces nor a file tree")
	errTooLong  = fmt.Errorf("longer than %d bytes", MaxTorrentLen)
)

// A torrent is what a .torrent file or magnet link says of itself.
type torrent struct {
	name   string // as it is there: any bytes
	hashes [2]proto.Infohash
	n      int // how many of hashes: 2 for a hybrid
}

// add gives t one more infohash.
func (t *torrent) add(ih proto.Infohash) {
	t.hashes[t.n] = ih
	t.n++
}

// infohashes returns those of t, the one of version 1 first.
func (t *torrent) infohashes() []proto.Infohash { return t.hashes[:t.n] }

// readTorrent reads a .torrent file. The infohash is the SHA-1 of the bytes of
// its info dictionary (BEP 3), or the first 20 bytes of their SHA-256 (BEP 52);
// a hybrid has both. It keeps 32 KiB at a time, however long the file, never
// recurses, and gives one of the errors above or one of r.
func readTorrent(r io.Reader) (torrent, error) {
	w := walker{src: r, v1: sha1.New(), v2: sha256.New()}
	var t torrent
	if c, err := w.next(); err != nil || c != 'd' {
		return t, orElse(err, errBencode)
	}
	for seen := false; ; {
		key, err := w.key()
		switch {
		case err != nil:
			return t, err
		case key == "" && w.ended:
			if !seen {
				return t, errNoInfo
			}
			return t, nil
		case key != "info":
			err = w.skip()
		case seen: // which of them is meant is anyone's guess
			return t, errTwoInfos
		default:
			seen = true
			t, err = w.info()
		}
		if err != nil {
			return t, err
		}
	}
}

// orElse returns err, or other if there is none.
func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// A walker reads bencoded values one after the other, and hashes what it reads
// between hashFrom and hashTo.
type walker struct {
	src     io.Reader
	buf     [32 << 10]byte
	pos     int // of the next byte in buf
	end     int // of what is in buf
	read    int // bytes read so far
	hashing bool
	mark    int // of the first byte in buf not yet hashed
	v1, v2  hash.Hash
	ended   bool // key met the end of its dictionary
}

// info reads the info dictionary and returns what it says.
func (w *walker) info() (torrent, error) {
	w.hashing, w.mark = true, w.pos
	var t torrent
	if c, err := w.next(); err != nil || c != 'd' {
		return t, orElse(err, errNoInfo)
	}
	var version int64
	var pieces, tree bool
	for {
		key, err := w.key()
		if err != nil {
			return t, err
		}
		if w.ended {
			break
		}
		switch key {
		case "name":
			t.name, err = w.text()
		case "meta version":
			version, err = w.integer()
		case "pieces", "root hash": // BEP 3, BEP 30
			pieces, err = true, w.skip()
		case "file tree": // BEP 52
			tree, err = true, w.skip()
		default:
			err = w.skip()
		}
		if err != nil {
			return t, err
		}
	}
	w.hash()
	w.hashing = false
	if pieces {
		t.add(proto.Infohash(w.v1.Sum(nil)))
	}
	if tree && version == 2 {
		t.add(proto.Infohash(w.v2.Sum(nil)[:20]))
	}
	if t.n == 0 {
		return t, errNoPieces
	}
	return t, nil
}

// hash hashes what was read since the last time.
func (w *walker) hash() {
	if w.hashing {
		w.v1.Write(w.buf[w.mark:w.pos])
		w.v2.Write(w.buf[w.mark:w.pos])
		w.mark = w.pos
	}
}

// fill reads more into buf, of which everything has been taken.
func (w *walker) fill() error {
	w.hash()
	w.pos, w.end, w.mark = 0, 0, 0
	n, err := io.ReadAtLeast(w.src, w.buf[:], 1)
	w.end = n
	if w.read += n; w.read > MaxTorrentLen {
		return errTooLong
	}
	if errors.Is(err, io.EOF) {
		return errBencode
	}
	return err
}

// next takes one byte.
func (w *walker) next() (byte, error) {
	if w.pos == w.end {
		if err := w.fill(); err != nil {
			return 0, err
		}
	}
	w.pos++
	return w.buf[w.pos-1], nil
}

// key reads a key of a dictionary, or its end, which sets ended. A key longer
// than maxKeyLen comes back as "", like the empty one; no one asks for either.
func (w *walker) key() (string, error) {
	c, err := w.next()
	if w.ended = err == nil && c == 'e'; err != nil || w.ended {
		return "", err
	}
	var kept [maxKeyLen + 1]byte
	n, err := w.str(c, kept[:])
	if err != nil || n > maxKeyLen {
		return "", err
	}
	return string(kept[:n]), nil
}

// text reads a string and returns the first maxNameLen bytes of it. Any other
// value is skipped and comes back as "".
func (w *walker) text() (string, error) {
	c, err := w.next()
	if err != nil {
		return "", err
	}
	if c < '0' || c > '9' {
		return "", w.skipFrom(c)
	}
	var kept [maxNameLen]byte
	n, err := w.str(c, kept[:])
	return string(kept[:n]), err
}

// integer reads an integer. Any other value is skipped and comes back as 0.
func (w *walker) integer() (int64, error) {
	c, err := w.next()
	if err != nil {
		return 0, err
	}
	if c != 'i' {
		return 0, w.skipFrom(c)
	}
	return w.number('e')
}

// str reads the string whose first byte is c, keeps the beginning of it in
// kept, and returns how many bytes it kept.
func (w *walker) str(c byte, kept []byte) (int, error) {
	if c < '0' || c > '9' {
		return 0, errBencode
	}
	w.pos-- // c is still in buf: it was taken just now
	size, err := w.number(':')
	if err != nil {
		return 0, err
	}
	n := 0
	for size > 0 {
		if w.pos == w.end {
			if err := w.fill(); err != nil {
				return n, err
			}
		}
		part := w.buf[w.pos:min(int64(w.end), int64(w.pos)+size)]
		n += copy(kept[n:], part)
		w.pos += len(part)
		size -= int64(len(part))
	}
	return n, nil
}

// number reads digits, with a minus for integers, up to the byte end.
func (w *walker) number(end byte) (int64, error) {
	const maxDigits = 18 // all that surely fit 63 bits
	var v, sign int64 = 0, 1
	for digits := 0; ; {
		c, err := w.next()
		switch {
		case err != nil:
			return 0, err
		case c == '-' && end == 'e' && digits == 0 && sign == 1:
			sign = -1
		case c >= '0' && c <= '9' && digits < maxDigits:
			v = v*10 + int64(c-'0')
			digits++
		case c == end && digits > 0:
			return v * sign, nil
		default:
			return 0, errBencode
		}
	}
}

// skip passes over one value of any kind.
func (w *walker) skip() error {
	c, err := w.next()
	if err != nil {
		return err
	}
	return w.skipFrom(c)
}

// skipFrom passes over the value whose first byte is c. It counts how deep it
// is instead of recursing, so that no file can exhaust the stack.
func (w *walker) skipFrom(c byte) error {
	for depth := 0; ; {
		var err error
		switch c {
		case 'd', 'l':
			depth++
		case 'e':
			if depth--; depth < 0 {
				return errBencode
			}
		case 'i':
			_, err = w.number('e')
		default:
			_, err = w.str(c, nil)
		}
		if err != nil || depth == 0 {
			return err
		}
		if c, err = w.next(); err != nil {
			return err
		}
	}
}
