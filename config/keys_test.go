package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// keyCases has, for each key, values that are taken and values that are not.
var keyCases = map[string]struct{ good, bad []string }{
	"listen.tcp_udp": {
		good: []string{"192.0.2.1", "192.0.2.1:80", "[::]", "0.0.0.0:0", "::ffff:192.0.2.1", "192.0.2.1:80 # as opentracker, which reads no further"},
		bad:  []string{"nonsense", "192.0.2.1;80", "192.0.2.1:99999", "192.0.2.1:", "192.0.2.1:-1", ":80", "*:80", "192.0.2.1 192.0.2.2", "tracker.example:80"},
	},
	"listen.tcp": {
		good: []string{"2001:db8::1", "[2001:db8::1]:80", "2001:db8::1.80"},
		bad:  []string{"[2001:db8::1", "fe80::1%eth0", "[192.0.2.1]:80", "192.168.1"},
	},
	"listen.udp":           {good: []string{"127.0.0.1:6969"}, bad: []string{"127.0.0.1:0x50", "127.0.0.1:65536"}},
	"listen.tcp_proxy":     {good: []string{"127.0.0.1:6970\naccess.proxy 127.0.0.1"}, bad: []string{"127.0.0.1:6970", "6970", "[::1]:80\nlisten.tcp [::1]:80"}},
	"listen.udp.workers":   {good: []string{"0", "4", "256"}, bad: []string{"257", "-1", "four", "4.5", "18446744073709551617"}},
	"listen.udp.transport": {good: []string{"auto", "batched", "gnet"}, bad: []string{"Gnet", "io_uring"}},
	"listen.tcp.transport": {good: []string{"auto", "batched", "gnet"}, bad: []string{"", "epoll"}},
	"access.whitelist": {
		good: []string{"whitelist", "/srv/my torrents", "whitelist # comment", "a\naccess.whitelist b\naccess.whitelist a"},
		bad:  []string{"# comment", "white\x00list"},
	},
	"access.blacklist":     {good: []string{"./blacklist"}, bad: []string{"a\rb"}},
	"access.fifo_add":      {good: []string{"fifo\naccess.whitelist w"}, bad: []string{"fifo"}},
	"access.fifo_delete":   {good: []string{"fifo\naccess.blacklist b\naccess.fifo_delete last"}, bad: []string{"fifo\x1b"}},
	"access.stats":         {good: []string{"192.0.2.1", "10.1.2.3/8", "2001:db8::1/32\naccess.stats ::1", "::ffff:10.0.0.0/104", "::/0"}, bad: []string{"not-an-ip", "192.168/16", "10.0.0.0/33", "10.0.0.0/", "::ffff:10.0.0.0/8", "fe80::1%lo", "010.0.0.1"}},
	"access.stats_path":    {good: []string{"secret", "/statistik/2", "health", "metrics", "debug"}, bad: []string{"admin", "scores", "/", "a b", "my?stats", "stätte", "healthz", "/debug/pprof/x"}},
	"access.proxy":         {good: []string{"127.0.0.1\naccess.proxy 10.0.0.0/8\naccess.proxy 127.0.0.1"}, bad: []string{"localhost", "10.0.0.1/255.0.0.0"}},
	"access.real_ip":       {good: []string{"off", "on\naccess.proxy ::1", "on"}, bad: []string{"yes", "On"}},
	"access.ip_from_query": {good: []string{"192.168.0.0/16"}, bad: []string{"all"}},
	"access.client.deny":   {good: []string{"-XL0012", "-XL0012-abcdefghijkl", "-XL\naccess.client.deny -SD\naccess.client.deny -XL"}, bad: []string{"-XL0012-abcdefghijklm", "-XL -SD", "-é"}},
	"access.client.allow":  {good: []string{"M", "-TR4"}, bad: []string{"\x01\x02", "-TR # transmission"}},
	"metrics.listen": {
		good: []string{"127.0.0.1", "127.0.0.1:9969\nmetrics.listen [::1]:9969\nlisten.tcp 127.0.0.1:80", "[::]:0"},
		bad:  []string{"9969", "localhost:9969", "[::]:6969", "127.0.0.1:80\nlisten.tcp 127.0.0.1:80"},
	},
	"tracker.rootdir":           {good: []string{"/srv/tracker", "."}, bad: []string{"\x7f"}},
	"tracker.user":              {good: []string{"_opentracker"}, bad: []string{"nobody # x", "a:b"}},
	"tracker.redirect_url":      {good: []string{"https://tracker.example/?a=b#c"}, bad: []string{"https://tracker.example/ # home", "http://müller.example/"}},
	"tracker.interval":          {good: []string{"300", "4600"}, bad: []string{"299", "4601", "30m", "0"}},
	"tracker.interval.adaptive": {good: []string{"on", "off"}, bad: []string{"300-4600", "auto"}},
	"tracker.socket":            {good: []string{"/run/tracker.sock", "off", "my socket"}, bad: []string{"\x7f", ""}},
	"sandbox":                   {good: []string{"on", "off"}, bad: []string{"auto", "0", "seccomp"}},
	"stats.page":                {good: []string{"on", "off"}, bad: []string{"yes", "/", "1"}},
	"state.file":                {good: []string{"/var/lib/tracker/state", "my state"}, bad: []string{"\x7f"}},
	"state.interval":            {good: []string{"0", "10\nstate.file s", "86400", "600\nstate.interval 0"}, bad: []string{"86401", "-1", "10m"}},
	"limit.connections":         {good: []string{"0", "1000", "1048576"}, bad: []string{"1048577", "many"}},
	"limit.rate.address":        {good: []string{"0", "50", "100000"}, bad: []string{"100001", "-1", "50/s"}},
	"limit.rate.prefix":         {good: []string{"500"}, bad: []string{"0.5", "/24", "100001"}},
	"limit.rate.burst":          {good: []string{"2", "100"}, bad: []string{"1", "101", "x10"}},
	"limit.rate.prefix4":        {good: []string{"8", "32"}, bad: []string{"7", "33", "/24"}},
	"limit.rate.prefix6":        {good: []string{"16", "64"}, bad: []string{"15", "65", "128"}},
	"limit.memory":              {good: []string{"auto", "off", "0", "8388608", "32m", "1G", "64t"}, bad: []string{"1m", "12", "m", "32mb", "1.5g", "65t", "-1", "99999999999999999999", "50%"}},
	"limit.peers_per_torrent":   {good: []string{"0", "5000"}, bad: []string{"2147483648", "all"}},
	"limit.torrents":            {good: []string{"0", "200"}, bad: []string{"-1", "1e6"}},
	"limit.ports_per_address":   {good: []string{"0", "8"}, bad: []string{"65536", "none"}},
	"lan.network":               {good: []string{"192.168.1.0/24\nlan.external ppp0\nlan.network fd00::/8", "10.1.2.3"}, bad: []string{"lan", "192.168.1.0/33", "fe80::1%br0"}},
	"lan.external": {
		good: []string{"192.0.2.1", "[2001:db8::1]", "ppp0", "eth0.2", "/run/external ip", "./external", "ppp0\nlan.external ./external\nlan.external ppp0"},
		bad:  []string{"192.0.2", "192.0.2.1:80", "192.0.2.0/24", "0.0.0.0", "127.0.0.1", "ff02::1", "fe80::1%eth0", "a-name-of-no-interface", "ppp0 # wan"},
	},
	"peers.private":     {good: []string{"same", "hide", "all"}, bad: []string{"none", "on", "Same"}},
	"peers.prefer_near": {good: []string{"on", "off"}, bad: []string{"24", "yes", "near"}},
	"log.format":        {good: []string{"plain", "text", "json"}, bad: []string{"logfmt", "JSON"}},
	"log.level":         {good: []string{"debug", "info", "warning", "error"}, bad: []string{"warn", "3"}},
	"cluster.url": {
		good: []string{"nats://192.0.2.1", "tls://user:secret@broker.example:4223\ncluster.url nats://[2001:db8::1]:4222/\ncluster.url nats://[2001:db8::1]:4222/"},
		bad:  []string{"192.0.2.1:4222", "http://192.0.2.1", "nats://", "nats://:4222", "nats://a:", "nats://a:0", "nats://a:65536", "nats://a/b", "nats://a?b", "nats://a b", "nats://a:b:c"},
	},
	"cluster.subject":            {good: []string{"a.b-c_D.1\ncluster.url nats://a", "tracker"}, bad: []string{"a..b", ".a", "a.*", "a.>", "ä", strings.Repeat("a", 65)}},
	"cluster.name":               {good: []string{"tracker-1:6969\ncluster.url nats://a"}, bad: []string{"tracker 1", "ä", `a"b`, "<b>", strings.Repeat("a", 65)}},
	"cluster.credentials":        {good: []string{"a file\ncluster.url nats://a"}, bad: []string{"\x7f"}},
	"cluster.tls.ca":             {good: []string{"ca.pem\ncluster.url nats://a"}, bad: []string{"\x7f"}},
	"cluster.tls.cert":           {good: []string{"cert.pem\ncluster.tls.key key.pem\ncluster.url tls://a"}, bad: []string{"cert.pem"}},
	"cluster.tls.key":            {good: []string{"key.pem\ncluster.tls.cert cert.pem\ncluster.url tls://a"}, bad: []string{"key.pem"}},
	"cluster.batch":              {good: []string{"50\ncluster.url nats://a", "10000", "1000"}, bad: []string{"49", "10001", "1s"}},
	"livesync.cluster.listen":    {good: []string{"192.0.2.1"}, bad: []string{"x"}},
	"livesync.cluster.node_ip":   {good: []string{"192.0.2.1"}, bad: []string{"x"}},
	"batchsync.cluster.admin_ip": {good: []string{"192.0.2.1"}, bad: []string{"x"}},
}

// TestKeys prints what each key says to good values, bad values and in bad
// places.
func TestKeys(t *testing.T) {
	var b strings.Builder
	for _, k := range slices.Concat(keys[:]...) {
		c, ok := keyCases[k.name]
		if !ok || len(c.good) == 0 || len(c.bad) == 0 {
			t.Errorf("%s: no good or no bad value to test", k.name)
		}
		try := func(line string) (failed bool) {
			cfg, err := parseText(line + "\n")
			fmt.Fprintf(&b, "%s\n%s", strings.Trim(fmt.Sprintf("%q", line), `"`), outcome(cfg, Run, err))
			return err != nil
		}
		fmt.Fprintf(&b, "==== %s\n", k.name)
		for _, v := range c.good {
			if try(k.name + " " + v) {
				t.Errorf("%s %q: refused", k.name, v)
			}
		}
		for _, v := range c.bad {
			if !try(k.name + " " + v) {
				t.Errorf("%s %q: accepted", k.name, v)
			}
		}
		for _, line := range badPlaces(k.name, c.good[0]) {
			if !try(line) {
				t.Errorf("%q: accepted", line)
			}
		}
	}
	golden(t, "../testdata/config/keys.golden", b.String())
}

// badPlaces returns lines that have key and value, but not as it should be.
func badPlaces(key, value string) []string {
	section, word, ok := strings.Cut(key, ".")
	if !ok {
		section, word = "tracker", "tracker."+key
	}
	return []string{
		key,
		key + "=" + value,
		key + " # " + value,
		strings.ToUpper(key) + " " + value,
		word + " " + value,
		section + " " + word + " " + value,
		"-" + key + " " + value,
		key[:len(key)-2] + key[len(key)-1:] + " " + value, // a letter is missing
		"listen.tcp_udp 127.0.0.1\n\n" + key + ": " + value,
	}
}

// TestDefaults checks that the defaults in the table are those in the code.
func TestDefaults(t *testing.T) {
	for _, k := range slices.Concat(keys[:]...) {
		if strings.HasPrefix(k.def, "none") {
			continue
		}
		c, err := parseText(k.name + " " + k.def)
		if got := outcome(c, Run, err); got != "  nothing changes\n" {
			t.Errorf("%s %s is the default, but changes\n%s", k.name, k.def, got)
		}
	}
}

// TestNoFieldWithoutSetting checks that every field can be set by a key, or by
// a flag if it has none.
func TestNoFieldWithoutSetting(t *testing.T) {
	lines := "tracker.user x\ntracker.interval 900\nlimit.connections 9\nlisten.udp.workers 2\n" +
		"listen.udp.transport gnet\nlisten.tcp.transport gnet\naccess.real_ip on\naccess.stats_path x\nsandbox off\nstats.page off\nstate.interval 60\n" +
		"tracker.interval.adaptive on\nlimit.rate.burst 3\nlimit.rate.prefix4 16\nlimit.rate.prefix6 32\n" +
		"limit.peers_per_torrent 9\nlimit.torrents 9\nlimit.ports_per_address 9\nlimit.memory 32m\nlog.format text\nlog.level error\ncluster.subject x\ncluster.batch 100\npeers.private all\npeers.prefer_near on\n"
	c, _, err := Parse([]string{"-f", "x", "-l", "state", "--replace"}, text(uncommented(example())+lines))
	if err != nil {
		t.Fatal(err)
	}
	got := outcome(c, Run, nil)
	for _, name := range fields() {
		if !strings.Contains(got, "  "+name+" ") && name != "Warnings" {
			t.Errorf("no key or flag changes Config.%s", name)
		}
	}
}
