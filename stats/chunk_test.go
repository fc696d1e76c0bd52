package stats

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
)

// pieces keeps what it is given, one piece a Write.
type pieces struct {
	got  [][]byte
	fail int // Writes until errGone, 0 for never
}

var errGone = errors.New("gone")

func (p *pieces) Write(b []byte) (int, error) {
	if p.fail > 0 {
		if p.fail--; p.fail == 0 {
			p.fail = 1
			return 0, errGone
		}
	}
	p.got = append(p.got, bytes.Clone(b))
	return len(b), nil
}

func (p *pieces) all() []byte { return bytes.Join(p.got, nil) }

// TestChunks writes bodies around the size of a chunk, in parts of many sizes.
func TestChunks(t *testing.T) {
	body := make([]byte, 3*MaxChunk)
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	w := NewChunkWriter()
	for _, n := range []int{0, 1, 15, 16, 255, 256, MaxChunk - 1, MaxChunk, MaxChunk + 1, 2 * MaxChunk, 3 * MaxChunk} {
		for _, part := range []int{97, MaxChunk, len(body)} {
			for _, e := range []Encoding{Plain, Gzip} {
				var out pieces
				w.Reset(&out, e)
				for rest := body[:n]; len(rest) > 0; rest = rest[min(part, len(rest)):] {
					if wrote, err := w.Write(rest[:min(part, len(rest))]); err != nil || wrote != min(part, len(rest)) {
						t.Fatal(wrote, err)
					}
				}
				if err := w.Close(FormatNone); err != nil {
					t.Fatal(err)
				}
				got := dechunk(t, out.all())
				if e == Gzip {
					got = gunzip(t, got)
				}
				if !bytes.Equal(got, body[:n]) {
					t.Errorf("%d bytes in parts of %d, encoding %d: got %d others", n, part, e, len(got))
				}
				for _, piece := range out.got {
					if len(piece) > chunkHead+MaxChunk+chunkTail {
						t.Errorf("a Write of %d bytes", len(piece))
					}
				}
			}
		}
	}
}

// TestOneWrite sends a short body with a single Write.
func TestOneWrite(t *testing.T) {
	var out pieces
	w := NewChunkWriter()
	w.Reset(&out, Plain)
	_, _ = io.WriteString(w, "some text")
	if err := w.Close(FormatNone); err != nil {
		t.Fatal(err)
	}
	if len(out.got) != 1 || string(out.got[0]) != "9\r\nsome text\r\n0\r\n\r\n" {
		t.Errorf("got %q", out.got)
	}
}

// TestClientLeaves stops at the first error, whenever it comes, and begins the
// next answer as if nothing had been.
func TestClientLeaves(t *testing.T) {
	w := NewChunkWriter()
	for _, e := range []Encoding{Plain, Gzip} {
		for fail := 1; fail <= 3; fail++ {
			out := pieces{fail: fail}
			w.Reset(&out, e)
			var torrent Torrent
			wrote := 0
			for err := error(nil); err == nil; wrote++ {
				if wrote > 10*MaxChunk {
					t.Fatal("no error")
				}
				for i := range torrent.Infohash {
					torrent.Infohash[i] = byte(rand.Uint32())
				}
				err = w.WriteTorrent(FormatBin, &torrent)
			}
			if err := w.WriteHead(FormatBen); !errors.Is(err, errGone) {
				t.Errorf("after the error: %v", err)
			}
			if err := w.Close(FormatBen); !errors.Is(err, errGone) {
				t.Errorf("Close after the error: %v", err)
			}
			if len(out.got) != fail-1 {
				t.Errorf("%d chunks, want %d", len(out.got), fail-1)
			}
		}
		if got := answer(t, w, FormatTxt, Plain, nil); !bytes.HasSuffix(got, []byte("\r\n\r\n0\r\n\r\n")) {
			t.Errorf("the next answer: %q", got)
		}
	}
}

// TestChunkWriterAllocs lists four thousand torrents, several chunks, and holds none.
func TestChunkWriterAllocs(t *testing.T) {
	w := NewChunkWriter()
	torrent := Torrent{Seeders: 12345, Leechers: 67890, Downloaded: 4711, UsedMinute: 29922679}
	for _, e := range []Encoding{Plain, Gzip} {
		for f := FormatBin; f <= FormatState; f++ {
			n := testing.AllocsPerRun(3, func() { // the runtime may make one of its own
				w.Reset(io.Discard, e)
				_ = w.WriteHead(f)
				for i := range 4_000 {
					torrent.Infohash = [20]byte{byte(i >> 16), byte(i >> 8), byte(i)}
					_ = w.WriteTorrent(f, &torrent)
				}
				if err := w.Close(f); err != nil {
					t.Fatal(err)
				}
			})
			if n != 0 {
				t.Errorf("encoding %d, format %d: %v allocations, want 0", e, f, n)
			}
		}
	}
}

// maxWriterBytes is a promise to people with 32 MB: so much for each long
// answer under way that is compressed.
const maxWriterBytes = 900 << 10

func TestChunkWriterMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := NewChunkWriter()
	w.Reset(io.Discard, Gzip)
	_ = w.WriteTorrent(FormatTxt, new(Torrent))
	_ = w.Close(FormatTxt)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > maxWriterBytes {
		t.Errorf("%d bytes, want at most %d", n, maxWriterBytes)
	} else {
		t.Logf("%d bytes", n)
	}
}

func BenchmarkListing(b *testing.B) {
	torrents := make([]Torrent, 10_000)
	for i := range torrents {
		torrents[i].Seeders = uint32(rand.ExpFloat64() * 5)
		torrents[i].Leechers = uint32(rand.ExpFloat64() * 5)
		for k := range torrents[i].Infohash {
			torrents[i].Infohash[k] = byte(rand.Uint32())
		}
	}
	w := NewChunkWriter()
	for _, f := range []Format{FormatBen, FormatTxt, FormatBin} {
		for _, e := range []Encoding{Plain, Gzip} {
			b.Run(fmt.Sprintf("format=%d/gzip=%d", f, e), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					w.Reset(io.Discard, e)
					for i := range torrents {
						_ = w.WriteTorrent(f, &torrents[i])
					}
					_ = w.Close(f)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(torrents)), "ns/torrent")
			})
		}
	}
}
