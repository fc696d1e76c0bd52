//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// commented is a line of opentracker's config files that has a key and its
// value behind the number sign: prose has no key with a dot in it.
var commented = regexp.MustCompile(`(?m)^[ \t]*#[ \t]*((?:listen|access|livesync|batchsync|tracker)\.[a-z_.]+[ \t]+\S+)[ \t]*$`)

// TestDropIn starts the tracker with the config file that Debian's opentracker
// installs, as it is and with every line in force, and with every key
// opentracker ever had. The addresses and the files they name are there, in a
// network namespace and below a directory of the test's own.
func TestDropIn(t *testing.T) {
	const debian = "/etc/opentracker/opentracker.conf"
	shipped, err := os.ReadFile(debian)
	if err != nil {
		t.Fatalf("%v: apt-get install opentracker", err)
	}
	every, err := os.ReadFile("../testdata/config/opentracker-sample.conf")
	if err != nil {
		t.Fatal(err)
	}
	ns := ownAddresses(t)
	tests := []struct {
		name, conf string
		ask        []string // where it must answer, of both kinds
	}{
		{"debian unchanged", string(shipped), []string{"127.0.0.1:6969"}},
		{"debian every line", uncomment(shipped), []string{"127.0.0.1:6969", "192.168.0.1:80", "10.0.0.5:6969"}},
		{"every key", uncomment(every), []string{"127.0.0.1:6969", "192.168.0.1:80", "10.0.0.5:6969"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			os.Chmod(root, 0o755)
			os.Chmod(filepath.Dir(root), 0o755)
			for _, name := range []string{"whitelist", "whitelist.txt", "blacklist"} {
				write(t, root+"/"+name, []byte("# nothing yet\n"))
			}
			// What differs from the file as it is: where its lists are.
			conf := regexp.MustCompile(`/etc/opentracker|/usr/local/etc/opentracker`).ReplaceAllString(tt.conf, root)
			write(t, root+"/opentracker.conf", []byte(conf))

			cmd := exec.Command("ip", "netns", "exec", ns, tracker(t), "-f", root+"/opentracker.conf")
			p := start(t, cmd)
			for _, to := range tt.ask {
				deadline := time.Now().Add(startLimit)
				if !await(deadline, p, func() bool { return answersFrom(t, ns, netip.MustParseAddrPort(to)) }) {
					t.Fatalf("%s does not answer", to)
				}
			}
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)) // ip has become the tracker
			if err != nil || bytes.Contains(status, []byte("\nUid:\t0")) || !bytes.Contains(status, []byte("\nCapEff:\t0000000000000000")) {
				t.Errorf("root was not given up: %v", err)
			}
		})
	}
}

// uncomment returns a config file with every line in force. Later listen lines
// of the same address are ours to merge.
func uncomment(conf []byte) string {
	return string(commented.ReplaceAll(conf, []byte("$1")))
}

// ownAddresses makes a namespace whose loopback interface has the addresses
// that opentracker's config files name.
func ownAddresses(t *testing.T) string {
	t.Helper()
	need(t, "ip", "iproute2")
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run the tests as root")
	}
	ns := namespace("dropin")
	ip(t, "netns add "+ns)
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", ns).Run() })
	ip(t, "-n "+ns+" link set lo up")
	for _, a := range []string{"192.168.0.1/32", "10.0.0.5/32", "2001:db8::1/128"} {
		ip(t, "-n "+ns+" addr add "+a+" dev lo")
	}
	return ns
}

// answersFrom reports whether a tracker in the namespace ns answers at to, a
// scrape over HTTP and a connect over UDP. curl and bash ask, from inside.
func answersFrom(t *testing.T, ns string, to netip.AddrPort) bool {
	t.Helper()
	inside := func(script string) []byte {
		out, _ := exec.Command("ip", "netns", "exec", ns, "timeout", "2", "bash", "-c", script).Output()
		return out
	}
	host, port := to.Addr().String(), to.String()[strings.LastIndexByte(to.String(), ':')+1:]
	http := inside(`exec 3<>/dev/tcp/` + host + `/` + port + ` && printf 'GET /scrape?info_hash=%s HTTP/1.0\r\n\r\n' aaaaaaaaaaaaaaaaaaaa >&3 && cat <&3`)
	udp := inside(`exec 3<>/dev/udp/` + host + `/` + port + ` && printf '\0\0\4\x17\x27\x10\x19\x80\0\0\0\0abcd' >&3 && head -c 16 <&3`)
	return bytes.HasSuffix(http, []byte("d5:filesdee")) && len(udp) == 16 && string(udp[4:8]) == "abcd"
}

// askFrom asks the tracker at argv[2] from the address argv[1], with a socket
// that hears nobody else.
const askFrom = `
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
s.connect((sys.argv[2], 6969))
s.settimeout(3)
s.send(bytes.fromhex("0000041727101980") + bytes(4) + b"abcd")
sys.stdout.buffer.write(s.recv(100))
`

// TestAskedAddress asks a tracker that listens on every address at each of
// several, of both families, from yet another one: the answer has to come from
// the address that was asked, or it is not heard.
func TestAskedAddress(t *testing.T) {
	need(t, "python3", "python3")
	ns := ownAddresses(t)
	p := start(t, exec.Command("ip", "netns", "exec", ns, tracker(t)))
	if !await(time.Now().Add(startLimit), p, func() bool { return answersFrom(t, ns, netip.MustParseAddrPort("127.0.0.1:6969")) }) {
		t.Fatal("it does not answer")
	}
	for _, tt := range [][2]string{
		{"127.0.0.1", "10.0.0.5"}, {"127.0.0.1", "192.168.0.1"}, {"10.0.0.5", "192.168.0.1"}, {"::1", "2001:db8::1"}, {"2001:db8::1", "::1"},
	} {
		out, err := exec.Command("ip", "netns", "exec", ns, "python3", "-c", askFrom, tt[0], tt[1]).CombinedOutput()
		if err != nil || len(out) != 16 || string(out[4:8]) != "abcd" {
			t.Errorf("%s asked %s: %q, %v", tt[0], tt[1], out, err)
		}
	}
}
