//go:build !router || !linux || 386 || s390x

package loop

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"tracker/stats"
)

// TestEngineRestarts checks that an event loop that ends unasked is started
// again, and that clients who come meanwhile wait for it.
func TestEngineRestarts(t *testing.T) {
	said := make(chan string, 10)
	s := serveTest(t, Config{TCPReactors: 1, UDPReactors: 1, UDP: TransportGnet, TCP: TransportGnet, Logf: func(_ Level, _, format string, args ...any) {
		if line := fmt.Sprintf(format, args...); strings.HasPrefix(line, "event loop ended") {
			said <- line
		}
	}})
	held := dialTest(t, "tcp", s.Addrs()[0].AddrPort.String())
	io.WriteString(held, keep)
	readResponse(t, bufio.NewReader(held))
	for range 3 {
		s.tcp[0].stop()
		s.gnetUDP[0].stop()
		<-said
		<-said
		s.each(t, "tcp", func(t *testing.T, to string) {
			c := dialTest(t, "tcp", to)
			io.WriteString(c, dont)
			readResponse(t, bufio.NewReader(c))
		})
		s.each(t, "udp", func(t *testing.T, to string) { connect(t, dialTest(t, "udp", to)) })
	}
	totals := s.Totals()
	if n := totals.Sum(stats.EngineRestarts); n != 6 {
		t.Errorf("%d restarts counted, want 6", n)
	}
	s.waitIdle(t)
}

// TestStopRestarting stops a server while an engine of it is being started
// again, at many moments.
func TestStopRestarting(t *testing.T) {
	quiet := func(Level, string, string, ...any) {} // it will say that it starts again
	for i := range 20 {
		s := serveTest(t, Config{TCPReactors: 1, TCP: TransportGnet, Listen: []Addr{addr("tcp 127.0.0.1:0")}, Logf: quiet})
		s.tcp[0].stop()
		time.Sleep(restartMin + time.Duration(i-10)*time.Millisecond/2)
		stopped := make(chan struct{})
		go func() {
			s.Stop()
			close(stopped)
		}()
		select {
		case <-stopped:
		case <-time.After(patience):
			t.Fatal("Stop does not return")
		}
	}
}

// TestConnsOverGnet runs the tests of connections once more, where they are
// not gnet's by default.
func TestConnsOverGnet(t *testing.T) {
	if !hasEpoll {
		return // it was gnet
	}
	defer func() { tcpOfTests = TransportAuto }()
	tcpOfTests = TransportGnet
	t.Run("HTTP", TestHTTP)
	t.Run("HalfClosed", TestHalfClosed)
	t.Run("Idle", TestIdle)
	t.Run("DoesNotRead", TestDoesNotRead)
	t.Run("ReadsLate", TestReadsLate)
	t.Run("HalfClosedReadsLate", TestHalfClosedReadsLate)
	t.Run("TalksOn", TestTalksOn)
	t.Run("Cap", TestCap)
	t.Run("PROXYConnections", TestPROXYConnections)
	t.Run("Unproxied", TestUnproxied)
	t.Run("LongAnswers", TestLongAnswers)
	t.Run("ProfileAlone", TestProfileAlone)
	t.Run("ProfileCut", TestProfileCut)
}
