//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A home network behind a router that translates addresses:
//
//	outside 203.0.113.9
//	   │
//	203.0.113.1 router 192.168.77.1
//	               │
//	   ┌───────────┼───────────┐
//	 inside1     inside2      host
//	 .77.11      .77.12       .77.13
//
// The tracker is on the router or on the host. From outside there is no way in
// but the ports that the router forwards: the tracker's, and some to inside1.
const (
	routerOutside = "203.0.113.1"
	outsideAddr   = "203.0.113.9"
	lanPrefix     = "192.168.77."
)

// Ports of peers: those of inside1 from forwardedPort on are forwarded, one for
// each client.
const forwardedPort, otherPort = 21000, 22000

// lanNumbers are the last bytes of addresses in the LAN.
var lanNumbers = map[string]string{"router": "1", "inside1": "11", "inside2": "12", "host": "13"}

// lanAddr returns the address of one of the LAN.
func lanAddr(role string) netip.Addr { return netip.MustParseAddr(lanPrefix + lanNumbers[role]) }

// makeHome makes the namespaces above, until the test ends, with the tracker on
// the router or the host.
func makeHome(t *testing.T, at string) {
	t.Helper()
	need(t, "ip", "iproute2")
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run the tests as root")
	}
	t.Cleanup(removeNamespaces)
	router := namespace("router")
	for _, role := range []string{"router", "outside", "inside1", "inside2", "host"} {
		ip(t, "netns add "+namespace(role))
		ip(t, "-n "+namespace(role)+" link set lo up")
	}
	ip(t, "-n "+router+" link add lan type bridge")
	ip(t, "-n "+router+" link add wan type veth peer name eth0 netns "+namespace("outside"))
	for _, role := range []string{"inside1", "inside2", "host"} {
		ip(t, "-n "+router+" link add "+role+" type veth peer name eth0 netns "+namespace(role))
		ip(t, "-n "+router+" link set "+role+" master lan up")
		ip(t, fmt.Sprintf("-n %s addr add %v/24 dev eth0", namespace(role), lanAddr(role)))
		ip(t, "-n "+namespace(role)+" link set eth0 up")
		ip(t, fmt.Sprintf("-n %s route add default via %v", namespace(role), lanAddr("router")))
		nameTracker(t, namespace(role), lanAddr(at))
	}
	ip(t, fmt.Sprintf("-n %s addr add %v/24 dev lan", router, lanAddr("router")))
	ip(t, "-n "+router+" addr add "+routerOutside+"/24 dev wan")
	ip(t, "-n "+router+" link set lan up")
	ip(t, "-n "+router+" link set wan up")
	ip(t, "-n "+namespace("outside")+" addr add "+outsideAddr+"/24 dev eth0")
	ip(t, "-n "+namespace("outside")+" link set eth0 up")
	nameTracker(t, namespace("outside"), netip.MustParseAddr(routerOutside))

	forward := fmt.Sprintf("ip daddr %s tcp dport %d-%d dnat to %v\n", routerOutside, forwardedPort, forwardedPort+len(clients), lanAddr("inside1"))
	if at == "host" {
		forward += fmt.Sprintf("ip daddr %s meta l4proto { tcp, udp } th dport %d dnat to %v\n", routerOutside, trackerPort, lanAddr(at))
	}
	// The last rule but one is hairpin NAT: who asks from the LAN at the address
	// outside comes back from the router.
	nft := inside(router, need(t, "nft", "nftables"), "-f", "-")
	nft.Stdin = strings.NewReader(`table ip home {
		chain in { type nat hook prerouting priority dstnat
			` + forward + `}
		chain out { type nat hook postrouting priority srcnat
			ip saddr ` + lanPrefix + `0/24 ip daddr ` + lanPrefix + `0/24 ct status dnat masquerade
			oifname wan masquerade
		}
		chain through { type filter hook forward priority filter; policy drop
			iifname lan accept
			ct state established,related accept
			ct status dnat accept
		}
	}
	`)
	if out, err := nft.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	if out, err := inside(router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestHome sees files travel out of a home network, into it and within it,
// through a tracker on its router, which looks at its own interface, and through
// one on another machine, which is told by a file.
func TestHome(t *testing.T) {
	for _, at := range []string{"router", "host"} {
		t.Run(at, func(t *testing.T) {
			makeHome(t, at)
			dir := t.TempDir()
			conf, file := filepath.Join(dir, "conf"), filepath.Join(dir, "address")
			external := "wan"
			if at == "host" {
				external = file
			}
			write(t, conf, []byte("lan.external "+external+"\n"))
			cmd := inside(namespace(at), tracker(t), "-f", conf)
			cmd.Dir = workDir
			s := &server{process: start(t, cmd)}
			if err := waitPorts(s.process, trackerPort); err != nil {
				t.Fatalf("%v\n%s", err, &s.out)
			}
			if at == "host" {
				hairpin(t, file)
			}
			t.Run("by", func(t *testing.T) {
				for i, c := range clients {
					if c.name == "aria2" {
						continue // two will do
					}
					for j, way := range [][2]string{{"inside1", "outside"}, {"outside", "inside2"}, {"inside2", "inside1"}} {
						x := &transfer{client: c, scheme: []string{"http", "udp"}[i/2], port: uint16(otherPort + 10*i + 2*j)}
						if way[0] == "inside1" {
							x.port = uint16(forwardedPort + i)
						}
						t.Run(c.name+"/"+way[0]+" to "+way[1], func(t *testing.T) { x.home(t, at, way[0], way[1]) })
					}
				}
			})
			s.stopTracker(t)
		})
	}
}

// home has the file travel between two places of a home network, or out of it.
func (x *transfer) home(t *testing.T, at, from, to string) {
	t.Parallel()
	content := payload(uint64(x.port))
	torrent, ih := metainfo(fmt.Sprintf("%s://%s:%d/announce", x.scheme, trackerName, trackerPort), content)
	deadline := time.Now().Add(transferLimit)
	place := func(role string, port uint16) *side {
		dir := t.TempDir()
		s := &side{ns: namespace(role), port: port, dir: filepath.Join(dir, "data"), torrent: filepath.Join(dir, "payload.torrent")}
		if s.addr = netip.MustParseAddr(outsideAddr); role != "outside" {
			s.addr = lanAddr(role)
		}
		s.scratch(t, "data")
		write(t, s.torrent, torrent)
		return s
	}
	seeder, leecher := place(from, x.port), place(to, x.port+1000) // which nobody forwards
	write(t, filepath.Join(seeder.dir, payloadName), content)
	seeding := start(t, x.client.run(t, seeder))
	if !await(deadline, seeding, func() bool { return scrapeAt(t, at, ih).complete == 1 }) {
		t.Fatalf("the tracker did not learn of the seeder within %v", transferLimit)
	}
	leeching := start(t, x.client.run(t, leecher))
	arrived := filepath.Join(leecher.dir, payloadName)
	if !await(deadline, leeching, func() bool { return holds(arrived, content) }) {
		t.Fatalf("the file did not arrive within %v", transferLimit)
	}
}

// scrapeAt asks the tracker from its own namespace.
func scrapeAt(t *testing.T, at string, ih [20]byte) counts {
	t.Helper()
	return scrapeFrom(t, namespace(at), netip.AddrPortFrom(lanAddr(at), trackerPort), ih)
}

// hairpin announces by hand from inside and outside, also by way of the router's
// public address, before the file says which that is and afterwards.
func hairpin(t *testing.T, file string) {
	t.Helper()
	const direct, around = lanPrefix + "13", routerOutside
	type ask struct{ from, to, want string }
	check := func(asks []ask) {
		t.Helper()
		for i, a := range asks {
			var got string
			if !await(time.Now().Add(answerLimit), new(process), func() bool {
				got = strings.Join(announceFrom(t, namespace(a.from), a.to, 30000+i), " ")
				return got == a.want
			}) {
				t.Errorf("%s, asking at %s, is given %q, want %q", a.from, a.to, got, a.want)
			}
		}
	}
	check([]ask{
		{"inside1", direct, ""},
		{"outside", around, ""}, // nobody knows what to tell it
		{"inside2", direct, lanPrefix + "11:30000 " + outsideAddr + ":30001"},
	})
	write(t, file, []byte(routerOutside+"\n"))
	check([]ask{
		{"inside1", direct, lanPrefix + "12:30002 " + outsideAddr + ":30001"},
		{"outside", around, routerOutside + ":30000 " + routerOutside + ":30002"},
		{"inside2", direct, lanPrefix + "11:30000 " + outsideAddr + ":30001"},
		{"inside2", around, lanPrefix + "11:30000 " + lanPrefix + "12:30002 " + outsideAddr + ":30001"}, // who is 192.168.77.1 then
		{"outside", around, routerOutside + ":30000 " + routerOutside + ":30002 " + routerOutside + ":30003 " + outsideAddr + ":30001"},
	})
}

var peersGiven = regexp.MustCompile(`(?s)5:peers(\d+):(.*)`)

// announceFrom announces a peer of that port over HTTP from a namespace, and
// returns the IPv4 peers it is given, sorted.
func announceFrom(t *testing.T, ns, to string, port int) (peers []string) {
	t.Helper()
	c, err := dialInside(ns, "tcp", fmt.Sprintf("%s:%d", to, trackerPort))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(answerLimit))
	fmt.Fprintf(c, "GET /announce?info_hash=%s&peer_id=%[1]s&port=%d&left=1&compact=1 HTTP/1.0\r\n\r\n", strings.Repeat("h", 20), port)
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	m := peersGiven.FindSubmatch(answer)
	if m == nil {
		t.Fatalf("no peers in %q", answer)
	}
	var n int
	fmt.Sscan(string(m[1]), &n)
	for p := range slices.Chunk(m[2][:n], 6) {
		peers = append(peers, netip.AddrPortFrom(netip.AddrFrom4([4]byte(p)), uint16(p[4])<<8|uint16(p[5])).String())
	}
	slices.Sort(peers)
	return peers
}
