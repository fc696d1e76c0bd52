package cluster

import (
	"net"
	"time"

	"github.com/nats-io/nats.go"
)

// Bounds of what may wait in the broker's client, which is ours while the broker
// or the store is slow.
const (
	writeLimit      = 2 * time.Second // then the broker is given up
	reconnectPause  = 250 * time.Millisecond
	pendingMessages = 4096
	pendingBytes    = 16 << 20
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
		nats.Name(n.cfg.Name), nats.NoEcho(), nats.IgnoreDiscoveredServers(),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1),
		nats.ReconnectWait(reconnectPause), nats.ReconnectJitter(reconnectPause, reconnectPause),
		nats.FlusherTimeout(writeLimit), nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2),
		nats.ConnectHandler(n.up),
		nats.ReconnectHandler(n.up),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { n.down(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { n.trouble(err) }),
	}
	if n.cfg.Dial != nil {
		opts = append(opts, nats.SetCustomDialer(dialer(n.cfg.Dial)), nats.SkipHostLookup())
	}
	if n.cfg.TLS != nil {
		opts = append(opts, nats.Secure(n.cfg.TLS))
	}
	if n.cfg.Credentials != nil {
		opts = append(opts, nats.UserCredentialBytes(n.cfg.Credentials))
	}
	return opts
}

// connect finds a broker, which may take for ever, and listens.
func (n *Node) connect() {
	defer n.running.Done()
	urls := ""
	for i, u := range n.cfg.URLs {
		if i > 0 {
			urls += ","
		}
		urls += u.String()
	}
	c, err := nats.Connect(urls, n.options()...)
	if err != nil {
		n.cfg.Logf(Error, "cluster", "no broker can be used: %v", err)
		return
	}
	n.conn.Store(c)
	if err := n.listen(c); err != nil {
		n.cfg.Logf(Error, "cluster", "nothing can be heard from others: %v", err)
	}
	if c.IsConnected() {
		n.up(c)
	}
}

// listen subscribes to what others say.
func (n *Node) listen(c *nats.Conn) error {
	batches := newInbox(n)
	for subject, fn := range map[string]func(*nats.Msg){
		n.subject("batch"): func(m *nats.Msg) { n.heardBatch(batches, m.Data) },
	} {
		s, err := c.Subscribe(subject, fn)
		if err != nil {
			return err
		}
		if err := s.SetPendingLimits(pendingMessages, pendingBytes); err != nil {
			return err
		}
	}
	return nil
}

// subject returns the name of a subject.
func (n *Node) subject(what string) string { return n.cfg.Subject + ".v1." + what }

func (n *Node) up(c *nats.Conn) {
	n.conn.Store(c)
	if !n.connected.Swap(true) {
		n.cfg.Logf(Info, "cluster", "connected to %s", c.ConnectedAddr())
	}
}

func (n *Node) down(err error) {
	if n.connected.Swap(false) {
		n.cfg.Logf(Warning, "cluster", "no connection to a broker: %v", err)
	}
}

func (n *Node) trouble(err error) { n.cfg.Logf(Warning, "cluster", "%v", err) }

// send sends msg, or reports that it cannot be sent.
func (n *Node) send(subject string, msg []byte) bool {
	c := n.conn.Load()
	if c == nil || !n.connected.Load() || c.Publish(subject, msg) != nil {
		return false
	}
	n.count.bytesSent.Add(uint64(len(msg)))
	return true
}

// heardBatch applies a batch.
func (n *Node) heardBatch(in *inbox, msg []byte) {
	n.count.bytesReceived.Add(uint64(len(msg)))
	var h header
	body, ok := parseHeader(msg, &h)
	if !ok || h.kind != kindBatch || h.sender == n.id {
		n.count.rejected.Add(1)
		return
	}
	in.late, in.repair = false, false
	if !parseBatch(body, n.clock.seconds(), in.add) {
		n.count.rejected.Add(1)
		return
	}
	in.apply()
	n.count.batchesReceived.Add(1)
}
