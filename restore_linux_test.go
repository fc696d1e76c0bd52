package main

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tracker/proto"
	"tracker/store"
)

var localhost = netip.MustParseAddr("127.0.0.1")

// writeTwo writes a snapshot with a peer in each of two torrents, and the secret
// 1, that was begun at wall.
func writeTwo(t *testing.T, file string, wall int64) {
	t.Helper()
	s, rnd, a := store.New(store.Options{Shards: 1}), store.NewRand(1), store.Answer{}
	for _, ih := range []byte("ab") {
		q := store.Query{Peer: proto.MakePeer(localhost, 6881)}
		for i := range q.Infohash {
			q.Infohash[i] = ih
		}
		s.Announce(&q, 1000, rnd, &a)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := store.SnapshotHeader{Wall: wall, Clock: time.Hour.Milliseconds(), Secret: [16]byte{1}}
	if _, err := s.WriteSnapshot(f, &h, 1000); err != nil {
		t.Fatal(err)
	}
}

// TestSnapshotAges loads what is left after some time, and takes a snapshot from
// a clock that was not set for new. The ids of that are not used: nobody knows
// which of them are old.
func TestSnapshotAges(t *testing.T) {
	key := proto.MakeConnKey([16]byte{1})
	for _, tt := range []struct {
		wall int64
		says string
		good bool
	}{
		{time.Now().UnixMilli(), " old; 2 of its 2 peers loaded, in 2 torrents\n", true},
		{time.Now().Add(-49 * time.Minute).UnixMilli(), " old; 2 of its 2 peers loaded, in 2 torrents\n", true},
		{time.Now().Add(-51 * time.Minute).UnixMilli(), " old; 0 of its 2 peers loaded, in 0 torrents\n", true},
		{1_000_000, ": of unknown age, because the clock is not set, and taken for new; 2 of its 2 peers loaded, in 2 torrents\n", false},
	} {
		dir, file := stateDir(t)
		writeTwo(t, file, tt.wall)
		p, says, _, udp := startState(t, dir, "state")
		if !strings.Contains(says, tt.says) {
			t.Errorf("says %q, want %q", says, tt.says)
		}
		id := key.ID(localhost, 1) // the hour that the snapshot says, and none of these is later
		if good := idIsGood(t, udp, binary.BigEndian.AppendUint64(nil, uint64(id))); good != tt.good {
			t.Errorf("%s: its ids are good: %v", tt.says, good)
		}
		p.stop(syscall.SIGTERM)
	}
}

// TestSnapshotLists leaves out what the lists do not allow, unless they cannot be
// read: that would empty the next snapshot.
func TestSnapshotLists(t *testing.T) {
	dir, file := stateDir(t)
	list := filepath.Join(dir, "list")
	for what, says := range map[string]string{"b": "; 1 of its 2 peers loaded, in 1 torrents\n", "": "; 2 of its 2 peers loaded, in 2 torrents\n"} {
		writeTwo(t, file, time.Now().UnixMilli())
		writeList(t, list, what)
		p, said, _, _ := startState(t, dir, "state", "access.whitelist list")
		if !strings.Contains(said, says) {
			t.Errorf("with a whitelist of %q it says %q", what, said)
		}
		p.stop(syscall.SIGKILL)
	}
}

// TestElapsed takes the difference of wall clocks for what it is worth.
func TestElapsed(t *testing.T) {
	const now = clockSet + 1_000_000_000
	for _, tt := range []struct {
		was, now int64
		want     time.Duration
		known    bool
	}{
		{now - 5000, now, 5 * time.Second, true},
		{now, now, 0, true},
		{now + 5000, now, 0, true},   // set back
		{500_000, now, 0, false},     // written before the clock was set
		{now, 500_000, 0, false},     // not set yet
		{500_000, 600_000, 0, false}, // never set
		{clockSet, 1 << 62, maxAway, true},
		{-1 << 63, now, 0, false},
		{1<<63 - 1, now, 0, true},
	} {
		if got, known := elapsed(tt.was, tt.now); got != tt.want || known != tt.known {
			t.Errorf("from %d to %d: %v, %v, want %v, %v", tt.was, tt.now, got, known, tt.want, tt.known)
		}
	}
	for _, tt := range []struct {
		clock int64
		away  time.Duration
		want  store.Minute
	}{
		{0, 59 * time.Second, 0},
		{59_999, time.Millisecond, 1},
		{600_000, time.Hour, 60},
		{-1, 0, 0},
		{-1, time.Millisecond, 1},
		{0, maxAway, 100 * 365 * 24 * 60},
	} {
		if got := minutes(tt.clock, tt.away); got != tt.want {
			t.Errorf("%v after %d: %d minutes, want %d", tt.away, tt.clock, got, tt.want)
		}
	}
}
