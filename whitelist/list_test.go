package whitelist

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"tracker/proto"
)

// shape is a line of testdata/lists/shapes.txt.
type shape struct{ want, text, name string }

func shapes(tb testing.TB) (all []shape) {
	f, err := os.Open("../testdata/lists/shapes.txt")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		field := strings.Split(s.Text(), "\t")
		text, err := strconv.Unquote(field[1])
		if err != nil {
			tb.Fatalf("%s: %v", s.Text(), err)
		}
		all = append(all, shape{field[0], text, field[2]})
	}
	return all
}

func TestShapes(t *testing.T) {
	for _, sh := range shapes(t) {
		s, broken, err := ReadSet(strings.NewReader(sh.text), int64(len(sh.text)))
		if err != nil {
			t.Errorf("%s: %v", sh.name, err)
		}
		got := "comment"
		if s.Len() > 0 {
			got = "listed"
		} else if broken.Lines > 0 {
			got = "broken"
		}
		if got != sh.want || s.Len() > 1 || s.Len()+broken.Lines > 1 {
			t.Errorf("%s: got %s (%v), want %s", sh.name, got, broken, sh.want)
		}
	}
}

// TestShapesTogether reads all shapes from one list, in one go and byte by byte.
func TestShapesTogether(t *testing.T) {
	var list string
	var broken, first int
	for _, sh := range shapes(t) {
		if list += strings.TrimSuffix(sh.text, "\n") + "\n"; sh.want != "broken" {
			continue
		}
		if broken++; broken == 1 {
			first = strings.Count(list, "\n")
		}
	}
	for _, size := range []int64{-1, 0, 1, int64(len(list)), 1 << 40} {
		s, b, err := ReadSet(iotest.OneByteReader(strings.NewReader(list)), size)
		if err != nil || s.Len() != 1 || b.Lines != broken || b.First != first {
			t.Errorf("got %d hashes, %v, error %v; want 1, %d broken, the first at %d", s.Len(), b, err, broken, first)
		}
	}
}

func TestWhyBroken(t *testing.T) {
	h := strings.Repeat("0123456789", 4)
	for line, want := range map[string]string{
		h[:39]:                   "39 hex digits instead of 40",
		h + "1":                  "41 hex digits instead of 40",
		"\t" + h:                 "something stands before the hash",
		h[:20] + "x" + h[21:]:    "something else among the hex digits",
		"MAGNET:?xt=":            "a magnet link instead of a hash",
		strings.Repeat("b", 500): "128 hex digits instead of 40",
		"# " + h:                 "",
	} {
		if got := whyBroken([]byte(line)); got != want {
			t.Errorf("%.60s: got %q, want %q", line, got, want)
		}
	}
}

// TestLongLines reads a list in which lines are longer than anything kept.
func TestLongLines(t *testing.T) {
	hashes := randomHashes(40)
	var list []byte
	for i := range hashes {
		list = hex.AppendEncode(list, hashes[i][:])
		list = append(list, bytes.Repeat([]byte(" x"), i*listBufferLen/16)...)
		list = append(list, '\n')
	}
	s, broken, err := ReadSet(bytes.NewReader(list), int64(len(list)))
	if err != nil || s.Len() != len(hashes) || broken.Lines != 0 {
		t.Errorf("got %d hashes, %v, error %v", s.Len(), broken, err)
	}
}

func TestReadError(t *testing.T) {
	bad := errors.New("bad disk")
	if _, _, err := ReadSet(iotest.ErrReader(bad), 100); !errors.Is(err, bad) {
		t.Errorf("error %v, want %v", err, bad)
	}
}

// counts is the rule of the format, in one line.
var counts = regexp.MustCompile(`^[0-9a-fA-F]{40}([^0-9a-fA-F]|$)`)

// FuzzList compares the reader, given the list in two pieces, with that rule.
func FuzzList(f *testing.F) {
	for _, sh := range shapes(f) {
		f.Add([]byte(sh.text), uint(len(sh.text)/2))
	}
	f.Fuzz(func(t *testing.T, list []byte, cut uint) {
		want := map[proto.Infohash]bool{}
		for line := range bytes.SplitSeq(list, []byte("\n")) {
			if counts.Match(line) {
				b, _ := hex.DecodeString(string(line[:40]))
				want[proto.Infohash(b)] = true
			}
		}
		cut %= uint(len(list) + 1)
		two := &pieces{list[:cut], list[cut:]}
		s, broken, err := ReadSet(two, int64(len(list)))
		if err != nil || s.Len() != len(want) {
			t.Fatalf("got %d hashes, error %v, want %d", s.Len(), err, len(want))
		}
		for ih := range want {
			if !s.Has(&ih) {
				t.Errorf("%x is missing", ih)
			}
		}
		if n := bytes.Count(list, []byte("\n")) + 1; broken.First > n || broken.Lines > n {
			t.Errorf("%v of %d lines", broken, n)
		}
	})
}

// pieces is a reader that returns one piece at a time.
type pieces [][]byte

func (p *pieces) Read(b []byte) (n int, err error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	n = copy(b, (*p)[0])
	if (*p)[0] = (*p)[0][n:]; len((*p)[0]) == 0 {
		*p = (*p)[1:]
	}
	return n, nil
}
