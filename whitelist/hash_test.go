package whitelist

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"tracker/proto"
)

// linesOf returns what HashFile makes of file, or its error, as one string.
func linesOf(file string) string {
	lines, err := HashFile(file)
	if err != nil {
		return err.Error()
	}
	var s []string
	for _, l := range lines {
		s = append(s, l.String())
	}
	return strings.Join(s, "\n")
}

func TestHashFile(t *testing.T) {
	dir := t.TempDir()
	evil := wrap(hashes + "4:name15:a\nb\x1b[31m\x00\xff\u202ec ")
	for _, tt := range []struct{ name, file, want string }{
		{"version 1", v1Torrent, v1Hash + " # hello.txt"},
		{"version 2", v2Torrent, v2Hash + " # hello.txt"},
		{"hybrid", hybridTorrent, hybridHashV1 + " # hello.txt\n" + hybridHashV2 + " # hello.txt"},
		{"an evil name", evil, strings.Repeat("0", 40) + " # a b?[31m???c"},
		{"not a torrent", "hello", "hash PATH: " + errBencode.Error()},
	} {
		path := filepath.Join(dir, "x")
		if err := os.WriteFile(path, []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(linesOf(path), path, "PATH")
		if tt.name == "an evil name" { // the hash is not the point
			got, tt.want = got[40:], tt.want[40:]
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := linesOf("no such file"); got != "hash no such file: no such file or directory" {
		t.Errorf("no such file: got %q", got)
	}
}

func TestHashMagnet(t *testing.T) {
	v2 := "39804e4762ed10b10c3bd0d84b8600ae0bf4bca708971435509b68a73b18ce50"
	base32 := "J47SHT2DKP5TCDSLYBLKOSETVDXEK2OG"
	for _, tt := range []struct{ name, link, want string }{
		{"hex", "magnet:?xt=urn:btih:" + v1Hash, v1Hash},
		{"upper case", "MAGNET:?xt=URN:BTIH:" + strings.ToUpper(v1Hash), v1Hash},
		{"base32", "magnet:?xt=urn:btih:" + base32, v1Hash},
		{"base32 in lower case", "magnet:?xt=urn:btih:" + strings.ToLower(base32), v1Hash},
		{"named", "magnet:?xt=urn:btih:" + v1Hash + "&dn=hello+w%C3%B6rld%0A&tr=udp%3A%2F%2Fx", v1Hash + " # hello wörld"},
		{"version 2", "magnet:?xt=urn:btmh:1220" + v2, v2Hash},
		{"hybrid, version 2 first", "magnet:?xt.1=urn:btmh:1220" + v2 + "&xt.2=urn%3Abtih%3A" + v1Hash, v1Hash + "\n" + v2Hash},
		{"the same twice", "magnet:?xt=urn:btih:" + v1Hash + "&xt=urn:btih:" + base32, v1Hash},
		{"two torrents", "magnet:?xt=urn:btih:" + v1Hash + "&xt=urn:btih:" + v2Hash, errMultiple.Error()},
		{"39 digits", "magnet:?xt=urn:btih:" + v1Hash[1:], errMagnet.Error()},
		{"a multihash of another kind", "magnet:?xt=urn:btmh:1114" + v1Hash, errMagnet.Error()},
		{"no topic", "magnet:?dn=x", errMagnet.Error()},
		{"nothing", "magnet:?", errMagnet.Error()},
	} {
		got := linesOf(tt.link)
		if got != tt.want && !(strings.HasPrefix(got, "hash magnet:") && strings.HasSuffix(got, tt.want)) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// FuzzMagnet checks that what is accepted makes lines of a list, and that these
// count.
func FuzzMagnet(f *testing.F) {
	f.Add("xt=urn:btih:" + v1Hash + "&dn=a%0Ab")
	f.Add("xt=urn:btmh:1220" + strings.Repeat("a1", 32))
	f.Add("xt.1=urn:btih:J47SHT2DKP5TCDSLYBLKOSETVDXEK2OG&xt.2=%zz")
	f.Fuzz(func(t *testing.T, query string) {
		lines, err := HashFile("magnet:?" + query)
		if err != nil {
			return
		}
		for _, l := range lines {
			var ih proto.Infohash
			s := l.String()
			if !parseLine([]byte(s), &ih) || ih != l.Infohash || strings.ContainsAny(s, "\n\r\x1b") || !utf8.ValidString(s) {
				t.Errorf("made %q", s)
			}
		}
	})
}
