package whitelist

import (
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"tracker/proto"
)

// some are the infohashes of most tests.
var some = randomHashes(8)

// A place to test in: a folder that is the working directory, and a log.
type bench struct {
	*testing.T
	mu  sync.Mutex
	log []string
}

func newBench(t *testing.T) *bench {
	t.Chdir(t.TempDir())
	return &bench{T: t}
}

// write makes a file.
func (b *bench) write(path, text string) {
	b.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
}

// open opens the lists, which must not fail.
func (b *bench) open(o Options) *Lists {
	b.Helper()
	o.Log = func(n Note) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.log = append(b.log, n.String())
	}
	l, err := Open(&o)
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// said checks the log since the last time.
func (b *bench) said(want ...string) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.log, want) {
		b.Errorf("said\n\t%s\nwant\n\t%s", strings.Join(b.log, "\n\t"), strings.Join(want, "\n\t"))
	}
	b.log = nil
}

// allowed checks which of some are, by index.
func (b *bench) allowed(l *Lists, want ...int) {
	b.Helper()
	var got []int
	for i := range some {
		if l.Allowed(&some[i]) {
			got = append(got, i)
		}
	}
	if !slices.Equal(got, want) {
		b.Errorf("allowed are %v, want %v", got, want)
	}
}

// list returns a list of some, by index.
func list(which ...int) string {
	var hashes []proto.Infohash
	for _, i := range which {
		hashes = append(hashes, some[i])
	}
	return string(listOf(hashes...))
}

func TestNoLists(t *testing.T) {
	l, err := Open(&Options{})
	if l != nil || err != nil {
		t.Errorf("got %v, error %v", l, err)
	}
	if !l.Allowed(&some[0]) {
		t.Error("a nil *Lists does not allow everything")
	}
	l.Reload()
	l.Watch(t.Context())
	if l.Counts() != (Counts{}) {
		t.Error("a nil *Lists counts something")
	}
	if _, err := Open(&Options{FIFOAdd: "f"}); err == nil {
		t.Error("a FIFO without a list is no error")
	}
}

func TestWhiteAndBlack(t *testing.T) {
	b := newBench(t)
	b.write("w", list(0, 1, 2))
	b.write("w2", list(2, 3))
	b.write("b", list(1, 4))
	b.allowed(b.open(Options{White: []string{"w"}}), 0, 1, 2)
	b.allowed(b.open(Options{White: []string{"w", "w2"}}), 0, 1, 2, 3)
	b.allowed(b.open(Options{Black: []string{"b"}}), 0, 2, 3, 5, 6, 7)
	b.log = nil

	both := b.open(Options{White: []string{"w"}, Black: []string{"b"}})
	b.allowed(both, 0, 2) // black always wins
	b.said("whitelist w: 3 torrents", "blacklist b: 2 torrents")
	if got, want := both.Counts(), (Counts{White: 3, Black: 2}); got != want {
		t.Errorf("counts %v, want %v", got, want)
	}
}

func TestAllowedAllocs(t *testing.T) {
	b := newBench(t)
	b.write("w", list(0, 1, 2))
	b.write("b", list(1, 4))
	l := b.open(Options{White: []string{"w"}, Black: []string{"b"}})
	l.marks, _ = l.marks.set(&some[5], added)
	l.publish()
	i := 0
	if n := testing.AllocsPerRun(1000, func() { l.Allowed(&some[i%8]); i++ }); n != 0 {
		t.Errorf("%v allocations per question, want 0", n)
	}
}

func TestStartWithout(t *testing.T) {
	b := newBench(t)
	l := b.open(Options{White: []string{"w"}})
	b.allowed(l)
	b.said("whitelist w: no such file or directory; NOTHING IS ALLOWED by it until it can be read")
	b.write("w", "")
	l.Reload()
	b.allowed(l)
	b.said("whitelist w: is empty; NOTHING IS ALLOWED by it until it can be read")
	b.write("w", list(3))
	l.Reload()
	b.allowed(l, 3)
	b.said("whitelist w: 1 torrents")

	_, err := Open(&Options{White: []string{"w"}, Black: []string{"b"}})
	if want := "blacklist b: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	b.write("b", "") // someone ran touch: fine
	b.allowed(b.open(Options{White: []string{"w"}, Black: []string{"b"}}), 3)
	if _, err := Open(&Options{Black: []string{"/dev/null"}}); err == nil {
		t.Error("a device is taken for a blacklist")
	}
}

// TestReloadKeeps goes through what opentracker was seen to do on HUP.
func TestReloadKeeps(t *testing.T) {
	b := newBench(t)
	b.write("w", list(0, 1))
	l := b.open(Options{White: []string{"w"}})
	b.said("whitelist w: 2 torrents")

	b.write("w", list(1))
	l.Reload()
	b.allowed(l, 1)
	b.said("whitelist w: 1 torrents")

	os.Remove("w")
	l.Reload()
	b.allowed(l, 1)
	b.said("whitelist w: no such file or directory; the 1 torrents it listed before still count")

	b.write("w", "")
	l.Reload()
	b.allowed(l, 1)
	b.said("whitelist w: is empty; the 1 torrents it listed before still count")

	b.write("w", list(2)[:40]) // no LF; this one crashes opentracker
	l.Reload()
	b.allowed(l, 2)
	b.said("whitelist w: 1 torrents")

	b.write("w", list(3)+"# x\n "+list(4)+list(5)[:39])
	l.Reload()
	b.allowed(l, 3)
	b.said("whitelist w: 1 torrents", "whitelist w: 2 broken lines left out, the first is line 3: something stands before the hash")

	b.write("w", "# nothing\n")
	l.Reload()
	b.allowed(l)
	b.said("whitelist w: 0 torrents")
}

func TestFolder(t *testing.T) {
	b := newBench(t)
	os.Mkdir("t", 0o755)
	b.write("t/README", "no torrent")
	b.write("t/one.torrent", v1Torrent)
	b.write("t/both.TORRENT", hybridTorrent)
	os.Mkdir("t/folder.torrent", 0o755)
	l := b.open(Options{White: []string{"t"}})
	b.said("whitelist t: 1 broken files left out, among them folder.torrent: neither a file nor a folder", "whitelist t: 3 torrents")
	for _, digits := range []string{v1Hash, hybridHashV1, hybridHashV2} {
		var ih proto.Infohash
		if parseHex([]byte(digits), &ih); !l.Allowed(&ih) {
			t.Errorf("%s is not allowed", digits)
		}
	}

	os.Remove("t/folder.torrent")
	os.Remove("t/both.TORRENT")
	b.write("t/one.torrent", v1Torrent[:50]) // keeps what it said
	b.write("t/two.torrent", v2Torrent)
	l.check()
	b.said("whitelist t: 1 broken files left out, among them one.torrent: "+errBencode.Error(), "whitelist t: 2 torrents")

	os.Rename("t", "away")
	l.Reload()
	b.said("whitelist t: no such file or directory; the 2 torrents it listed before still count")
	os.Mkdir("t", 0o755) // what an unmounted disk looks like
	l.Reload()
	b.said("whitelist t: is empty; the 2 torrents it listed before still count")
	b.write("t/README", "cleared on purpose")
	l.Reload()
	b.said("whitelist t: 0 torrents")
	b.write("u", list(0))
	os.RemoveAll("t")
	os.Rename("u", "t") // a folder becomes a file
	l.check()
	b.said("whitelist t: 1 torrents")
	b.allowed(l, 0)
}

// TestCheckReadsWhatChanged counts complaints and readings: once for each
// change, however often one looks.
func TestCheckReadsWhatChanged(t *testing.T) {
	b := newBench(t)
	b.write("w", list(0))
	os.Mkdir("t", 0o755)
	b.write("t/one.torrent", v1Torrent)
	l := b.open(Options{White: []string{"w", "t"}})
	b.said("whitelist w: 1 torrents", "whitelist t: 1 torrents")
	set := l.white[0].set
	for range 3 {
		l.check()
	}
	b.said()
	if l.white[0].set != set {
		t.Error("a list that did not change was replaced")
	}
	b.write("w", list(1, 2))
	for range 3 {
		l.check()
	}
	b.said("whitelist w: 2 torrents")
	b.allowed(l, 1, 2)
	os.Rename("w", "away")
	for range 3 {
		l.check()
	}
	b.said("whitelist w: no such file or directory; the 2 torrents it listed before still count")
	os.Rename("away", "w") // unchanged, but good to know
	l.check()
	b.said("whitelist w: 2 torrents")
}

// TestSameSizeSameTime writes a list again so soon that its time may not change:
// that it was read fresh makes it be read again.
func TestSameSizeSameTime(t *testing.T) {
	b := newBench(t)
	b.write("w", list(0))
	fi, err := os.Stat("w")
	if err != nil {
		t.Fatal(err)
	}
	l := b.open(Options{White: []string{"w"}})
	if fresh(fi) && !l.unsure() {
		t.Error("a list just written is not read again")
	}
	l.white[0].info = nil // as it is if the machine was fast enough
	b.write("w", list(1))
	os.Chtimes("w", fi.ModTime(), fi.ModTime())
	l.check()
	b.allowed(l, 1)
}

// TestSwapIsAtomic asks while lists are exchanged: a request sees one list or
// the other. Reloads run during reloads.
func TestSwapIsAtomic(t *testing.T) {
	b := newBench(t)
	b.write("a", list(0))
	b.write("b", list(0))
	os.Symlink("a", "w")
	l := b.open(Options{White: []string{"w", "b"}})
	var done atomic.Bool
	var asking, reloading sync.WaitGroup
	asking.Go(func() {
		for !done.Load() {
			if !l.Allowed(&some[0]) || l.Allowed(&some[7]) {
				t.Error("a request saw half a list")
				return
			}
		}
	})
	for range 2 {
		reloading.Go(func() {
			for range 100 {
				l.Reload()
				l.check()
			}
		})
	}
	for i := range 100 {
		b.write("n", list(i%6+1, 0))
		os.Rename("n", "a")
	}
	reloading.Wait()
	done.Store(true)
	asking.Wait()
}

// TestErr checks that Err names a list that could not be read, until it could.
func TestErr(t *testing.T) {
	b := newBench(t)
	b.write("good", list(0))
	l := b.open(Options{White: []string{"good", "w"}})
	want := SourceError{"whitelist", "w", "no such file or directory"}
	if got, ok := l.Err().(*SourceError); !ok || *got != want {
		t.Errorf("got %v, want %v", l.Err(), &want)
	}
	b.write("w", list(1))
	l.Reload()
	if err := l.Err(); err != nil {
		t.Error(err)
	}
}

// TestOutside stands in for chroot by changing the working directory.
func TestOutside(t *testing.T) {
	b := newBench(t)
	os.Mkdir("jail", 0o755)
	b.write("w", list(0))
	b.write("both", list(1))
	b.write("jail/both", list(2))
	b.write("secret", list(3))
	os.Mkdir("t", 0o755)
	b.write("t/one.torrent", v1Torrent)
	os.Mkdir("elsewhere", 0o755)
	b.write("elsewhere/linked", list(5))
	os.Symlink("elsewhere/linked", "link")
	o := Options{White: []string{"w", "both", "t", "link", "nowhere"}}
	o.KeepOutside()
	t.Chdir("jail")
	l := b.open(o)
	b.said("whitelist w: not in here, so the one outside of the chroot is used",
		"whitelist t: not in here, so the one outside of the chroot is used",
		"whitelist link: not in here, so the one outside of the chroot is used",
		"whitelist w: 1 torrents", "whitelist both: 1 torrents", "whitelist t: 1 torrents", "whitelist link: 1 torrents",
		"whitelist nowhere: no such file or directory; NOTHING IS ALLOWED by it until it can be read")
	b.allowed(l, 0, 2, 5)
	b.write("../new", list(0, 4))
	os.Rename("../new", "../w")
	l.check()
	b.allowed(l, 0, 2, 4, 5)
	os.Remove("../w")
	os.Symlink("../secret", "../w")
	l.Reload()
	b.allowed(l, 0, 2, 4, 5)
	for _, s := range l.sources() {
		if s.outside.root != nil {
			s.outside.root.Close()
		}
	}
}
