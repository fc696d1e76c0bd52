package main

import (
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	// crowded is how full a table of the kernel may be, in percent: what comes
	// in bursts has to fit the rest.
	crowded = 80
	// leastBacklog is how many connections have to be able to wait for one
	// reactor. Kernels before 5.4 have 128 unless they are told.
	leastBacklog = 1024
	backlogMend  = 4096
)

// network looks at the queues and tables of the kernel that our packets go
// through.
func (c *checkup) network() {
	if b := c.bound; b.ReceiveGiven > 0 && b.ReceiveGiven < b.ReceiveAsked && c.text("proc/sys/net/core/somaxconn") != "" {
		mend := fmt.Sprintf("sysctl -w net.core.rmem_max=%d", b.ReceiveAsked)
		if c.text("proc/sys/net/core/rmem_max") == "" { // it is the machine's
			mend = "outside of this container: " + mend
		}
		if c.program != "" {
			mend += ", or for this program alone: setcap cap_net_admin,cap_net_bind_service+ep " + quote(c.program)
		}
		c.find("receive buffer", mend, "a UDP socket holds %d bytes of the %d it should, and what comes in a burst beyond that is lost", b.ReceiveGiven, b.ReceiveAsked)
	}
	c.conntrack()
	c.queues()
	if len(c.ports("tcp")) == 0 {
		return
	}
	if n, ok := c.number("proc/sys/net/core/somaxconn"); ok && n < min(leastBacklog, c.bound.Connections) {
		c.find("backlog", fmt.Sprintf("sysctl -w net.core.somaxconn=%d", backlogMend),
			"only %d connections may wait to be accepted, and who comes in a burst beyond that waits a second longer", n)
	}
	c.timeWait()
}

// timeWait looks at the table of connections that are closed and wait for late
// packets. We close most of ours, so that they end there.
func (c *checkup) timeWait() {
	most, ok := c.number("proc/sys/net/ipv4/tcp_max_tw_buckets")
	waiting := c.timeWaiting()
	if !ok || most <= 0 || most >= c.connections && !full(waiting, most) {
		return
	}
	configured := ""
	if most < c.connections {
		configured = fmt.Sprintf(", and limit.connections is %d", c.connections)
	}
	c.find("time wait", fmt.Sprintf("sysctl -w net.ipv4.tcp_max_tw_buckets=%d", max(more(most), 2*c.connections)),
		"%d of at most %d closed connections wait for late packets; beyond that, late packets hit new ones%s", waiting, most, configured)
}

// full reports whether a table of the kernel has as many entries as it may.
func full(entries, most int) bool { return int64(entries)*100 >= int64(most)*crowded }

// more returns a better size for a table that is full; the kernel's number has
// 31 bits.
func more(most int) int { return int(min(4*int64(most), math.MaxInt32)) }

// timeWaiting returns how many connections wait for late packets.
func (c *checkup) timeWaiting() int {
	_, n, _ := strings.Cut(c.text("proc/net/sockstat"), " tw ")
	n, _, _ = strings.Cut(n, " ")
	waiting, _ := strconv.Atoi(n) // 0 is as good as unknown
	return waiting
}

// conntrack looks whether the table of the firewall is full: then the kernel
// throws away what comes first from any address. Each client is an entry in it,
// for a minute or more, and nobody needs that: a tracker's answers go where they
// have to without.
func (c *checkup) conntrack() {
	count, counts := c.number("proc/sys/net/netfilter/nf_conntrack_count")
	most, limited := c.number("proc/sys/net/netfilter/nf_conntrack_max")
	if !counts || !limited || most <= 0 {
		return
	}
	if !full(count, most) {
		logf(detail, "checkup", "self-check: %v; nothing to mend",
			fact{"check", "conntrack", fmt.Sprintf("%d of at most %d flows are tracked", count, most)})
		return
	}
	c.find("conntrack", strings.Join(c.untrack(more(most)), " && "),
		"%d of at most %d flows are tracked, and a packet of who comes first when there are more is lost", count, most)
}

// untrack returns the commands that have the kernel track more flows, and not
// ours. In a network namespace of our own, the number cannot be set; there, what
// is tracked of us already is forgotten.
func (c *checkup) untrack(most int) (commands []string) {
	fi, err := fs.Stat(c.fs, "proc/sys/net/netfilter/nf_conntrack_max")
	settable := err == nil && fi.Mode()&0o200 != 0
	if settable {
		commands = append(commands, fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", most))
	}
	if !c.has("nft") && c.has("iptables") {
		commands = append(commands, c.iptables()...)
	} else if rules := c.nft(); rules != "" {
		commands = append(commands, rules)
	}
	if settable {
		return commands
	}
	for _, network := range networks {
		for _, port := range c.ports(network) {
			commands = append(commands, "{ conntrack -D -p "+network+" --dport "+port+" >/dev/null; :; }")
		}
	}
	return commands
}

// nft returns the command that has nftables not track our ports, or "" if none
// is known.
func (c *checkup) nft() string {
	in, out := "", ""
	for _, network := range networks {
		if ports := strings.Join(c.ports(network), ", "); ports != "" {
			in += network + " dport { " + ports + " } notrack; "
			out += network + " sport { " + ports + " } notrack; "
		}
	}
	if in == "" {
		return ""
	}
	return "nft 'table inet tracker { chain in { type filter hook prerouting priority raw; " + in +
		"}; chain out { type filter hook output priority raw; " + out + "}; }'"
}

// iptables returns the same for iptables, and for IPv6 if that is there.
func (c *checkup) iptables() (commands []string) {
	for _, program := range []string{"iptables", "ip6tables"} {
		if !c.has(program) {
			continue
		}
		for _, network := range networks {
			for _, port := range c.ports(network) {
				rule := program + " -t raw -A %s -p " + network + " --%s " + port + " -j NOTRACK"
				commands = append(commands, fmt.Sprintf(rule, "PREROUTING", "dport"), fmt.Sprintf(rule, "OUTPUT", "sport"))
			}
		}
	}
	return commands
}

var networks = []string{"udp", "tcp"}

// has reports whether a program of the system's is there.
func (c *checkup) has(program string) bool {
	for _, dir := range []string{"usr/sbin/", "sbin/", "usr/bin/", "bin/"} {
		if _, err := fs.Stat(c.fs, dir+program); err == nil {
			return true
		}
	}
	return false
}

// ports returns the ports of a network that we listen on, those that are known.
func (c *checkup) ports(network string) (ports []string) {
	for _, a := range c.bound.Addrs {
		port := fmt.Sprint(a.AddrPort.Port())
		if a.Network == network && port != "0" && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

// queues looks for a network card that has all its packets taken by one
// processor of several: then the others wait for that one.
func (c *checkup) queues() {
	mask, several := c.processors()
	if !several || !c.reachable() {
		return
	}
	cards, _ := fs.ReadDir(c.fs, "sys/class/net") // none is none
	for _, card := range cards {
		dir := "sys/class/net/" + card.Name()
		if _, err := fs.Stat(c.fs, dir+"/device"); err != nil || c.text(dir+"/operstate") != "up" {
			continue // it is made of software, or not in use
		}
		const first = "/queues/rx-0/rps_cpus"
		if _, err := fs.Stat(c.fs, dir+"/queues/rx-1"); err == nil {
			continue
		}
		if rps := c.text(dir + first); rps != "" && strings.Trim(rps, "0,") == "" {
			c.find("queues", "echo "+mask+" > /"+dir+first, "%s has one queue, so one processor takes every packet", card.Name())
		}
	}
}

// reachable reports whether we listen where packets of a network card come.
func (c *checkup) reachable() bool {
	for _, a := range c.bound.Addrs {
		if !a.AddrPort.Addr().IsLoopback() {
			return true
		}
	}
	return false
}

// processors returns the mask of all, as the kernel reads it: 32 bits in hex,
// more of them in front with commas. Bits of those that are off do no harm.
func (c *checkup) processors() (mask string, several bool) {
	online := c.text("sys/devices/system/cpu/online") // such as 0-3,6
	last, err := strconv.Atoi(online[max(strings.LastIndexByte(online, '-'), strings.LastIndexByte(online, ','))+1:])
	if err != nil || last <= 0 || last > 1<<12 {
		return "", false
	}
	mask = fmt.Sprintf("%x", 1<<(uint64(last)%32+1)-1)
	for range last / 32 {
		mask += ",ffffffff"
	}
	return mask, true
}
