//go:build linux

package e2e

import (
	"crypto/sha1"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The cast. Everyone has an address of the loopback network, so that who is
// who can be told by address.
const (
	proxyAddr  = "127.69.0.1" // where proxies listen and what they connect from; trusted
	clientAddr = "127.69.0.7"
	liarAddr   = "127.69.0.66" // neither a proxy nor to be believed
	victim     = "203.0.113.9" // whom the liar points at
)

// startProxied starts a tracker that trusts proxyAddr, with a listener for
// PROXY headers at the port returned, and what else is in the config.
func startProxied(t *testing.T, config string) (s *server, proxied netip.AddrPort) {
	t.Helper()
	proxied = netip.AddrPortFrom(netip.MustParseAddr(proxyAddr), freePort(t).Port())
	path := filepath.Join(t.TempDir(), "tracker.conf")
	config += fmt.Sprintf("access.proxy %s\nlisten.tcp_proxy %s\n", proxyAddr, proxied)
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return startTracker(t, "-f", path), proxied
}

// startNginx runs nginx with one more header in front of a tracker, and returns
// where it listens.
func startNginx(t *testing.T, s *server, header string) (at string) {
	t.Helper()
	port := freePort(t).Port()
	at = fmt.Sprintf("%s:%d", proxyAddr, port)
	dir := t.TempDir()
	var temps string
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temps += fmt.Sprintf("%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	path := filepath.Join(dir, "nginx.conf")
	config := fmt.Sprintf(`daemon off;
master_process off;
pid %s/pid;
error_log stderr warn;
events {}
http {
access_log off;
%s
upstream tracker { server %s; keepalive 1; }
server {
listen %s;
location / {
proxy_pass http://tracker;
proxy_http_version 1.1;
proxy_set_header Connection "";
proxy_set_header %s;
proxy_bind %s;
}
}
}
`, dir, temps, s.addr, at, header, proxyAddr)
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	awaitListening(t, start(t, exec.Command(need(t, "nginx", "nginx"), "-c", path, "-p", dir, "-e", "stderr")), port)
	return at
}

// startHAProxy runs haproxy with these ways to a tracker, by the options of
// the mode and of the server. It returns where it listens for each.
func startHAProxy(t *testing.T, ways [][3]string) (at []string) {
	t.Helper()
	config := "defaults\ntimeout connect 5s\ntimeout client 20s\ntimeout server 20s\n"
	var last uint16
	for i, way := range ways {
		last = freePort(t).Port()
		at = append(at, fmt.Sprintf("%s:%d", proxyAddr, last))
		config += fmt.Sprintf("listen way%d\nmode %s\nbind %s\nbind [::1]:%d\nsource %s\nserver tracker %s %s\n",
			i, way[0], at[i], last, proxyAddr, way[1], way[2])
	}
	path := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	awaitListening(t, start(t, exec.Command(need(t, "haproxy", "haproxy"), "-db", "-f", path)), last)
	return at
}

// awaitListening waits until p listens on port over TCP.
func awaitListening(t *testing.T, p *process, port uint16) {
	t.Helper()
	if !await(time.Now().Add(startLimit), p, func() bool { return tcpListens(p.cmd.Process.Pid, port) }) {
		t.Fatalf("%v does not listen on port %d\n%s", p.cmd, port, &p.out)
	}
}

// curlAnnounce announces from the address src through a proxy, with more
// headers, and fails unless that is answered as an announce.
func curlAnnounce(t *testing.T, src, at string, ih [20]byte, port int, headers ...string) {
	t.Helper()
	args := []string{"-sS", "--max-time", fmt.Sprint(answerLimit.Seconds()), "--interface", src}
	for _, h := range headers {
		args = append(args, "-H", h)
	}
	url := fmt.Sprintf("http://%s/announce?info_hash=%s&port=%d&left=1", at, percent(ih[:]), port)
	out, err := exec.Command(need(t, "curl", "curl"), append(args, url)...).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "d8:complete") {
		t.Errorf("announce from %s to %s with %q: %q, %v", src, at, headers, out, err)
	}
}

// announceDirect announces from src to the tracker itself.
func (s *server) announceDirect(t *testing.T, src string, ih [20]byte, port int, headers string) {
	t.Helper()
	request := fmt.Sprintf("GET /announce?info_hash=%s&port=%d&left=1 HTTP/1.1\r\n%s\r\n", percent(ih[:]), port, headers)
	if got, _ := s.http(t, src, answerLimit, []byte(request)); !strings.HasPrefix(string(got), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("announce from %s with %q: %q", src, headers, got)
	}
}

// expectPeers sees that who asks is given these peers of a torrent, in the
// order of their addresses, and no others.
func (s *server) expectPeers(t *testing.T, ih [20]byte, want ...string) {
	t.Helper()
	text, _ := readableHTTP(question{}, []byte(s.get(t, "127.69.0.2", fmt.Sprintf("/announce?info_hash=%s&port=1&left=1", percent(ih[:])))))
	if want := peersHTTP(0, 0, len(want)+1, want...); text != want {
		t.Errorf("peers:\n got %q\nwant %q", text, want)
	}
}

const (
	forgedList = "X-Forwarded-For: " + victim
	forgedReal = "X-Real-IP: " + victim
)

func TestNginx(t *testing.T) {
	t.Parallel()
	s, _ := startProxied(t, "")
	at := startNginx(t, s, "X-Forwarded-For $proxy_add_x_forwarded_for")
	ih := torrentOf(t)
	curlAnnounce(t, clientAddr, at, ih, 7001)
	first := s.upstream(t)
	curlAnnounce(t, clientAddr, at, ih, 7002)
	curlAnnounce(t, liarAddr, at, ih, 7003, forgedList, forgedReal)
	curlAnnounce(t, liarAddr, at, ih, 7004, forgedList+", "+proxyAddr)
	s.announceDirect(t, liarAddr, ih, 7005, forgedList+"\r\n"+forgedReal+"\r\n")
	if last := s.upstream(t); len(first) != 1 || !slices.Equal(first, last) {
		t.Errorf("nginx had the connections %v, now %v, want one that stays", first, last)
	}
	s.expectPeers(t, ih, clientAddr+":7001", clientAddr+":7002", liarAddr+":7003", liarAddr+":7004", liarAddr+":7005")
}

// upstream returns the connections that proxies have to the tracker.
func (s *server) upstream(t *testing.T) (all []string) {
	t.Helper()
	a := netip.MustParseAddr(proxyAddr).As4()
	here, there := fmt.Sprintf(":%04X", s.addr.Port()), fmt.Sprintf("%02X%02X%02X%02X:", a[3], a[2], a[1], a[0])
	const established = "01"
	anySocket(s.cmd.Process.Pid, "tcp", func(f []string) bool {
		if f[3] == established && strings.HasSuffix(f[1], here) && strings.Contains(f[2], there) {
			all = append(all, f[2])
		}
		return false
	})
	slices.Sort(all) // /proc may list a connection twice while others come and go
	return slices.Compact(all)
}

// TestNginxRealIP has nginx set X-Real-IP alone and pass on what clients say in
// X-Forwarded-For.
func TestNginxRealIP(t *testing.T) {
	t.Parallel()
	s, _ := startProxied(t, "access.real_ip on\n")
	at := startNginx(t, s, "X-Real-IP $remote_addr")
	ih := torrentOf(t)
	curlAnnounce(t, clientAddr, at, ih, 7001)
	curlAnnounce(t, liarAddr, at, ih, 7002, forgedList, forgedReal)
	s.announceDirect(t, liarAddr, ih, 7003, forgedReal+"\r\n")
	s.expectPeers(t, ih, clientAddr+":7001", liarAddr+":7002", liarAddr+":7003")
}

func TestHAProxy(t *testing.T) {
	t.Parallel()
	s, proxied := startProxied(t, "")
	ways := [][3]string{
		{"tcp", proxied.String(), "send-proxy"},
		{"tcp", proxied.String(), "send-proxy-v2 check inter 200ms"},                 // checks are LOCAL
		{"tcp", proxied.String(), "send-proxy-v2 proxy-v2-options crc32c,unique-id"}, // with TLVs
		{"http", proxied.String(), "send-proxy-v2"},
		{"http\noption forwardfor", s.addr.String(), ""},
	}
	for i, at := range startHAProxy(t, ways) {
		ih := sha1.Sum(fmt.Appendf(nil, "%s %d", t.Name(), i))
		curlAnnounce(t, clientAddr, at, ih, 7001)
		curlAnnounce(t, liarAddr, at, ih, 7002, forgedList, forgedReal)
		s.announceDirect(t, liarAddr, ih, 7003, forgedList+"\r\n")
		s.expectPeers(t, ih, clientAddr+":7001", liarAddr+":7002", liarAddr+":7003")

		six := sha1.Sum(fmt.Appendf(nil, "%s %d 6", t.Name(), i))
		_, port, _ := strings.Cut(at, ":")
		curlAnnounce(t, "::1", "[::1]:"+port, six, 7004)
		got := s.get(t, "127.69.0.2", fmt.Sprintf("/announce?info_hash=%s&port=1&left=1", percent(six[:])))
		if want := "6:peers618:" + strings.Repeat("\x00", 15) + "\x01\x1b\x5ce"; !strings.HasSuffix(got, want) {
			t.Errorf("way %d over IPv6: got %q, want %q in it", i, got, want)
		}
	}
}

// TestForgedPROXY sends a header from an address that is no proxy's, and to a
// listener that wants none.
func TestForgedPROXY(t *testing.T) {
	t.Parallel()
	s, proxied := startProxied(t, "")
	ih := torrentOf(t)
	const header = "PROXY TCP4 " + victim + " 127.0.0.1 1 2\r\n"
	forged := append([]byte(header), announceRequest(ih, "port=7001&left=1")...)
	behind := &server{process: s.process, addr: proxied}
	for _, src := range []string{liarAddr, "127.0.0.1"} {
		if got, end := behind.http(t, src, answerLimit, forged); len(got) > 0 || end == endOpen {
			t.Errorf("from %s: %q, %s", src, got, end)
		}
	}
	if got, _ := behind.http(t, proxyAddr, answerLimit, announceRequest(ih, "port=7002&left=1")); len(got) > 0 {
		t.Errorf("without a header: %q", got)
	}
	if got, _ := s.http(t, proxyAddr, answerLimit, forged); string(got) != invalidAnswer {
		t.Errorf("at a listener that wants none: %q", got)
	}
	// What the proxy says is believed, whatever the pieces.
	var pieces [][]byte
	for b := forged; len(b) > 0; b = b[min(9, len(b)):] {
		pieces = append(pieces, b[:min(9, len(b))])
	}
	if got, _ := behind.http(t, proxyAddr, answerLimit, pieces...); !strings.HasPrefix(string(got), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("in pieces: %q", got)
	}
	s.expectPeers(t, ih, victim+":7001")
	s.goesOn(t)
}
