package whitelist

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"tracker/proto"
)

// The format of a list is opentracker's. Lines end with LF; the last one need
// not. A line counts if its first 40 bytes are hex digits of either case and
// the next byte is not one. What follows is a comment, whatever it is; so is
// every line that does not count.
//
//	89b1…c7                  counts
//	89B1…C7 # debian.iso     counts
//	# debian.iso             a comment
//	 89b1…c7                 does not count: a blank first
const hexLen = 2 * len(proto.Infohash{})

const (
	// listBufferLen is how much of a list is read at once, in bytes.
	listBufferLen = 64 << 10
	// maxLine is how many bytes of a line are looked at: enough to tell a hash
	// of BEP 52, 64 digits, from one of BEP 3.
	maxLine = 128
)

// errTooMany is what a list with more than [MaxHashes] lines that count gives.
var errTooMany = fmt.Errorf("more than %d infohashes", MaxHashes)

// Broken tells of lines that look as if they were meant to count, and do not.
type Broken struct {
	Lines int    // how many
	First int    // number of the first, from 1
	Why   string // what is wrong with the first
}

// add counts the line of that number if why is not "".
func (b *Broken) add(number int, why string) {
	if why == "" {
		return
	}
	if b.Lines++; b.Lines == 1 {
		b.First, b.Why = number, why
	}
}

// String says all of it in one sentence.
func (b Broken) String() string {
	return fmt.Sprintf("%d broken lines left out, the first is line %d: %s", b.Lines, b.First, b.Why)
}

// ReadSet reads a list to its end. size is how long it is expected to be, in
// bytes, and only helps to allocate once: while reading and sorting, memory
// peaks some 2 % above what the Set keeps. Errors are those of r, and one for
// a list of more than [MaxHashes].
func ReadSet(r io.Reader, size int64) (*Set, Broken, error) {
	var broken Broken
	hashes := make([]proto.Infohash, 0, min(max(size, 0), listBufferLen)/int64(hexLen)+1)
	read := int64(0) // bytes of the lines before this one
	s := splitter{}
	each := func(line []byte) {
		if len(hashes) == cap(hashes) {
			hashes = grow(hashes, read, size)
		}
		hashes = hashes[:len(hashes)+1]
		if !parseLine(line, &hashes[len(hashes)-1]) {
			hashes = hashes[:len(hashes)-1]
			broken.add(s.number, whyBroken(line))
		}
		read += int64(len(line)) + 1
	}
	for buf := make([]byte, listBufferLen); ; {
		n, err := r.Read(buf)
		s.feed(buf[:n], each)
		if len(hashes) > MaxHashes {
			return nil, broken, errTooMany
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, broken, err
		}
	}
	s.flush(each)
	return newSet(hashes), broken, nil
}

// grow returns hashes with room for as many as the whole list will probably
// hold, going by those in the first read bytes of size.
func grow(hashes []proto.Infohash, read, size int64) []proto.Infohash {
	n := int64(len(hashes))
	room := n + n/8 + 64
	if read > 0 && read < size {
		guess := float64(n) * float64(size) / float64(read)
		room = max(room, int64(guess*1.01)+64)
	}
	return append(make([]proto.Infohash, 0, min(room, MaxHashes+listBufferLen)), hashes...)
}

// A splitter cuts a stream into lines without ever holding a long one: of a
// line that spans two reads, it keeps the first maxLine bytes.
type splitter struct {
	number int // of the line handed out last, from 1
	head   [maxLine]byte
	n      int  // bytes in head
	begun  bool // a line has begun and not ended
}

// feed hands each line that ends in data to each, without its LF. The line is
// borrowed until each returns.
func (s *splitter) feed(data []byte, each func(line []byte)) {
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			s.n += copy(s.head[s.n:], data)
			s.begun = true
			return
		}
		s.number++
		if s.begun {
			s.n += copy(s.head[s.n:], data[:end])
			each(s.head[:s.n])
			s.drop()
		} else {
			each(data[:end])
		}
		data = data[end+1:]
	}
}

// flush hands out a last line that has no LF.
func (s *splitter) flush(each func(line []byte)) {
	if s.begun {
		s.number++
		each(s.head[:s.n])
		s.drop()
	}
}

// drop forgets a line that has begun.
func (s *splitter) drop() { s.n, s.begun = 0, false }

// parseLine reads the hash of line into ih. It reports whether line counts; if
// not, ih holds nothing of use.
func parseLine(line []byte, ih *proto.Infohash) bool {
	return parseHex(line, ih) && (len(line) == hexLen || !isHex(line[hexLen]))
}

// parseHex reads the first 40 bytes of s into ih and reports whether they are
// hex digits.
func parseHex(s []byte, ih *proto.Infohash) bool {
	if len(s) < hexLen {
		return false
	}
	s = s[:hexLen]
	bad := uint8(0)
	for i := range ih {
		hi, lo := nibbles[s[2*i]], nibbles[s[2*i+1]]
		bad |= hi | lo
		ih[i] = hi<<4 | lo
	}
	return bad < 16
}

// nibbles holds the value of each hex digit, and 255 for every other byte.
var nibbles = func() (t [256]uint8) {
	for i := range t {
		t[i] = 255
	}
	for i := range 10 {
		t['0'+i] = uint8(i)
	}
	for i := range 6 {
		t['a'+i], t['A'+i] = uint8(10+i), uint8(10+i)
	}
	return t
}()

func isHex(c byte) bool { return nibbles[c] < 16 }

// minAttempt is the length of the shortest word that makes a line look like an
// attempt, in bytes: that of a base32 infohash.
const minAttempt = 32

// whyBroken says what is wrong with a line that does not count, or "" if it is
// a comment. It guesses, for people: a line is an attempt if behind blanks,
// quotes or 0x stands one long word, nearly all of hex digits, or a magnet
// link. A hash behind # was put there on purpose.
func whyBroken(line []byte) string {
	line = line[:min(len(line), maxLine)]
	bare := bytes.TrimLeft(bytes.TrimPrefix(line, []byte("\ufeff")), " \t\"'")
	if _, ok := cutPrefixFold(string(bare), "magnet:"); ok {
		return "a magnet link instead of a hash"
	}
	if len(bare) > 2 && bare[0] == '0' && bare[1]|0x20 == 'x' {
		bare = bare[2:]
	}
	word, digits := measure(bare)
	switch {
	case word == minAttempt && isBase32(bare[:word]):
		return "a base32 hash instead of 40 hex digits"
	case word < minAttempt || digits < word*3/4:
		return ""
	case digits < word:
		return "something else among the hex digits"
	case word != hexLen:
		return fmt.Sprintf("%d hex digits instead of %d", word, hexLen)
	}
	return "something stands before the hash"
}

// measure returns how many letters and digits s begins with, and how many of
// those are hex digits.
func measure(s []byte) (word, digits int) {
	for _, c := range s {
		switch {
		case isHex(c):
			digits++
		case c|0x20 < 'a' || c|0x20 > 'z':
			return word, digits
		}
		word++
	}
	return word, digits
}

// isBase32 reports whether word holds letters and digits of base32 only, and
// some of each: a hash without a digit comes once in 1,000; a long word in a
// comment has none.
func isBase32(word []byte) bool {
	digits := 0
	for _, c := range word {
		switch {
		case c >= '2' && c <= '7':
			digits++
		case c|0x20 < 'a' || c|0x20 > 'z':
			return false
		}
	}
	return digits > 0 && digits < len(word)
}
