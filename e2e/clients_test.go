//go:build linux

package e2e

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A side is one end of a transfer: a client, where it runs and what it works on.
type side struct {
	ns      string     // network namespace
	addr    netip.Addr // its address there
	port    uint16     // to listen on for peers
	dir     string     // holds the payload, or will; the client may use its folder too
	torrent string     // path of the .torrent file
}

// scratch returns the path of a new folder for the client itself.
func (s *side) scratch(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(s.dir), name)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A client is a BitTorrent client. With DHT, peer exchange and local discovery
// off, it learns of peers from the tracker alone.
type client struct {
	name string
	// run returns the command that shares the torrent until it is killed,
	// from what is there of the payload: all for a seeder, nothing for a
	// leecher.
	run func(t *testing.T, s *side) *exec.Cmd
	// cannot says why the client cannot use a kind of tracker, by "http4"
	// and so on. Each was tried, with the versions of Debian 12.
	cannot map[string]string
}

var clients = []client{
	{
		name: "transmission", run: transmission,
		cannot: map[string]string{"udp6": "transmission 3.00 announces, but reads one IPv6 peer of a UDP answer as three IPv4 peers"},
	},
	{
		name: "aria2", run: aria2,
		cannot: map[string]string{"udp6": `aria2 1.36 sends to UDP trackers from the socket of its IPv4 DHT alone, and else says "udp is not supported yet", even with --enable-dht6`},
	},
	{name: "libtorrent", run: libtorrent},
}

// transmission runs transmission-daemon. It takes the torrent from the folder
// it watches, finds what there is of the payload, and goes on from there.
func transmission(t *testing.T, s *side) *exec.Cmd {
	daemon := need(t, "transmission-daemon", "transmission-daemon")
	home, watch := s.scratch(t, "transmission"), s.scratch(t, "watched")
	settings := map[string]any{
		"dht-enabled": false, "lpd-enabled": false, "pex-enabled": false, "utp-enabled": false,
		"port-forwarding-enabled": false, "peer-port": s.port,
		"rpc-enabled":  false,
		"download-dir": s.dir, "watch-dir": watch, "watch-dir-enabled": true,
		"message-level": 3,
	}
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	torrent, err := os.ReadFile(s.torrent)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, "settings.json"), text)
	write(t, filepath.Join(watch, "payload.torrent"), torrent)
	return inside(s.ns, daemon, "--foreground", "--config-dir", home)
}

// aria2 runs aria2c. It can ask trackers over UDP only where DHT is enabled;
// as the torrent is private and no DHT node is known, that stays without effect.
func aria2(t *testing.T, s *side) *exec.Cmd {
	program := need(t, "aria2c", "aria2")
	return inside(s.ns, program, "--no-conf", "--dir="+s.dir,
		"--enable-dht=true", "--enable-dht6=false", "--dht-file-path="+filepath.Join(s.scratch(t, "aria2"), "dht.dat"),
		fmt.Sprintf("--dht-listen-port=%d", s.port), fmt.Sprintf("--listen-port=%d", s.port),
		"--bt-enable-lpd=false", "--enable-peer-exchange=false",
		"--check-integrity=true", "--seed-ratio=0.0", "--file-allocation=none",
		"--console-log-level=info", "--show-console-readout=false", s.torrent)
}

//go:embed client_libtorrent.py
var libtorrentScript []byte

// libtorrent runs the library from its Python binding.
func libtorrent(t *testing.T, s *side) *exec.Cmd {
	const python = "/usr/bin/python3" // Debian's, the one its packages are for
	if out, err := exec.Command(python, "-c", "import libtorrent").CombinedOutput(); err != nil {
		t.Fatalf("%s with libtorrent is needed: apt-get install python3-libtorrent: %v\n%s", python, err, out)
	}
	script := filepath.Join(s.scratch(t, "libtorrent"), "client.py")
	write(t, script, libtorrentScript)
	listen := netip.AddrPortFrom(s.addr, s.port)
	return inside(s.ns, python, script, s.torrent, s.dir, listen.String())
}

// write writes a file.
func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}
