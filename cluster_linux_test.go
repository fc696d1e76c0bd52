package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tracker/handover"
	"tracker/store"
)

// startBroker starts a NATS server with these flags, until the test ends, and
// returns its port.
func startBroker(t *testing.T, flags ...string) string {
	t.Helper()
	program, err := exec.LookPath("nats-server")
	if err != nil {
		t.Fatal("nats-server is needed: apt-get install nats-server")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	cmd := exec.Command(program, append([]string{"-a", "127.0.0.1", "-p", port}, flags...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	until(t, patience, "the NATS server answers", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return port
}

// quiet has what p says be thrown away: which lines there are of others, and when,
// is up to them.
func (p *process) quiet() {
	p.late.Reset(3 * patience)
	go io.Copy(io.Discard, p.lines)
}

// listens returns where p says that it listens, between whatever lines there are
// of others, and has what it says from then on be thrown away.
func (p *process) listens() (tcp, udp string) {
	tcp, udp = p.saysSoon("listening on tcp "), p.saysSoon("listening on udp ")
	p.quiet()
	return tcp, udp
}

// mates returns how many others a tracker knows, or -1 if it is not complete.
func mates(t *testing.T, tcp string) int {
	t.Helper()
	var got struct {
		Cluster struct {
			Connected, Complete bool
			Members             []struct{}
		}
	}
	if err := json.Unmarshal([]byte(get(t, tcp, "/stats.json")), &got); err != nil {
		t.Fatal(err)
	}
	if !got.Cluster.Connected || !got.Cluster.Complete {
		return -1
	}
	return len(got.Cluster.Members)
}

// awaitMates waits until a tracker knows n others.
func awaitMates(t *testing.T, tcp string, n int) {
	t.Helper()
	until(t, 2*patience, fmt.Sprintf("it knows %d others", n), func() bool { return mates(t, tcp) == n })
}

// hasPeer reports whether a tracker hands out the peer at port of a torrent.
func hasPeer(t *testing.T, tcp string, ih byte, port int) bool {
	t.Helper()
	return strings.Contains(get(t, tcp, announcePath(ih, 1)+"&compact=1"), string([]byte{127, 0, 0, 1, byte(port >> 8), byte(port)}))
}

// TestAlone checks that nothing of package cluster runs in a tracker that is
// alone, and that it would be seen if it did.
func TestAlone(t *testing.T) {
	for _, tt := range []struct {
		conf string
		want bool
	}{{"", false}, {"cluster.url nats://127.0.0.1:1", true}} {
		p := startIn(t, publicDir(t), "-f", confFile(t, tt.conf, "listen.tcp 127.0.0.1:0", "access.stats 127.0.0.1"))
		tcp := p.saysSoon("listening on tcp ")
		p.quiet()
		stacks := get(t, tcp, "/debug/pprof/goroutine?debug=1")
		if !strings.Contains(stacks, "tracker/loop") {
			t.Fatalf("no stacks in %q", stacks)
		}
		for _, part := range []string{"tracker/cluster", "nats.go"} {
			if got := strings.Contains(stacks, part); got != tt.want && (part != "nats.go" || got) {
				t.Errorf("%q: %s runs: %v", tt.conf, part, got)
			}
		}
		if got := strings.Contains(get(t, tcp, "/stats.json"), `"cluster"`) || strings.Contains(get(t, tcp, "/metrics"), "tracker_cluster"); got != tt.want {
			t.Errorf("%q: it tells of a cluster: %v", tt.conf, got)
		}
		p.signal(syscall.SIGTERM)
		p.cmd.Wait()
	}
}

// TestNoClusterOnRouters checks that a build for routers says that it has none.
func TestNoClusterOnRouters(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "tracker")
	if out, err := exec.Command("go", "build", "-tags", "router", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	name := confFile(t, "cluster.url nats://127.0.0.1")
	out, err := exec.Command(binary, "-t", "-f", name).CombinedOutput()
	const want = ":1: cluster.url is not part of this build, which is one for routers; use an ordinary one\n"
	if err == nil || !strings.HasSuffix(string(out), want) {
		t.Errorf("%v, it says %q", err, out)
	}
}

// TestClusterMistakes checks what is said about files that are of no use, and
// about servers that are not there.
func TestClusterMistakes(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"empty": "", "rubbish": "rubbish\n"} {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ conf, want string }{
		{"cluster.credentials " + path("missing"), "no such file or directory"},
		{"cluster.credentials " + path("empty"), "it is empty"},
		{"cluster.credentials " + dir, "is a directory"},
		{"cluster.tls.ca " + path("rubbish"), "there is no certificate in it"},
		{"cluster.tls.cert " + path("rubbish") + "\ncluster.tls.key " + path("rubbish"), "tls: failed to find any PEM data in certificate input"},
	} {
		name := confFile(t, "cluster.url nats://127.0.0.1:1", tt.conf)
		p := startTracker(t, "-t", "-f", name)
		key, _, _ := strings.Cut(tt.conf, " ")
		if said := p.says("tracker: " + name + ":2: " + key); !strings.HasSuffix(said, ": "+tt.want) {
			t.Errorf("%s: it says %q, want %q", tt.conf, said, tt.want)
		}
		p.ends(1)
	}
	p := startTracker(t, "-t", "-d", publicDir(t), "-f", confFile(t, "cluster.url nats://127.0.0.1:1", "listen.tcp 127.0.0.1:0"))
	p.says("tracker: self-check: cluster: 127.0.0.1:1 cannot be reached: connection refused; looking again")
	p.says("tracker: OK")
	p.ends(0)
}

// TestClusterInside has two trackers that were started as root, and are in their
// chroots and sandboxes, speak with a server that wants TLS, a certificate of
// them, and a password. One of them is replaced, and then the server goes.
func TestClusterInside(t *testing.T) {
	asRoot(t)
	pki := makePKI(t)
	port := startBroker(t, "--user", "tracker", "--pass", "secret",
		"--tls", "--tlsverify", "--tlscert", pki.cert, "--tlskey", pki.key, "--tlscacert", pki.ca)
	conf := []string{
		"cluster.url tls://tracker:secret@localhost:" + port, // a name, which is looked up outside
		"cluster.tls.ca " + pki.ca, "cluster.tls.cert " + pki.cert, "cluster.tls.key " + pki.key, "cluster.batch 100",
	}
	start := func(h *house) (p *process, tcp, udp string) {
		p = h.start(nil, append(conf, "listen.tcp_udp 127.0.0.1:0")...)
		tcp, udp = p.listens()
		return p, tcp, udp
	}
	one, two := newHouse(t), newHouse(t)
	p, tcp, udp := start(one)
	_, other, _ := start(two)
	awaitMates(t, tcp, 1)
	get(t, tcp, announcePath('a', 1000))
	until(t, patience, "the other hands out a peer", func() bool { return hasPeer(t, other, 'a', 1000) })

	next := one.start(replaceFlag, append(conf, listen(tcp, udp)...)...)
	next.quiet()
	p.cmd.Wait()
	awaitMates(t, tcp, 1)
	if !hasPeer(t, tcp, 'a', 1000) {
		t.Error("the one that replaces does not know the peer")
	}
	get(t, tcp, announcePath('b', 1001))
	until(t, patience, "the other hands out a peer of the one that replaces", func() bool { return hasPeer(t, other, 'b', 1001) })
	get(t, other, announcePath('c', 1002))
	until(t, patience, "the one that replaces hands out a peer of the other", func() bool { return hasPeer(t, tcp, 'c', 1002) })
	if got := p.cmd.ProcessState.ExitCode(); got != 0 {
		t.Errorf("the one that was replaced: %v", p.cmd.ProcessState)
	}
	next.signal(syscall.SIGTERM)
	next.cmd.Wait()
	if got := next.cmd.ProcessState.ExitCode(); got != 0 {
		t.Errorf("%v", next.cmd.ProcessState)
	}
	awaitMates(t, other, 0)
}

// TestClusterGoesOn fails to replace a tracker, which goes on as one of several.
func TestClusterGoesOn(t *testing.T) {
	port := startBroker(t)
	conf := []string{"cluster.url nats://127.0.0.1:" + port, "cluster.batch 100", "log.level error"}
	first := func(h *house, name string) (p *process, tcp string) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp = l.Addr().String()
		l.Close()
		p = h.start(nil, append(conf, "cluster.name "+name, "listen.tcp "+tcp)...)
		p.quiet()
		until(t, patience, "it serves", func() bool { _, err := tryGet(tcp, "/healthz"); return err == nil })
		return p, tcp
	}
	one, two := newHouse(t), newHouse(t)
	p, tcp := first(one, "one")
	_, other := first(two, "two")
	awaitMates(t, tcp, 1)
	for range 3 { // heirs that go when they were given everything
		peer, err := handover.Dial(one.socket)
		if err != nil {
			t.Fatal(err)
		}
		peer.Send(msgHello, hello{handoverVersion, store.Layout(store.Limits{})}.append(nil))
		peer.Send(msgReady, nil)
		for m, err := peer.Receive(); err == nil && m.Kind != msgEnd; m, err = peer.Receive() {
		}
		peer.Close()
		until(t, patience, "it serves", func() bool { _, err := tryGet(tcp, "/healthz"); return err == nil })
	}
	if p.hasEnded() {
		t.Fatal("it has ended")
	}
	awaitMates(t, tcp, 1)
	get(t, tcp, announcePath('a', 1000))
	until(t, patience, "the other hands out a peer", func() bool { return hasPeer(t, other, 'a', 1000) })
}

// A pki is an authority, and a certificate of it for localhost with its key.
type pki struct{ ca, cert, key string }

// makePKI writes one. Only root may read the key, as it should be.
func makePKI(t *testing.T) (p pki) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []*x509.Certificate{authority, leaf} {
		b, err := x509.CreateCertificate(rand.Reader, c, authority, &keys[i].PublicKey, keys[0])
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			p.ca = write("ca.pem", "CERTIFICATE", b)
		} else {
			p.cert = write("cert.pem", "CERTIFICATE", b)
		}
	}
	b, err := x509.MarshalPKCS8PrivateKey(keys[1])
	if err != nil {
		t.Fatal(err)
	}
	p.key = write("key.pem", "PRIVATE KEY", b)
	return p
}
