//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const (
	fewDescriptors  = 64
	manyConnections = 200
)

// TestFewDescriptors opens more connections than the tracker may have files.
// An accept that fails must not be the end of the listener: UDP is served
// during the flood, and everything after it.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "tracker.sh")
	text := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %s \"$@\"\n", fewDescriptors, tracker(t))
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, script)
	t.Cleanup(func() { s.stopTracker(t) })
	for range 2 { // what one flood used up must be there for the next
		held := flood(s)
		if len(held) < fewDescriptors {
			t.Errorf("only %d connections: that is no flood", len(held))
		}
		if len(s.connID(t, local)) != 8 {
			t.Error("no connection id during the flood")
		}
		for _, c := range held {
			c.Close()
		}
		// A connection too many may be closed at once, and the tracker may need
		// a moment to see that there is room again.
		if !await(time.Now().Add(answerLimit), s.process, func() bool { return s.get(t, local, "/") != "" }) {
			t.Fatalf("no answer within %v after the flood", answerLimit)
		}
		s.goesOn(t)
	}
}

// flood opens as many connections as it can get out of manyConnections. Once
// the tracker accepts no more they queue in the kernel, and then hang.
func flood(s *server) []net.Conn {
	var wait sync.WaitGroup
	var mu sync.Mutex
	var held []net.Conn
	for range manyConnections {
		wait.Go(func() {
			c, err := net.DialTimeout("tcp4", s.addr.String(), time.Second)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			held = append(held, c)
		})
	}
	wait.Wait()
	return held
}
