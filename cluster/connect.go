package cluster

import (
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	writeLimit     = 2 * time.Second // then the broker is given up
	reconnectPause = 250 * time.Millisecond
)

// dialer is what the client of the broker connects with.
type dialer func(network, address string) (net.Conn, error)

// Dial calls d.
func (d dialer) Dial(network, address string) (net.Conn, error) { return d(network, address) }

// SkipTLSHandshake says that d does not speak TLS itself.
func (d dialer) SkipTLSHandshake() bool { return false }

// options returns how the brokers are spoken to: for ever, without keeping
// anything for later, and without hearing oneself.
func (n *Node) options() []nats.Option {
	opts := []nats.Option{
		nats.Name(n.cfg.Name), nats.NoEcho(), nats.IgnoreDiscoveredServers(), nats.DontRandomize(),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(reconnectPause), nats.ReconnectJitter(reconnectPause, reconnectPause),
		nats.FlusherTimeout(writeLimit), nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(n.up),
		nats.ReconnectHandler(n.up),
		nats.IgnoreAuthErrorAbort(), nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { n.unreachable(err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(n.closed) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { n.down(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { n.trouble(err) }),
	}
	opts = append(opts, nats.SetCustomDialer(dialer(n.dial)), nats.SkipHostLookup())
	if n.cfg.TLS != nil {
		opts = append(opts, nats.Secure(n.cfg.TLS))
	}
	if n.cfg.Credentials != nil {
		opts = append(opts, nats.UserCredentialBytes(n.cfg.Credentials))
	}
	return opts
}

// dial connects to a broker.
func (n *Node) dial(network, address string) (net.Conn, error) {
	c, err := n.cfg.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return &paced{Conn: c, rate: n.cfg.Waiting * readRate}, nil
}

// connect finds a broker, which may take for ever, and listens. Nobody waits for it.
func (n *Node) connect() {
	urls := ""
	for i, u := range n.cfg.URLs {
		if i > 0 {
			urls += ","
		}
		urls += u.String()
	}
	c, err := nats.Connect(urls, n.options()...)
	if err != nil {
		n.log(Error, "cluster", "no broker can be used: %v", err)
		return
	}
	n.conn.Store(c)
	if err := n.listen(c); err != nil {
		n.log(Error, "cluster", "nothing can be heard from others: %v", err)
	}
	if c.IsConnected() {
		n.up(c)
	}
	n.hearing.RLock()
	defer n.hearing.RUnlock()
	if n.deaf {
		c.Close() // Stop did not wait for the broker
	}
}

// listen subscribes to what others say. Each subject has a goroutine and an inbox
// of its own, so that a long answer keeps no batch waiting.
func (n *Node) listen(c *nats.Conn) error {
	batches, answers := newInbox(n), newInbox(n)
	share := n.cfg.Waiting / waitShares
	for _, l := range []struct {
		subject string
		pending int // bytes that may wait
		heard   func(h *header, body []byte) bool
	}{
		{n.subject("batch"), waitBatches * share, func(h *header, body []byte) bool { return n.heardBatch(batches, h, body) }},
		{n.subject("hello"), waitHellos * share, n.heardHello},
		{n.subject("digest"), waitDigests * share, n.heardDigest},
		{n.to("ask", n.id), waitQuestions * share, n.heardRequest},
		{n.to("to", n.id), waitAnswers * share, func(h *header, body []byte) bool { return n.heardAnswer(answers, h, body) }},
	} {
		s, err := c.Subscribe(l.subject, func(m *nats.Msg) { n.heard(m.Subject, m.Data, l.heard) })
		if err != nil {
			return err
		}
		if err := s.SetPendingLimits(max(l.pending/besideBytes, waitLeast), l.pending); err != nil {
			return err
		}
	}
	return nil
}

// heard takes in a message, and counts it if that cannot be right.
func (n *Node) heard(subject string, msg []byte, fn func(h *header, body []byte) bool) {
	n.hearing.RLock()
	defer n.hearing.RUnlock()
	if n.deaf {
		return
	}
	n.count.bytesReceived.Add(uint64(len(msg)))
	var h header
	if len(msg) > maxMessage {
		n.reject("%d bytes in %s", len(msg), subject) // without a look at all of them
	} else if body, ok := parseHeader(msg, &h); !ok || h.sender == n.id || !fn(&h, body) {
		n.reject("%d bytes in %s", len(msg), subject)
	}
}

// reject counts what could not be right, and says so now and then.
func (n *Node) reject(format string, args ...any) {
	n.count.rejected.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.rejectedAt) > time.Minute {
		n.rejectedAt = time.Now()
		n.log(Warning, "rejected", "from another tracker, of another version perhaps: "+format, args...)
	}
}

// heardBatch applies a batch, if it is not here already.
func (n *Node) heardBatch(in *inbox, h *header, body []byte) bool {
	if h.kind != kindBatch || !possibleBatch(body, n.clock.seconds()) {
		return false
	}
	a, ok := n.arrived(h)
	if !ok {
		return false
	}
	n.count.batchesReceived.Add(1)
	if a != repeated {
		in.late, in.repair = a == late, false
		eachRecord(body, in.add)
		in.apply()
	}
	return true
}

// heardAnswer takes in what was asked for.
func (n *Node) heardAnswer(in *inbox, h *header, body []byte) bool {
	switch h.kind {
	case kindChunk:
		return n.heardChunk(in, h, body)
	case kindContent:
		return n.heardContent(in, body)
	}
	return false
}

// subject returns the name of a subject.
func (n *Node) subject(what string) string { return n.cfg.Subject + ".v1." + what }

// to returns the subject of a member.
func (n *Node) to(what string, id uint64) string {
	return fmt.Sprintf("%s.%s.%016x", n.subject("")[:len(n.subject(""))-1], what, id)
}

// up notes that there is a broker.
func (n *Node) up(c *nats.Conn) {
	n.conn.Store(c)
	n.mu.Lock()
	n.upSince, n.greet = time.Now(), true
	n.mu.Unlock()
	if !n.connected.Swap(true) {
		n.log(Info, "cluster", "connected to %s", c.ConnectedAddr())
		if most := c.MaxPayload(); most > beingRead/4 {
			n.log(Warning, "cluster", "%s lets messages of %d bytes through, and the longest of a tracker has %d: say max_payload: 1MB there, or one that comes in may take more than limit.memory has room for",
				c.ConnectedAddr(), most, maxMessage)
		}
	}
}

// down notes that there is none.
func (n *Node) down(err error) {
	if n.connected.Swap(false) && err != nil {
		n.log(Warning, "cluster", "no connection to a broker: %v", err)
	}
}

// unreachable tells now and then why there is no broker.
func (n *Node) unreachable(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.unreachableAt) > time.Minute {
		n.unreachableAt = time.Now()
		n.log(Warning, "cluster", "no broker can be reached: %v", err)
	}
}

// trouble tells now and then what the client of the broker complains about:
// messages that it had no room for, most of all. A member can give it reason to as
// often as it likes.
func (n *Node) trouble(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.troubledAt) > time.Minute {
		n.troubledAt = time.Now()
		n.log(Warning, "cluster", "%v", err)
	}
}

// send sends msg, or reports that it cannot be sent.
func (n *Node) send(subject string, msg []byte) bool {
	c := n.conn.Load()
	if c == nil || !n.connected.Load() || c.Publish(subject, msg) != nil {
		return false
	}
	n.count.bytesSent.Add(uint64(len(msg)))
	return true
}
