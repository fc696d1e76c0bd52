package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// selfChecks returns what a tracker finds until it serves, or says that all of
// the configuration is good. Then it is ended.
func selfChecks(t *testing.T, cmd *exec.Cmd) (found []string) {
	t.Helper()
	p := start(t, cmd)
	for {
		line, err := p.lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if f, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "tracker: self-check: "); ok {
			found = append(found, f)
		}
		if line == "tracker: OK\n" {
			p.ends(0)
			return found
		}
		if strings.HasPrefix(line, "tracker: listening on udp") {
			p.signal(syscall.SIGTERM)
			p.stops()
			return found
		}
	}
}

// TestCheckupReceiveBuffer starts a tracker that wants a larger queue than the
// system gives a user, does what the tracker says, and starts it again. What the
// system gives is one number for the whole machine, which is left alone: it is
// the other command that is run. Here it is the wish that is large.
func TestCheckupReceiveBuffer(t *testing.T) {
	asRoot(t)
	dir := publicDir(t)
	program := filepath.Join(dir, "tracker")
	b, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = os.WriteFile(program, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	most := int(unix.Getpagesize()) << 10 // what a socket surely gets if it is asked for by force
	for {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, most)
		given, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		unix.Close(fd)
		if given < 2*most {
			break
		}
		most *= 2
	}
	t.Setenv(asGreedy, fmt.Sprint(most))
	find := func(flags ...string) []string {
		cmd := exec.Command(program, append(flags, "-i", "127.0.0.1", "-P", "0")...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
		return selfChecks(t, cmd)
	}
	var command string
	for _, flags := range [][]string{{"-t"}, nil} {
		found := find(flags...)
		sysctl := fmt.Sprintf("sysctl -w net.core.rmem_max=%d", most)
		if len(found) != 1 || !strings.HasPrefix(found[0], "a UDP socket holds ") || !strings.Contains(found[0], sysctl) {
			t.Fatalf("found %q", found)
		}
		_, command, _ = strings.Cut(found[0], "for this program alone: ")
	}
	if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s: apt-get install libcap2-bin", command, err, out)
	}
	for _, flags := range [][]string{{"-t"}, nil} {
		if found := find(flags...); len(found) > 0 {
			t.Errorf("after %s: %q", command, found)
		}
	}
}

// TestCheckupConntrack starts a tracker where a firewall tracks flows and has no
// room for more, does what the tracker says, and starts it again. The namespace
// is named as those of package e2e, whose leftovers are swept.
func TestCheckupConntrack(t *testing.T) {
	asRoot(t)
	ns := fmt.Sprintf("tracker-e2e-%d-checkup", os.Getpid())
	inside := func(script string) string {
		t.Helper()
		out, err := exec.Command("ip", "netns", "exec", ns, "sh", "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s: apt-get install nftables conntrack procps", script, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
		t.Fatalf("ip netns add: %v: %s: apt-get install iproute2", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", ns).Run() })
	inside("ip link set lo up")
	// The rule has the kernel track flows; they stay for as long as we are here.
	inside("nft 'table inet firewall { chain in { type filter hook input priority 0; ct state invalid drop; }; }'")
	const settings = "/proc/sys/net/netfilter/nf_conntrack_"
	if _, err := os.Stat(settings + "count"); err != nil {
		t.Logf("not done: this kernel tracks no flows: %v", err)
		return
	}
	inside("echo 600 >" + settings + "udp_timeout")
	var most int
	fmt.Sscan(inside("cat "+settings+"max"), &most)
	if most > 1<<19 {
		t.Logf("not done: it takes %d flows, and half a gigabyte of the kernel's", most)
		return
	}

	const port = 6969
	find := func(flags ...string) []string {
		args := append([]string{"netns", "exec", ns, os.Args[0]}, flags...)
		return selfChecks(t, exec.Command("ip", append(args, "-i", "0.0.0.0", "-P", fmt.Sprint(port))...))
	}
	if found := find(); len(found) > 0 {
		t.Fatalf("in an empty namespace: %q", found)
	}
	fill(t, ns, port, most*crowded/100+most/100)
	var command string
	for _, flags := range [][]string{{"-t"}, nil} {
		found := find(flags...)
		if len(found) != 1 || !strings.Contains(found[0], fmt.Sprintf(" of at most %d flows are tracked", most)) {
			t.Fatalf("with a full table: %q", found)
		}
		_, command, _ = strings.Cut(found[0], "; ")
	}
	t.Log(command)
	inside(command)
	for _, flags := range [][]string{{"-t"}, nil} {
		if found := find(flags...); len(found) > 0 {
			t.Errorf("after %s: %q", command, found)
		}
	}
	fill(t, ns, port, 1000)
	if n := inside("cat " + settings + "count"); len(n) > 2 {
		t.Errorf("%s flows are tracked still", n)
	}
}

// fill sends a datagram to a port at each of n addresses in a namespace.
func fill(t *testing.T, ns string, port, n int) {
	t.Helper()
	type opened struct {
		c   net.PacketConn
		err error
	}
	open := make(chan opened)
	go func() {
		runtime.LockOSThread() // for good: the thread ends in that namespace
		var o opened
		f, err := os.Open("/run/netns/" + ns)
		if err == nil {
			defer f.Close()
			err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
		}
		if o.err = err; err == nil {
			o.c, o.err = net.ListenPacket("udp4", fmt.Sprintf("0.0.0.0:%d", port))
		}
		open <- o
	}()
	o := <-open
	if o.err != nil {
		t.Fatal(o.err)
	}
	defer o.c.Close()
	for i := range n {
		to := &net.UDPAddr{IP: net.IPv4(127, byte(1+i>>16), byte(i>>8), byte(i)), Port: port}
		if _, err := o.c.WriteTo([]byte{0}, to); err != nil {
			t.Fatal(err)
		}
	}
}
