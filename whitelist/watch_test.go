package whitelist

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// eventually is how long to wait for what should come in a second, on a machine
// that is busy with other things.
const eventually = 30 * time.Second

// watching opens and watches lists, and returns the log as a channel.
func (b *bench) watching(o Options) (*Lists, <-chan string) {
	b.Helper()
	said := make(chan string, 1000)
	o.Log = func(n Note) { said <- n.String() }
	l, err := Open(&o)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Watch(ctx)
	}()
	b.Cleanup(func() {
		stop()
		<-done
	})
	return l, said
}

// await waits until the log says something that ends in want.
func (b *bench) await(said <-chan string, want string) {
	b.Helper()
	end := time.After(eventually)
	for {
		select {
		case line := <-said:
			if strings.HasSuffix(line, want) {
				return
			}
		case <-end:
			b.Fatalf("nothing says %q", want)
		}
	}
}

func TestWatchFile(t *testing.T) {
	b := newBench(t)
	os.Mkdir("d", 0o755)
	l, said := b.watching(Options{White: []string{"d/w"}})
	b.await(said, "until it can be read")

	b.write("d/w", list(0)) // it comes
	b.await(said, "1 torrents")
	b.allowed(l, 0)

	f, err := os.OpenFile("d/w", os.O_APPEND|os.O_WRONLY, 0) // what >> does
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(list(1))
	f.Close()
	b.await(said, "2 torrents")
	b.allowed(l, 0, 1)

	b.write("new", list(2, 3, 4)) // what mv does
	os.Rename("new", "d/w")
	b.await(said, "3 torrents")
	b.allowed(l, 2, 3, 4)

	os.Remove("d/w") // what rm does
	b.await(said, "3 torrents it listed before still count")
	b.write("d/w", list(5))
	b.await(said, ": 1 torrents")

	b.write("d/x", list(6, 7)) // what a link to the current list does
	os.Symlink("x", "d/y")
	os.Rename("d/y", "d/w")
	b.await(said, "2 torrents")
	b.write("d/x", list(6, 7, 1))
	b.await(said, "3 torrents")

	os.RemoveAll("d") // the folder as well
	b.await(said, "3 torrents it listed before still count")
	os.Mkdir("d", 0o755)
	b.write("d/w", list(0))
	b.await(said, ": 1 torrents")
}

// TestWatchNoFolder waits for a list whose folder is not there either, which
// has to be polled for.
func TestWatchNoFolder(t *testing.T) {
	b := newBench(t)
	_, said := b.watching(Options{White: []string{"not/yet/here"}})
	os.MkdirAll("not/yet", 0o755)
	b.write("not/yet/here", list(0))
	b.await(said, "1 torrents")
}

func TestWatchFolder(t *testing.T) {
	b := newBench(t)
	os.Mkdir("t", 0o755)
	b.write("t/one.torrent", v1Torrent)
	_, said := b.watching(Options{White: []string{"t"}})
	b.await(said, "1 torrents")
	b.write("t/two.torrent", hybridTorrent)
	b.await(said, "3 torrents")
	b.write("t/two.torrent", v2Torrent) // in place
	b.await(said, "2 torrents")
	os.Remove("t/one.torrent")
	b.await(said, "1 torrents")
}

// TestWatchOutside polls what cannot be watched.
func TestWatchOutside(t *testing.T) {
	b := newBench(t)
	os.Mkdir("jail", 0o755)
	b.write("w", list(0))
	o := Options{White: []string{"w"}}
	o.KeepOutside()
	outside, err := filepath.Abs("w")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("jail")
	l, said := b.watching(o)
	b.await(said, "1 torrents")
	b.write(outside, list(0, 1))
	b.await(said, "2 torrents")
	b.allowed(l, 0, 1)
	b.Cleanup(func() { l.white[0].outside.root.Close() })
}

// TestManyChanges makes a thousand changes in a row. The last one counts, and
// they are not read one by one.
func TestManyChanges(t *testing.T) {
	b := newBench(t)
	b.write("w", list(0))
	_, said := b.watching(Options{White: []string{"w"}})
	b.await(said, "1 torrents")
	for i := range 1000 {
		b.write("new", list(i%8, (i+1)%8))
		os.Rename("new", "w")
	}
	b.write("new", list(0, 1, 2))
	os.Rename("new", "w")
	b.await(said, "3 torrents")
}
