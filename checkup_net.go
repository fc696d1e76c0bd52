package main

import (
	"fmt"
	"io/fs"
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
	want := max(4*most, 2*c.connections)
	switch {
	case !ok || most <= 0:
	case waiting >= most/100*crowded && waiting > 0:
		c.find("time wait", fmt.Sprintf("sysctl -w net.ipv4.tcp_max_tw_buckets=%d", want),
			"%d of at most %d closed connections wait for late packets, and beyond that late packets hit new ones", waiting, most)
	case most < c.connections:
		c.find("time wait", fmt.Sprintf("sysctl -w net.ipv4.tcp_max_tw_buckets=%d", want),
			"limit.connections is %d, and no more than %d that are closed may wait for late packets", c.connections, most)
	}
}

// timeWaiting returns how many connections wait for late packets.
func (c *checkup) timeWaiting() int {
	for line := range strings.Lines(c.text("proc/net/sockstat")) {
		f := strings.Fields(line)
		if at := slices.Index(f, "tw"); len(f) > 0 && f[0] == "TCP:" && at > 0 && at+1 < len(f) {
			n, _ := strconv.Atoi(f[at+1]) // 0 is as good as unknown
			return n
		}
	}
	return 0
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
	if int64(count)*100 < int64(most)*crowded {
		logf(detail, "checkup", "self-check: %v; nothing to mend",
			fact{"check", "conntrack", fmt.Sprintf("%d of at most %d flows are tracked", count, most)})
		return
	}
	c.find("conntrack", strings.Join(c.untrack(4*most), " && "),
		"%d of at most %d flows are tracked, and a packet of who comes first when there are more is lost", count, most)
}

// untrack returns the commands that have the kernel track more flows, and not
// ours. In a network namespace of our own, the number cannot be set; there, what
// is tracked of us already is forgotten.
func (c *checkup) untrack(most int) (commands []string) {
	const file = "proc/sys/net/netfilter/nf_conntrack_max"
	if fi, err := fs.Stat(c.fs, file); err == nil && fi.Mode()&0o200 != 0 {
		commands = append(commands, fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", most))
	}
	if !c.has("nft") && c.has("iptables") {
		commands = append(commands, c.iptables()...)
	} else if rules := c.nft(); rules != "" {
		commands = append(commands, rules)
	}
	if len(commands) > 0 && strings.HasPrefix(commands[0], "sysctl") {
		return commands
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, port := range c.ports(network) {
			commands = append(commands, fmt.Sprintf("{ conntrack -D -p %s --dport %s >/dev/null; :; }", network, port))
		}
	}
	return commands
}

// nft returns the command that has nftables not track our ports, or "" if none
// is known.
func (c *checkup) nft() string {
	var in, out strings.Builder
	for _, network := range []string{"udp", "tcp"} {
		if ports := strings.Join(c.ports(network), ", "); ports != "" {
			fmt.Fprintf(&in, "%s dport { %s } notrack; ", network, ports)
			fmt.Fprintf(&out, "%s sport { %s } notrack; ", network, ports)
		}
	}
	if in.Len() == 0 {
		return ""
	}
	return "nft 'table inet tracker { chain in { type filter hook prerouting priority raw; " + in.String() +
		"}; chain out { type filter hook output priority raw; " + out.String() + "}; }'"
}

// iptables returns the same for iptables.
func (c *checkup) iptables() (commands []string) {
	for _, program := range []string{"iptables", "ip6tables"} {
		for _, network := range []string{"udp", "tcp"} {
			for _, port := range c.ports(network) {
				commands = append(commands,
					fmt.Sprintf("%s -t raw -A PREROUTING -p %s --dport %s -j NOTRACK", program, network, port),
					fmt.Sprintf("%s -t raw -A OUTPUT -p %s --sport %s -j NOTRACK", program, network, port))
			}
		}
	}
	return commands
}

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
		port := strconv.Itoa(int(a.AddrPort.Port()))
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
		rx, _ := fs.Glob(c.fs, dir+"/queues/rx-*") // the pattern is good
		if len(rx) != 1 {
			continue
		}
		if rps := c.text(rx[0] + "/rps_cpus"); rps != "" && strings.Trim(rps, "0,") == "" {
			c.find("queues", fmt.Sprintf("echo %s > /%s/rps_cpus", mask, rx[0]),
				"%s has one queue, so one processor takes every packet", card.Name())
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

// processors returns the mask of those that are there, as the kernel reads it:
// 32 bits in hex, more of them in front with commas.
func (c *checkup) processors() (mask string, several bool) {
	const most = 1024
	var words [most / 32]uint32
	n, top := 0, 0
	for part := range strings.SplitSeq(c.text("sys/devices/system/cpu/online"), ",") {
		from, to, ok := strings.Cut(part, "-")
		if !ok {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 0 || last >= most {
			return "", false
		}
		for cpu := first; cpu <= last; cpu++ {
			words[cpu/32] |= 1 << (cpu % 32)
			n++
			top = max(top, cpu/32)
		}
	}
	mask = strconv.FormatUint(uint64(words[top]), 16)
	for i := top - 1; i >= 0; i-- {
		mask += fmt.Sprintf(",%08x", words[i])
	}
	return mask, n > 1
}
