package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"tracker/loop"
)

// recorded returns the files of a machine in testdata/checkup: each stands
// behind a line with its path. Files of settings can be written, but for those
// named.
func recorded(t *testing.T, machine string, fixed ...string) fstest.MapFS {
	t.Helper()
	b, err := os.ReadFile("testdata/checkup/" + machine + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for i, file := range strings.Split("\n"+string(b), "\n== ") {
		path, text, _ := strings.Cut(file, "\n")
		if i == 0 {
			continue // what it is
		}
		files[path] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		if slices.Contains(fixed, path) {
			files[path].Mode = 0o444
		}
	}
	return files
}

// listens returns addresses.
func listens(all ...string) (addrs []loop.Addr) {
	for _, a := range all {
		network, at, _ := strings.Cut(a, " ")
		addrs = append(addrs, loop.Addr{Network: network, AddrPort: netip.MustParseAddrPort(at)})
	}
	return addrs
}

// room returns what says how many bytes of memory there are.
func room(machine, cgroup int64) func() (int64, int64) {
	return func() (int64, int64) { return machine, cgroup }
}

// TestCheckupMachines looks at recorded machines.
func TestCheckupMachines(t *testing.T) {
	const (
		asked   = 3 << 19
		most    = "proc/sys/net/netfilter/nf_conntrack_max"
		flows   = "conntrack: 15871 of at most 15872 flows are tracked, and a packet of who comes first when there are more is lost; "
		untrack = "nft 'table inet tracker { chain in { type filter hook prerouting priority raw; udp dport { 6969, 80 } notrack; tcp dport { 6969 } notrack; }; " +
			"chain out { type filter hook output priority raw; udp sport { 6969, 80 } notrack; tcp sport { 6969 } notrack; }; }'"
	)
	everywhere := listens("udp 0.0.0.0:6969", "tcp [::]:6969", "udp 0.0.0.0:80", "udp 0.0.0.0:0")
	roomy := loop.Bound{Addrs: everywhere, ReceiveAsked: asked, ReceiveGiven: asked, Files: 1 << 20, Connections: 2000}
	for _, tt := range []struct {
		name string
		c    checkup
		want []string
	}{
		{"router", checkup{
			fs:    recorded(t, "router"),
			bound: loop.Bound{Addrs: everywhere, ReceiveAsked: asked, ReceiveGiven: 163840, Files: 1024, Connections: 256},
			root:  true, program: "/usr/sbin/tracker", room: room(58<<20, 0), memory: 64 << 20, connections: 1000,
		}, []string{
			"files: limit.connections is 1000, and a file limit of 1024 has room for 256; ulimit -n 1768",
			"memory: limit.memory is 64.0 MB, but there is less; half of the machine's 58.0 MB is 29.0 MB; write limit.memory 29m",
			"receive buffer: a UDP socket holds 163840 bytes of the 1572864 it should, and what comes in a burst beyond that is lost; " +
				"sysctl -w net.core.rmem_max=1572864, or for this program alone: setcap cap_net_admin,cap_net_bind_service+ep /usr/sbin/tracker",
			flows + "sysctl -w net.netfilter.nf_conntrack_max=63488 && " + untrack,
			"queues: eth0 has one queue, so one processor takes every packet; echo 3 > /sys/class/net/eth0/queues/rx-0/rps_cpus",
			"backlog: only 128 connections may wait to be accepted, and who comes in a burst beyond that waits a second longer; sysctl -w net.core.somaxconn=4096",
			"time wait: 251 of at most 256 closed connections wait for late packets; beyond that, late packets hit new ones, and limit.connections is 1000; sysctl -w net.ipv4.tcp_max_tw_buckets=2000",
		}},
		{"router, in a namespace, UDP alone", checkup{
			fs:    recorded(t, "router", most),
			bound: loop.Bound{Addrs: listens("udp 127.0.0.1:6969"), Files: 1024, Connections: 256},
		}, []string{
			flows + "nft 'table inet tracker { chain in { type filter hook prerouting priority raw; udp dport { 6969 } notrack; }; " +
				"chain out { type filter hook output priority raw; udp sport { 6969 } notrack; }; }' && { conntrack -D -p udp --dport 6969 >/dev/null; :; }",
		}},
		{"vps", checkup{
			fs: recorded(t, "vps"), bound: loop.Bound{Addrs: everywhere, Files: 1024, Connections: 900},
			unit: "tracker.service", connections: 5000, room: room(494512<<10, 400<<20), memory: 450 << 20,
		}, []string{
			"files: limit.connections is 5000, and a file limit of 1024 has room for 900; mkdir -p /etc/systemd/system/tracker.service.d && " +
				`printf '[Service]\nLimitNOFILE=5124\n' >/etc/systemd/system/tracker.service.d/files.conf && systemctl daemon-reload && systemctl restart tracker.service`,
			"memory: limit.memory is 450 MB, but there is less; half of the machine's 482 MB is 241 MB; write limit.memory 241m",
			"queues: eth0 has one queue, so one processor takes every packet; echo f > /sys/class/net/eth0/queues/rx-0/rps_cpus",
			"time wait: 12 of at most 4096 closed connections wait for late packets; beyond that, late packets hit new ones, and limit.connections is 5000; sysctl -w net.ipv4.tcp_max_tw_buckets=16384",
		}},
		{"vps, for itself", checkup{fs: recorded(t, "vps"), bound: loop.Bound{Addrs: listens("udp 127.0.0.1:1", "tcp [::1]:1"), Connections: 900}}, nil},
		{"container", checkup{
			fs: fstest.MapFS{
				"proc/sys/net/core/somaxconn":          {Data: []byte("4096\n")},
				"proc/sys/net/ipv4/tcp_max_tw_buckets": {Data: []byte("100000000\n")},
				"proc/net/sockstat":                    {Data: []byte("TCP: inuse 9 orphan 0 tw 90000000 alloc 15\n")},
			},
			bound: loop.Bound{Addrs: everywhere, ReceiveAsked: 9, ReceiveGiven: 8},
		}, []string{
			"receive buffer: a UDP socket holds 8 bytes of the 9 it should, and what comes in a burst beyond that is lost; outside of this container: sysctl -w net.core.rmem_max=9",
			"time wait: 90000000 of at most 100000000 closed connections wait for late packets; beyond that, late packets hit new ones; sysctl -w net.ipv4.tcp_max_tw_buckets=400000000",
		}},
		{"large tables", checkup{fs: fstest.MapFS{
			"proc/sys/net/ipv4/tcp_max_tw_buckets": {Data: []byte("2147483647")},
			"proc/net/sockstat":                    {Data: []byte("TCP: inuse 9 orphan 0 tw 9 alloc 15")},
		}, bound: loop.Bound{Addrs: everywhere}}, nil},
		{"server", checkup{fs: recorded(t, "server"), bound: roomy, connections: 2000, memory: 1 << 30, room: room(1<<35, 0)}, nil},
		{"no Linux", checkup{fs: fstest.MapFS{}, bound: loop.Bound{Addrs: everywhere, ReceiveAsked: 2, ReceiveGiven: 1}}, nil},
	} {
		tt.c.limits()
		tt.c.network()
		var got []string
		for _, f := range tt.c.found {
			got = append(got, f.what+": "+f.text+"; "+f.mend)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: found\n\t%s\nwant\n\t%s", tt.name, strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
		}
	}
}

// TestCheckupDetails looks at parts of machines.
func TestCheckupDetails(t *testing.T) {
	if unit := (&checkup{fs: recorded(t, "vps")}).ownUnit(); unit != "tracker.service" {
		t.Errorf("unit %q", unit)
	}
	for _, group := range []string{"0::/", "", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/gnome-terminal-server.service", "0::/a.scope"} {
		c := checkup{fs: fstest.MapFS{"proc/self/cgroup": {Data: []byte(group + "\n")}}}
		if unit := c.ownUnit(); unit != "" {
			t.Errorf("%s: unit %s", group, unit)
		}
	}
	c := checkup{fs: recorded(t, "vps"), bound: loop.Bound{Addrs: listens("tcp [::]:80")}}
	if got := strings.Join(c.untrack(9), "\n"); !c.has("iptables") || c.has("nft") || got != "sysctl -w net.netfilter.nf_conntrack_max=9\n"+
		"iptables -t raw -A PREROUTING -p tcp --dport 80 -j NOTRACK\niptables -t raw -A OUTPUT -p tcp --sport 80 -j NOTRACK\n"+
		"ip6tables -t raw -A PREROUTING -p tcp --dport 80 -j NOTRACK\nip6tables -t raw -A OUTPUT -p tcp --sport 80 -j NOTRACK" {
		t.Errorf("iptables: %s", got)
	}
	for online, want := range map[string]string{
		"0": "", "0-1": "3", "0-3,6": "7f", "0-31": "ffffffff", "0-32": "1,ffffffff", "0-39": "ff,ffffffff", "": "", "0-5000": "", "x": "",
	} {
		c := checkup{fs: fstest.MapFS{"sys/devices/system/cpu/online": {Data: []byte(online + "\n")}}}
		if mask, several := c.processors(); mask != want || several != (want != "") {
			t.Errorf("%q: %s, %v", online, mask, several)
		}
	}
	for path, want := range map[string]string{"/a/b-1": "/a/b-1", "/a b": "'/a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'"} {
		if got := quote(path); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// TestCheckupLists looks for lists where the user we become may not read them.
func TestCheckupLists(t *testing.T) {
	dir := t.TempDir()
	cell, outside := filepath.Join(dir, "cell"), filepath.Join(dir, "outside")
	user := account{"somebody", 54321, 54321}
	for _, d := range []string{cell, outside, filepath.Join(cell, "deep"), filepath.Join(cell, "files")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{cell + "/good", cell + "/secret", cell + "/deep/list", outside + "/list"} {
		if err := os.WriteFile(f, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]os.FileMode{cell + "/secret": 0o600, cell + "/deep": 0o700, cell + "/files": 0o711, outside: 0o700} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(outside, 0o755) })
	t.Chdir(cell)
	for path, want := range map[string]string{
		"good":            "",
		"/good":           "",
		"missing":         "touch " + cell + "/missing",
		"secret":          "chmod a+rX " + cell + "/secret",
		"deep/list":       "chmod a+x " + cell + "/deep",
		"files":           "chmod a+rX " + cell + "/files",
		outside + "/list": "chmod a+x " + outside,
	} {
		var c checkup
		c.list(cell, path, user)
		got := ""
		for _, f := range c.found {
			got += f.mend
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// TestCheckupGive gives the user we become a folder for the state file, but none
// that others have files in.
func TestCheckupGive(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"own", "etc"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"own/state", "own/state.new", "etc/passwd", "etc/state"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c := &cell{dir: dir, root: true, user: account{"somebody", 54321, 54321}}
	for path, want := range map[string]string{
		"own/state":     "mkdir -p DIR/own && chown somebody DIR/own",
		"/own/state":    "mkdir -p DIR/own && chown somebody DIR/own",
		"missing/state": "mkdir -p " + must(filepath.Abs("missing")) + " && chown somebody " + must(filepath.Abs("missing")),
		"/etc/state":    "mkdir -p DIR/etc/tracker-state && chown somebody DIR/etc/tracker-state, and write state.file /etc/tracker-state/state",
		"state":         "mkdir -p DIR/tracker-state && chown somebody DIR/tracker-state, and write state.file tracker-state/state",
	} {
		if got := strings.ReplaceAll(c.give(path), dir, "DIR"); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// must returns v, of a call that cannot fail.
func must(v string, err error) string {
	if err != nil {
		panic(err)
	}
	return v
}
