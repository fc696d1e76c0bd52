package loop

import (
	"bytes"
	"encoding/binary"
	"net"
	"runtime"
	"strings"
	"testing"

	"tracker/proto"
)

// ask sends a datagram and returns the answer.
func ask(t testing.TB, c net.Conn, pkt []byte) []byte {
	t.Helper()
	if _, err := c.Write(pkt); err != nil {
		t.Fatal(err)
	}
	var buf [2048]byte
	n, err := c.Read(buf[:])
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return buf[:n]
}

// connect gets a connection id.
func connect(t testing.TB, c net.Conn) proto.ConnID {
	t.Helper()
	b := ask(t, c, udpRequest(proto.ConnIDMagic, 0, 99))
	if len(b) != 16 || binary.BigEndian.Uint64(b) != 99 {
		t.Fatalf("answer to connect: % x", b)
	}
	return proto.ConnID(binary.BigEndian.Uint64(b[8:]))
}

// transports runs f with each way to receive datagrams.
func transports(t *testing.T, f func(t *testing.T, tr Transport)) {
	if hasGnet {
		t.Run("gnet", func(t *testing.T) { f(t, TransportGnet) })
	}
	if hasBatches {
		t.Run("batches", func(t *testing.T) { f(t, TransportBatches) })
	}
}

// tcpLike returns tr, or what TCP has in its place: 386 has batches of datagrams
// alone.
func tcpLike(tr Transport) Transport {
	if tr == TransportBatches && !hasEpoll {
		return TransportAuto
	}
	return tr
}

func TestUDP(t *testing.T) {
	transports(t, func(t *testing.T, tr Transport) {
		s := serveTest(t, Config{UDP: tr})
		s.each(t, "udp", func(t *testing.T, to string) {
			c := dialTest(t, "udp", to)
			id := connect(t, c)
			for port := range uint16(300) { // peers, of whom only so many fit
				ask(t, c, udpAnnounceRequest(id, 'a', 1, port+1))
			}
			b := ask(t, c, udpAnnounceRequest(id, 'a', 1, 6881))
			want, local := 20+200*6, []byte{127, 0, 0, 1}
			if strings.HasPrefix(to, "[") {
				want, local = 20+66*18, []byte{15: 1}
			}
			if len(b) != want || b[3] != 1 || !bytes.Equal(b[20:20+len(local)], local) {
				t.Errorf("announce: %d bytes, want %d: % x", len(b), want, b[:20+len(local)])
			}
			b = ask(t, c, udpScrapeRequest(id, 'a', 'b'))
			if len(b) != 8+2*12 || b[3] != 2 || binary.BigEndian.Uint32(b[16:]) < 301 {
				t.Errorf("scrape: % x", b)
			}
			if b = ask(t, c, udpAnnounceRequest(id+1, 'a', 1, 1)); string(b[8:]) != string(proto.RefuseConnID) {
				t.Errorf("forged id: %q", b)
			}
			c.Write(make([]byte, 7)) // no answer
			c.Write(nil)             // nor to nothing
			c.Write(bytes.Repeat([]byte{'x'}, 9000))
			if got := connect(t, c); got != id {
				t.Errorf("after noise: connection id %x, was %x", got, id)
			}
		})
		// A burst that takes more than one batch is answered whole.
		c := dialTest(t, "udp", s.Addrs()[2].AddrPort.String())
		for range 3 * 64 {
			c.Write(udpRequest(proto.ConnIDMagic, 0, 1))
		}
		for i := range 3 * 64 {
			var b [64]byte
			if _, err := c.Read(b[:]); err != nil {
				t.Fatalf("answer %d of a burst: %v", i, err)
			}
		}
	})
}

// TestProcessors checks that every reactor has a processor of Go's and there is
// one more. Without, a busy UDP reactor keeps all others waiting.
func TestProcessors(t *testing.T) {
	s := serveTest(t, Config{
		Listen:      []Addr{addr("udp 127.0.0.1:0"), addr("udp 127.0.0.2:0"), addr("tcp 127.0.0.1:0")},
		TCPReactors: 3, UDPReactors: 3,
	})
	want := len(s.tcp) + len(s.udp) + len(s.gnetUDP) + 1
	if got := runtime.GOMAXPROCS(0); got < want {
		t.Errorf("GOMAXPROCS is %d, want %d", got, want)
	}
}
