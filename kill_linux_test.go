package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tracker/proto"
	"tracker/store"
)

var kills = flag.Int("snapshot-kills", 10, "how many trackers TestSnapshotKill kills")

// TestSnapshotKill kills trackers at random moments while they write snapshots
// under load. What there is afterwards is a complete snapshot, not older than
// the last one that was said to be written.
func TestSnapshotKill(t *testing.T) {
	dir, file := stateDir(t)
	const base = 10_000 // peers that are there from the first to the last
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	found := map[string]int{}
	for kill := range *kills {
		os.Remove(file)
		p, _, tcp, udp := startState(t, dir, "state")
		fillBase(t, udp, base)
		end := make(chan struct{})
		var load sync.WaitGroup
		load.Go(func() { // others come meanwhile
			for port := 1; ; port++ {
				select {
				case <-end:
					return
				default:
				}
				tryGet(tcp, announcePath('z', port%60000+1)) // in the end nobody answers
			}
		})
		written, takes := r.IntN(4), 10*time.Millisecond
		for range written {
			p.signal(syscall.SIGUSR2)
			_, text, _ := strings.Cut(p.says("tracker: snapshot state: "), " written in ")
			var err error
			if takes, err = time.ParseDuration(text); err != nil {
				t.Fatal(err)
			}
		}
		last := wallOf(t, file)
		p.signal(syscall.SIGUSR2)
		time.Sleep(time.Duration(r.Int64N(int64(takes) * 3 / 2))) // any moment will do
		p.stop(syscall.SIGKILL)
		close(end)
		load.Wait()
		if written == 0 && wallOf(t, file) == 0 {
			found["none"]++
			continue
		}
		if is := wallOf(t, file); is < last {
			t.Fatalf("kill %d: the snapshot is older than the last one", kill)
		} else if is > last {
			found["the next"]++
		} else {
			found["the last"]++
		}
		checkBase(t, file, base)
	}
	t.Logf("of %d snapshots, there was: %v", *kills, found)
}

// fillBase announces n peers of as many torrents over UDP.
func fillBase(t *testing.T, to string, n int) {
	t.Helper()
	id := connectUDP(t, to)
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	answer := make([]byte, 1500)
	for i := range n {
		if _, err := c.Write(announceOf(id, i)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(answer); err != nil || answer[3] != 1 {
			t.Fatalf("announce: %q, %v", answer[:20], err)
		}
	}
}

// announceOf returns an announce for a torrent of fillBase.
func announceOf(id []byte, i int) []byte {
	b := append(append([]byte(nil), id...), 0, 0, 0, 1, 0, 0, 0, 1)
	ih := baseHash(i)
	b = append(append(b, ih[:]...), make([]byte, 98-36)...)
	b[71] = 1                 // left
	b[96], b[97] = 0x1a, 0xe1 // port
	return b
}

func baseHash(i int) (ih proto.Infohash) {
	copy(ih[:], fmt.Sprintf("base %d", i))
	return ih
}

// wallOf returns when a snapshot was begun, or 0 if there is none.
func wallOf(t *testing.T, file string) int64 {
	t.Helper()
	f, err := os.Open(file)
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	from, err := store.ReadSnapshot(f)
	if err != nil {
		t.Fatal(err)
	}
	return from.Wall
}

// checkBase checks that the snapshot loads and has the n peers of fillBase.
func checkBase(t *testing.T, file string, n int) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := store.New(store.Options{Shards: 1})
	from, err := store.ReadSnapshot(f)
	if err == nil {
		_, err = s.LoadSnapshot(from, 1000, 0, func(*proto.Infohash) bool { return true })
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		ih := baseHash(i)
		if c, ok := s.Scrape(&ih); !ok || c.Incomplete != 1 {
			t.Fatalf("torrent %d: %+v, %v", i, c, ok)
		}
	}
}
