package whitelist

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"tracker/proto"
)

// randomHashes returns n infohashes, the same ones each time.
func randomHashes(n int) []proto.Infohash {
	r := rand.NewChaCha8([32]byte{1})
	hashes := make([]proto.Infohash, n)
	for i := range hashes {
		r.Read(hashes[i][:])
	}
	return hashes
}

// listOf returns hashes as a list.
func listOf(hashes ...proto.Infohash) []byte {
	var list []byte
	for i := range hashes {
		list = append(hex.AppendEncode(list, hashes[i][:]), '\n')
	}
	return list
}

func TestSetSizes(t *testing.T) {
	for _, n := range []int{0, 1, 2, 15, 16, 17, 255, 256, 257, 1000, 70_000} {
		in, out := randomHashes(2 * n)[:n], randomHashes(2 * n)[n:]
		s := newSet(slices.Concat(in, in)) // duplicates are harmless
		if s.Len() != n {
			t.Errorf("%d hashes twice: Len is %d", n, s.Len())
		}
		for i := range in {
			if !s.Has(&in[i]) {
				t.Errorf("%d hashes: %x is missing", n, in[i])
			}
			if s.Has(&out[i]) {
				t.Errorf("%d hashes: %x should not be there", n, out[i])
			}
		}
	}
	if (*Set)(nil).Has(&proto.Infohash{}) {
		t.Error("a nil Set has a hash")
	}
}

// TestSetEdges looks for hashes at the ends, and in runs where someone has
// chosen thousands of hashes that differ only in the end.
func TestSetEdges(t *testing.T) {
	var low, high proto.Infohash
	for i := range high {
		high[i] = 0xff
	}
	hashes := []proto.Infohash{high, low}
	for i := range 5000 {
		ih := proto.Infohash{7, 7, 7}
		binary.BigEndian.PutUint32(ih[16:], uint32(2*i))
		hashes = append(hashes, ih)
	}
	want := slices.Clone(hashes)
	s := newSet(hashes)
	for i := range want {
		if !s.Has(&want[i]) {
			t.Errorf("%x is missing", want[i])
		}
		if want[i][19]++; want[i] != (proto.Infohash{}) && s.Has(&want[i]) {
			t.Errorf("%x should not be there", want[i])
		}
	}
}

func TestHasAllocs(t *testing.T) {
	hashes := randomHashes(1000)
	s := newSet(slices.Clone(hashes[:500]))
	i := 0
	if n := testing.AllocsPerRun(1000, func() { s.Has(&hashes[i%1000]); i++ }); n != 0 {
		t.Errorf("%v allocations per lookup, want 0", n)
	}
}

// FuzzSort compares the sort with that of the standard library, on hashes with
// long equal prefixes.
func FuzzSort(f *testing.F) {
	f.Add([]byte("a few bytes"), uint16(300))
	f.Add([]byte{0}, uint16(1000))
	f.Fuzz(func(t *testing.T, data []byte, n uint16) {
		if len(data) == 0 {
			return
		}
		hashes := make([]proto.Infohash, n%2048)
		for i := range hashes {
			at := i * 3 % len(data)
			copy(hashes[i][int(data[at])%20:], data[at:])
		}
		want := slices.Clone(hashes)
		slices.SortFunc(want, func(a, b proto.Infohash) int { return bytes.Compare(a[:], b[:]) })
		if sortHashes(hashes, 0); !slices.Equal(hashes, want) {
			t.Error("not sorted")
		}
	})
}

// maxBytesPerHash is a promise to people with little RAM: 20 for the hash, half
// of one for the index, the rest for slack in the array.
const maxBytesPerHash = 24

// TestFiveMillion reads the largest list we promise to read in under two seconds
// on a core of a server. It prints the time and asserts the memory, which does
// not depend on the machine.
func TestFiveMillion(t *testing.T) {
	n := 5_000_000
	if testing.Short() || raceEnabled {
		n = 100_000
	}
	list := listOf(randomHashes(n)...)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	start := time.Now()
	s, broken, err := ReadSet(bytes.NewReader(list), int64(len(list)))
	took := time.Since(start)

	runtime.ReadMemStats(&after)
	allocated := float64(after.TotalAlloc-before.TotalAlloc) / float64(n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
	t.Logf("%d hashes in %v, %.2f bytes a hash, %.2f allocated", n, took.Round(time.Millisecond), kept, allocated)
	if err != nil || broken.Lines != 0 || s.Len() != n {
		t.Errorf("read %d of %d hashes, %v broken, error %v", s.Len(), n, broken, err)
	}
	if kept > maxBytesPerHash {
		t.Errorf("%.2f bytes a hash, want at most %d", kept, maxBytesPerHash)
	}
	if n == 5_000_000 && allocated > maxBytesPerHash {
		t.Errorf("%.2f bytes a hash allocated while reading, want at most %d", allocated, maxBytesPerHash)
	}
	if size := float64(s.Size()) / float64(n); size > maxBytesPerHash {
		t.Errorf("Size says %.2f bytes a hash", size)
	}
	runtime.KeepAlive(list)
}

func BenchmarkReadSet(b *testing.B) {
	const n = 1_000_000
	list := listOf(randomHashes(n)...)
	b.ReportAllocs()
	b.SetBytes(int64(len(list)))
	for b.Loop() {
		ReadSet(bytes.NewReader(list), int64(len(list)))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/hash")
}

func BenchmarkHas(b *testing.B) {
	const n = 1 << 20
	hashes := randomHashes(2 * n) // half of them are there
	s := newSet(slices.Clone(hashes[:n]))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Has(&hashes[i&(2*n-1)])
		i += 12347
	}
}
