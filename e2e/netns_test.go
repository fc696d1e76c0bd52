//go:build linux

package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Clients refuse peers at loopback addresses or at their own, so every client
// gets a network namespace, and these are on one bridge with the tracker:
//
//	            tracker 10.69.0.1, 2001:db8:69::1
//	               │
//	   ┌────────┬──┴─────┬────────┐
//	 seeder4  leecher4  seeder6  leecher6
//	 .0.2     .0.3      ::2      ::3
//
// The left two have only IPv4 and the right two only IPv6, so a transfer
// over one family cannot have gone over the other.

// namespacePrefix begins the name of every namespace made here. The process
// id follows, so that tests that run at the same time stay apart, and what a
// killed one left behind can be told from what is in use.
const namespacePrefix = "tracker-e2e-"

// A family is an address family a transfer can use.
type family struct {
	name    string // "4" or "6"
	network netip.Prefix
}

// The IPv6 network is one of the documentation's, not a private one, and there
// is a default route: transmission opens its UDP socket for IPv6 only if it
// finds itself at an address of 2000::/3 with a way out.
var (
	family4 = family{"4", netip.MustParsePrefix("10.69.0.0/24")}
	family6 = family{"6", netip.MustParsePrefix("2001:db8:69::/64")}

	families = []family{family4, family6}
)

// namespace returns the name of the namespace for a role.
func namespace(role string) string {
	return fmt.Sprintf("%s%d-%s", namespacePrefix, os.Getpid(), role)
}

// host returns address number n of the family's network.
func (f family) host(n int) netip.Addr {
	a := f.network.Addr()
	for range n {
		a = a.Next()
	}
	return a
}

// makeNetwork makes the namespaces above, until the test ends.
func makeNetwork(t *testing.T) {
	t.Helper()
	need(t, "ip", "iproute2")
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run the tests as root")
	}
	t.Cleanup(removeNamespaces)
	hub := namespace("tracker")
	ip(t, "netns add "+hub)
	ip(t, "-n "+hub+" link set lo up")
	ip(t, "-n "+hub+" link add bridge type bridge")
	ip(t, "-n "+hub+" link set bridge up")
	for _, f := range families {
		giveAddress(t, hub, "bridge", f, 1)
	}
	for _, f := range families {
		for i, side := range []string{"seeder", "leecher"} {
			ns, port := namespace(side+f.name), side+f.name
			ip(t, "netns add "+ns)
			ip(t, "-n "+ns+" link set lo up")
			ip(t, "-n "+hub+" link add "+port+" type veth peer name eth0 netns "+ns)
			ip(t, "-n "+hub+" link set "+port+" master bridge up")
			if f == family4 {
				ip(t, "-n "+ns+" link set eth0 addrgenmode none") // not even a link-local IPv6 address
			}
			ip(t, "-n "+ns+" link set eth0 up")
			giveAddress(t, ns, "eth0", f, 2+i)
			ip(t, fmt.Sprintf("-n %s route add default via %v", ns, f.host(1)))
			nameTracker(t, ns, f.host(1))
		}
	}
}

// trackerName is what the tracker is called inside the namespaces.
const trackerName = "tracker.test"

// nameTracker gives the namespace a hosts file of its own: ip mounts what is in
// /etc/netns/NAME over /etc for the programs it runs there.
func nameTracker(t *testing.T, ns string, addr netip.Addr) {
	t.Helper()
	dir := "/etc/netns/" + ns
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/hosts", fmt.Appendf(nil, "127.0.0.1 localhost\n%v %s\n", addr, trackerName))
}

// giveAddress gives a device address number n of a family.
func giveAddress(t *testing.T, ns, device string, f family, n int) {
	t.Helper()
	noDelay := ""
	if f == family6 {
		noDelay = " nodad" // nobody else is there: usable at once
	}
	ip(t, fmt.Sprintf("-n %s addr add %v/%d dev %s%s", ns, f.host(n), f.network.Bits(), device, noDelay))
}

// ip runs the program ip.
func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// removeNamespaces removes the namespaces of this process.
func removeNamespaces() {
	left, _ := filepath.Glob("/run/netns/" + namespace("*"))
	for _, path := range left {
		exec.Command("ip", "netns", "delete", filepath.Base(path)).Run()
		os.RemoveAll("/etc/netns/" + filepath.Base(path))
	}
}

// sweepNamespaces removes those of test processes that were killed, with the
// programs left in them.
func sweepNamespaces() {
	left, _ := filepath.Glob("/run/netns/" + namespacePrefix + "*")
	for _, path := range left {
		name := filepath.Base(path)
		owner, _, _ := strings.Cut(strings.TrimPrefix(name, namespacePrefix), "-")
		if _, err := os.Stat("/proc/" + owner); err == nil {
			continue
		}
		pids, _ := exec.Command("ip", "netns", "pids", name).Output()
		for _, pid := range strings.Fields(string(pids)) {
			if n, err := strconv.Atoi(pid); err == nil {
				syscall.Kill(n, syscall.SIGKILL)
			}
		}
		exec.Command("ip", "netns", "delete", name).Run()
		os.RemoveAll("/etc/netns/" + name)
	}
}

// inside returns the command that runs a program in a namespace. The program
// takes the place of ip, so the process id is its own.
func inside(ns, program string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", ns, program}, args...)...)
}

// dialInside opens a connection from within a namespace to a literal address.
// A socket stays in the namespace it was made in, so only the dialling thread
// has to be there; it is locked, and ends with its goroutine.
func dialInside(ns, network, address string) (c net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread is of no further use
		var f *os.File
		if f, err = os.Open("/run/netns/" + ns); err != nil {
			return
		}
		defer f.Close()
		if err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			return
		}
		c, err = (&net.Dialer{Timeout: answerLimit}).Dial(network, address)
	}()
	<-done
	return c, err
}
