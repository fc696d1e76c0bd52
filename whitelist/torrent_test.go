package whitelist

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// Parts of torrents, bencoded. Their infohashes were computed with Python.
var (
	length = "6:lengthi5e"
	meta   = "12:meta versioni2e"
	name   = "4:name9:hello.txt"
	piece  = "12:piece lengthi16384e"
	hashes = "6:pieces20:" + strings.Repeat("\x01", 20)
	tree   = "9:file treed9:hello.txtd0:d6:lengthi5e11:pieces root32:" + strings.Repeat("\x02", 32) + "eee"

	v1Torrent     = wrap(length + name + piece + hashes)
	v2Torrent     = wrap(tree + meta + name + piece)
	hybridTorrent = wrap(tree + length + meta + name + piece + hashes)
)

const (
	v1Hash       = "4f3f23cf4353fb310e4bc056a74893a8ee4569c6"
	v2Hash       = "39804e4762ed10b10c3bd0d84b8600ae0bf4bca7"
	hybridHashV1 = "9ad40086f77d56cab941d2e5d25ba7c07d29e683"
	hybridHashV2 = "f8570cfea9ef338d8e5b7fe726e10d8ddb6b31bb"
)

// wrap makes a torrent around what stands in its info dictionary.
func wrap(info string) string {
	return "d8:announce30:http://127.0.0.1:6969/announce4:infod" + info + "ee"
}

// hexes returns the infohashes of t in hex.
func hexes(t torrent) string {
	var s []string
	for _, ih := range t.infohashes() {
		s = append(s, hex.EncodeToString(ih[:]))
	}
	return strings.Join(s, " ")
}

func TestReadTorrent(t *testing.T) {
	pad := strings.Repeat("x", 100_000) // more than a buffer
	for _, tt := range []struct {
		name, file, want string
		err              error
	}{
		{name: "version 1", file: v1Torrent, want: v1Hash},
		{name: "version 2", file: v2Torrent, want: v2Hash},
		{name: "hybrid", file: hybridTorrent, want: hybridHashV1 + " " + hybridHashV2},
		{name: "a long comment before", file: "d7:comment100000:" + pad + v1Torrent[1:], want: v1Hash},
		{name: "bytes after it", file: v1Torrent + "\n", want: v1Hash},
		{name: "version 3", file: wrap(tree + "12:meta versioni3e" + name), err: errNoPieces},
		{name: "no pieces", file: wrap(length + name), err: errNoPieces},
		{name: "no info", file: "d8:announce1:xe", err: errNoInfo},
		{name: "info is a string", file: "d4:info1:xe", err: errNoInfo},
		{name: "info twice", file: v1Torrent[:len(v1Torrent)-1] + v1Torrent[len("d8:announce30:http://127.0.0.1:6969/announce"):], err: errTwoInfos},
		{name: "empty", file: "", err: errBencode},
		{name: "a web page", file: "<!DOCTYPE html>", err: errBencode},
		{name: "a list", file: "le", err: errBencode},
		{name: "a key that is a number", file: "di1e1:xe", err: errBencode},
		{name: "a key without a value", file: "d1:xe", err: errBencode},
		{name: "a length that lies", file: "d1:x999999999999999999:", err: errBencode},
		{name: "a length too long for numbers", file: "d1:x99999999999999999999:", err: errBencode},
		{name: "a negative length", file: "d1:x-1:xe", err: errBencode},
		{name: "an integer without digits", file: "d1:xi-ee", err: errBencode},
		{name: "deep", file: "d1:x" + strings.Repeat("l", 1e6) + strings.Repeat("e", 1e6) + v1Torrent[1:], want: v1Hash},
		{name: "deeper, without an end", file: "d1:x" + strings.Repeat("l", 1e6), err: errBencode},
		{name: "too long", file: "d1:x70000000:" + strings.Repeat("x", 70_000_000), err: errTooLong},
	} {
		got, err := readTorrent(strings.NewReader(tt.file))
		if !errors.Is(err, tt.err) || err == nil && hexes(got) != tt.want {
			t.Errorf("%s: got %s, error %v; want %s, error %v", tt.name, hexes(got), err, tt.want, tt.err)
		}
	}
}

// TestTorrentInPieces reads torrents a byte at a time, so that everything spans
// two buffers once.
func TestTorrentInPieces(t *testing.T) {
	for file, want := range map[string]string{v1Torrent: v1Hash, v2Torrent: v2Hash} {
		got, err := readTorrent(iotest.OneByteReader(strings.NewReader(file)))
		if err != nil || hexes(got) != want || got.name != "hello.txt" {
			t.Errorf("got %s %q, error %v, want %s", hexes(got), got.name, err, want)
		}
	}
}

// TestTorrentPrefixes reads every truncation.
func TestTorrentPrefixes(t *testing.T) {
	for n := range hybridTorrent {
		if _, err := readTorrent(strings.NewReader(hybridTorrent[:n])); !errors.Is(err, errBencode) {
			t.Errorf("%d bytes: error %v, want %v", n, err, errBencode)
		}
	}
}

func TestTorrentReadError(t *testing.T) {
	bad := errors.New("bad disk")
	r := io.MultiReader(strings.NewReader(v1Torrent[:50]), iotest.ErrReader(bad))
	if _, err := readTorrent(r); !errors.Is(err, bad) {
		t.Errorf("error %v, want %v", err, bad)
	}
}

// FuzzTorrent checks that what is accepted has infohashes, and that they do not
// depend on how the file is read.
func FuzzTorrent(f *testing.F) {
	for _, file := range []string{v1Torrent, v2Torrent, hybridTorrent, wrap("4:namele" + hashes), "d4:infodeee", "d-1:", "d1:xi--1ee", "d00:0:e"} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		a, errA := readTorrent(bytes.NewReader(file))
		b, errB := readTorrent(iotest.HalfReader(bytes.NewReader(file)))
		if a != b || fmt.Sprint(errA) != fmt.Sprint(errB) {
			t.Errorf("got %v, %v and %v, %v", a, errA, b, errB)
		}
		if errA == nil && (a.n < 1 || a.n > 2 || len(a.name) > maxNameLen) {
			t.Errorf("accepted as %v", a)
		}
	})
}
