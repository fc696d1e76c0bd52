//go:build unix

package whitelist

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// tell writes text to a FIFO, as a shell would.
func (b *bench) tell(path, text string) {
	b.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		b.Fatal(err)
	}
}

// obeyed waits until all that was written to the FIFOs is done: a broken line
// behind it is complained of.
func (b *bench) obeyed(said <-chan string, paths ...string) {
	b.Helper()
	for _, path := range paths {
		b.tell(path, "magnet:\n")
		b.await(said, "a magnet link instead of a hash")
	}
}

func TestFIFO(t *testing.T) {
	b := newBench(t)
	b.write("w", list(0, 1))
	l, said := b.watching(Options{White: []string{"w"}, FIFOAdd: "a", FIFODelete: "d"})
	for _, path := range []string{"a", "d"} {
		if fi, err := os.Stat(path); err != nil || fi.Mode()&^0o022 != fs.ModeNamedPipe|fifoMode {
			t.Errorf("%s is %v, error %v", path, fi, err)
		}
	}
	for _, step := range []struct {
		path, text string
		want       []int
	}{
		{"a", list(2, 3, 4), []int{0, 1, 2, 3, 4}},
		{"d", list(0, 3), []int{1, 2, 4}},
		{"a", strings.ToUpper(list(0)), []int{0, 1, 2, 4}}, // the last word counts
		{"a", list(3), []int{0, 1, 2, 3, 4}},
		{"d", list(5), []int{0, 1, 2, 3, 4}},
		{"d", list(1)[:40] + " # comment\n# comment\n", []int{0, 2, 3, 4}},
		{"a", list(6)[:40], []int{0, 2, 3, 4}}, // no line end
	} {
		b.tell(step.path, step.text)
		if !strings.HasSuffix(step.text, "\n") {
			b.await(said, "it has no end")
		}
		b.obeyed(said, step.path)
		b.allowed(l, step.want...)
	}
	if got, want := l.Counts(), (Counts{White: 2, Added: 4, Deleted: 2}); got != want {
		t.Errorf("counts %v, want %v", got, want)
	}

	b.write("w", list(1, 6)) // a change of the list does not undo what was said
	b.await(said, "2 torrents")
	b.allowed(l, 0, 2, 3, 4, 6)
	l.Reload()
	b.allowed(l, 1, 6)
}

// TestFIFOMany writes more than a FIFO or a table of the first size holds.
func TestFIFOMany(t *testing.T) {
	b := newBench(t)
	b.write("b", list(0))
	l, said := b.watching(Options{Black: []string{"b"}, FIFOAdd: "a", FIFODelete: "d"})
	many := randomHashes(20_000)
	b.tell("a", string(listOf(many...)))
	b.obeyed(said, "a")
	for i := range many {
		if l.Allowed(&many[i]) {
			t.Fatalf("%x was added to the blacklist, and is allowed", many[i])
		}
	}
	b.tell("d", string(listOf(many...)))
	b.obeyed(said, "d")
	if got, want := l.Counts(), (Counts{Black: 1, Deleted: len(many)}); got != want {
		t.Errorf("counts %v, want %v", got, want)
	}
	b.allowed(l, 0, 1, 2, 3, 4, 5, 6, 7)
}

func TestFIFODisabled(t *testing.T) {
	b := newBench(t)
	b.write("w", list(0))
	b.write("a", "a regular file")
	l := b.open(Options{White: []string{"w"}, FIFOAdd: "a", FIFODelete: "no/such/folder"})
	b.said("whitelist w: 1 torrents", "FIFO a: disabled: not a FIFO", "FIFO no/such/folder: disabled: no such file or directory")
	if len(l.fifos) != 0 {
		t.Error("they are read all the same")
	}
}

// TestSourceIsFIFO names a FIFO as a list: opening it would wait for ever.
func TestSourceIsFIFO(t *testing.T) {
	b := newBench(t)
	if err := syscall.Mkfifo("w", 0o600); err != nil {
		t.Fatal(err)
	}
	b.open(Options{White: []string{"w"}})
	b.said("whitelist w: neither a file nor a folder; NOTHING IS ALLOWED by it until it can be read")
}
