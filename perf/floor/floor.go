// Package floor answers HTTP requests with gnet and nothing else: what a bare
// gnet answer costs.
//
// Our tracker is not over it where this is measured: on Linux package loop has
// event loops of its own, which register a connection nowhere if its first
// request is the only one, and may be below this.
//
// gnet is set up as package loop does it elsewhere, one event loop that accepts
// for itself, with the same read buffer, and every readable event is one read
// and one write. What is left out is all that makes a tracker: requests are
// told apart by the empty line at their end, nothing is parsed, nothing
// remembered, no idle connection closed, and the answer is always the same.
package floor

import (
	"bytes"
	"fmt"

	"github.com/panjf2000/gnet/v2"
)

// readBuffer is that of package loop, in bytes.
const readBuffer = 16 << 10

// peers is how many IPv4 peers the answer has, as many as those of the
// canonical workload carry on average.
const peers = 32

// answer returns one as long as a tracker's.
func answer(keep bool) []byte {
	body := "d8:completei12e10:downloadedi3e10:incompletei20e8:intervali1800e12:min intervali900e5:peers" +
		fmt.Sprintf("%d:%se", 6*peers, bytes.Repeat([]byte{7}, 6*peers))
	a := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n", len(body))
	if keep {
		a = append(a, "Connection: keep-alive\r\n"...)
	}
	return fmt.Appendf(a, "\r\n%s", body)
}

// Serve answers at a TCP address, "127.0.0.1:6969", until the system reports an
// error. A connection is closed after its first answer, or with keep when the
// client closes it.
func Serve(addr string, keep bool) error {
	return gnet.Rotate(&handler{keep: keep, answer: answer(keep)}, []string{"tcp://" + addr},
		gnet.WithReusePort(true), // also makes it one loop that accepts for itself
		gnet.WithNumEventLoop(1),
		gnet.WithReadBufferCap(readBuffer))
}

type handler struct {
	gnet.BuiltinEventEngine
	keep   bool
	answer []byte
	out    []byte
}

// OnTraffic implements [gnet.EventHandler]. Requests come whole: those of the
// generator are shorter than a segment.
func (h *handler) OnTraffic(c gnet.Conn) gnet.Action {
	in, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	h.out = h.out[:0]
	for range bytes.Count(in, []byte("\r\n\r\n")) {
		h.out = append(h.out, h.answer...)
	}
	if _, err := c.Write(h.out); err != nil || !h.keep {
		return gnet.Close
	}
	return gnet.None
}
