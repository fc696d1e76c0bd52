//go:build !router

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tracker/cluster"
	"tracker/config"
	"tracker/loop"
	"tracker/stats"
)

// A membership is what a tracker needs to be one of several that know the same
// peers; see package cluster for what they do. Nil says that it is alone.
//
// Names are looked up and files read before the cell is entered, because all of
// that lies outside. That a server is not there is a line of the log, and no
// reason not to serve.
type membership struct {
	urls        []*url.URL
	tls         *tls.Config // nil: nothing is encrypted
	credentials []byte
	host        string // what this machine is called
	resolver    net.Resolver

	mu    sync.Mutex
	known map[string][]netip.Addr // of the names in urls
	down  map[string]bool         // addresses that could not be reached

	node atomic.Pointer[cluster.Node] // nil while nothing is served
}

const (
	// maxClusterFile is the size of the largest file of credentials or
	// certificates, in bytes.
	maxClusterFile = 1 << 20
	// lookUpLimit is for all names together to be looked up at the start.
	lookUpLimit = 5 * time.Second
	// dialLimit is for a server to answer.
	dialLimit = 2 * time.Second
	// waitingShare is the share of limit.memory that messages of others have which
	// wait to be taken in.
	waitingShare = 16
	// clusterLeast is the least limit.memory, in bytes, that is worth having.
	clusterLeast = 32 << 20
	// brokerPort is that of NATS.
	brokerPort = "4222"
)

// newMembership returns what cfg asks for. The error says which file is of no
// use.
func newMembership(cfg *config.Config) (*membership, error) {
	if len(cfg.ClusterURL) == 0 {
		return nil, nil
	}
	m := &membership{
		known: make(map[string][]netip.Addr), down: make(map[string]bool),
		// C libraries may look for more of their own later, which is not there then.
		resolver: net.Resolver{PreferGo: true},
	}
	encrypted := cfg.ClusterCA+cfg.ClusterCert != ""
	for _, v := range cfg.ClusterURL {
		u, err := url.Parse(v)
		if err != nil {
			return nil, errors.New("cluster.url: not a URL") // config has seen to that
		}
		if u.Port() == "" {
			u.Host = net.JoinHostPort(u.Hostname(), brokerPort)
		}
		m.urls = append(m.urls, u)
		encrypted = encrypted || u.Scheme == "tls"
	}
	var err error
	if m.credentials, err = readFor(cfg, cfg.ClusterCredentials, "cluster.credentials"); err != nil {
		return nil, err
	}
	if encrypted {
		if m.tls, err = clusterTLS(cfg); err != nil {
			return nil, err
		}
	}
	m.host, _ = os.Hostname() // else it has none
	m.lookUp()
	return m, nil
}

// readFor returns the content of the file that key names, nil if it names none.
func readFor(cfg *config.Config, path, key string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	var b []byte
	if err == nil {
		defer f.Close() // it was only read
		b, err = io.ReadAll(io.LimitReader(f, maxClusterFile))
	}
	if err == nil && len(b) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Where(path, key), cause(err))
	}
	return b, nil
}

// clusterTLS returns how connections are encrypted.
func clusterTLS(cfg *config.Config) (*tls.Config, error) {
	c := new(tls.Config)
	ca, err := readFor(cfg, cfg.ClusterCA, "cluster.tls.ca")
	if err != nil {
		return nil, err
	}
	if ca == nil {
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("the authorities that the system trusts: %w; name a file with cluster.tls.ca", err)
		}
	} else if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s: there is no certificate in it", cfg.Where(cfg.ClusterCA, "cluster.tls.ca"))
	}
	cert, err := readFor(cfg, cfg.ClusterCert, "cluster.tls.cert")
	if err != nil || cert == nil {
		return c, err
	}
	key, err := readFor(cfg, cfg.ClusterKey, "cluster.tls.key")
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Where(cfg.ClusterCert, "cluster.tls.cert"), err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// lookUp looks all names up.
func (m *membership) lookUp() {
	ctx, cancel := context.WithTimeout(context.Background(), lookUpLimit)
	defer cancel()
	for _, u := range m.urls {
		host := u.Hostname()
		if m.known[host] != nil {
			continue
		}
		addrs, err := m.resolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			logf(warning, "cluster", "cluster: %v cannot be looked up: %v", as("server", host), as("error", reason(err)))
			continue
		}
		m.known[host] = addrs
	}
}

// reason returns what a person wants to know of an error on a network.
func reason(err error) string {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Err
	}
	return err.Error()
}

// dial connects to a server. Its addresses are those of the start, and if none of
// them answers those of now, where names can be looked up in the cell.
func (m *membership) dial(network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*dialLimit)
	defer cancel()
	m.mu.Lock()
	addrs := m.known[host]
	m.mu.Unlock()
	c, err := dialAny(ctx, network, addrs, port)
	if err != nil {
		if now, unknown := m.resolver.LookupNetIP(ctx, "ip", host); unknown == nil {
			m.mu.Lock()
			m.known[host] = now
			m.mu.Unlock()
			c, err = dialAny(ctx, network, now, port)
		}
	}
	m.tell(address, err)
	return c, err
}

var errUnknownHost = errors.New("its address is not known")

// dialAny connects to the first of addrs that answers.
func dialAny(ctx context.Context, network string, addrs []netip.Addr, port string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialLimit}
	err := errUnknownHost
	for _, a := range addrs {
		var c net.Conn
		if c, err = d.DialContext(ctx, network, net.JoinHostPort(a.Unmap().String(), port)); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// tell tells once that a server cannot be reached.
func (m *membership) tell(address string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if down := err != nil; down != m.down[address] {
		m.down[address] = down
		if down {
			logf(warning, "cluster", "self-check: cluster: %v cannot be reached: %v; looking again", as("server", address), as("error", reason(err)))
		}
	}
}

// checkUp looks whether servers can be reached.
func (m *membership) checkUp() {
	if m == nil {
		return
	}
	for _, u := range m.urls {
		if c, err := m.dial("tcp", u.Host); err == nil {
			c.Close() // nothing was said
		}
	}
}

// join has t speak to others from now on. It returns what tells them of
// announces to one reactor.
func (t *tracker) join(s *loop.Server) (func() loop.Sharer, error) {
	m, c := t.membership, t.cfg
	name := c.ClusterName
	if name == "" {
		host := m.host
		if addrs := s.Addrs(); len(addrs) > 0 {
			host = fmt.Sprintf("%s:%d", host, addrs[0].AddrPort.Port())
		}
		name = strings.Map(printing, host)
		name = name[max(0, len(name)-config.MaxClusterName):]
	}
	node, err := cluster.Start(cluster.Config{
		URLs: m.urls, Dial: m.dial, TLS: m.tls, Credentials: m.credentials,
		Subject: c.ClusterSubject, Name: name,
		Store: t.store, Allowed: t.allowed(), Local: t.local(), Minute: s.Minute, Keys: s,
		Batch: c.ClusterBatch, Waiting: int(min(t.ceiling.limit/waitingShare, math.MaxInt32)),
		Logf: func(at int, event, format string, args ...any) { logf(level(at), event, format, args...) },
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	m.node.Store(node)
	if most := t.ceiling.limit; most > 0 && most < clusterLeast {
		logf(warning, "cluster", "cluster: limit.memory is %v, and with a cluster less than %v leaves hardly any for peers; raise it", bytesAs("limit_bytes", most), bytesAs("least_bytes", clusterLeast))
	}
	return func() loop.Sharer { return node.Recorder() }, nil
}

// local returns what says whether a peer is of our LAN, nil if there is none.
// Elsewhere its address is that of somebody else.
func (t *tracker) local() func(compact []byte) bool {
	if t.border == nil {
		return nil
	}
	return t.border.lan.Holds
}

// printing makes a character of a name one that can be printed anywhere.
func printing(r rune) rune {
	if r <= ' ' || r > '~' || strings.ContainsRune(`"<\`, r) {
		return '_'
	}
	return r
}

// leave ends what join began. Nobody announces any more.
func (m *membership) leave() {
	if m == nil {
		return
	}
	if node := m.node.Swap(nil); node != nil {
		node.Stop()
	}
}

// status returns what there is to tell.
func (m *membership) status() (c stats.Cluster) {
	if node := m.node.Load(); node != nil {
		c = node.Status()
	}
	return c
}

// shareWith has announces told to others, if there are to be any.
func (t *tracker) shareWith(c *loop.Config) {
	if t.membership != nil {
		c.Join, c.WallMinutes, c.Cluster = t.join, true, t.membership.status
	}
}

// The interfaces of both packages agree.
var (
	_ cluster.Keys = (*loop.Server)(nil)
	_ loop.Sharer  = (*cluster.Recorder)(nil)
)
