package config

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A key is one row of the config file.
type key struct {
	name    string
	arg     string // what the value is, in a word
	def     string // the default as it would be written, or "none" and what that means
	unit    string // of the default, if it is a number
	allowed string // what the value may be, with its unit
	doc     string // what it does, in sentences
	sample  string // a value for the example file
	kind    kind
	set     func(p *parser, v string) error
}

// A kind says what follows a value on its line.
type kind uint8

const (
	kindScan kind = iota // addresses, numbers, words: opentracker stops at the first blank
	kindPath             // paths: everything to the end of the line
	kindName             // names and URLs: everything to the end, without blanks
)

const allowedListen = "an address with or without a port, like 192.0.2.1:6969, 2001:db8::1 or [2001:db8::1]:6969"

const allowedPeerID = "1 to 20 printable ASCII characters without blanks"

// To add a key: a field with its default in Config, a row here, a good and
// three bad values in keys_test.go; then `go test ./config -update`, which
// rewrites tracker.conf.example and the golden files, and the diff is part of
// the review. Keys that opentracker has keep its meaning.
//
// The rows are in the order of the example file; keys with the same first
// word stand together. Those of cluster.* are beside, because builds for routers
// have none of them.
var keys = [...][]key{ownKeys, clusterKeys, foreignKeys}

// ownKeys are the keys of every build.
var ownKeys = []key{
	{
		name: "listen.tcp_udp", arg: "ip[:port]", def: "none ([::]:6969 if nothing is opened at all)", allowed: allowedListen,
		doc: "Listen on TCP (HTTP) and UDP. Lines add up. The port is 6969 if none is given, and 0 is any free port." +
			" [::] is every address of both families, 0.0.0.0 every IPv4 address. As soon as one listener is named," +
			" here or by the flags -p and -P, only those named are opened.",
		sample: "192.0.2.1:6969",
		set:    func(p *parser, v string) error { return p.listenAddr(v, TCP, UDP) },
	},
	{
		name: "listen.tcp", arg: "ip[:port]", def: "none", allowed: allowedListen,
		doc: "The same for TCP alone.", sample: "0.0.0.0:80",
		set: func(p *parser, v string) error { return p.listenAddr(v, TCP) },
	},
	{
		name: "listen.udp", arg: "ip[:port]", def: "none", allowed: allowedListen,
		doc: "The same for UDP alone.", sample: "[2001:db8::1]:6969",
		set: func(p *parser, v string) error { return p.listenAddr(v, UDP) },
	},
	{
		name: "listen.tcp_proxy", arg: "ip[:port]", def: "none", allowed: allowedListen,
		doc: "Listen on TCP for a reverse proxy that sends a PROXY protocol header (version 1 or 2) before each connection." +
			" The proxy has to be named with access.proxy.",
		sample: "127.0.0.1:6970", set: (*parser).listenProxy,
	},
	{
		name: "listen.udp.workers", arg: "number", def: "0", unit: "reactors", allowed: "a number of reactors from 0 to 256",
		doc: "How many reactors (threads with sockets of their own) read UDP. 0 is one per processor, which is best" +
			" unless other programs need the processors. The last line counts, for all listeners.",
		sample: "0",
		set: func(p *parser, v string) (err error) {
			p.cfg.UDPWorkers, err = number(v, 0, MaxUDPWorkers)
			return err
		},
	},
	{
		name: "listen.udp.transport", arg: "name", def: "auto", allowed: "auto, batched (only on Linux) or gnet",
		doc:    "How datagrams are read: batched takes up to 64 at once, gnet one at a time. auto is batched where it exists; builds for routers have only that.",
		sample: "auto", set: func(p *parser, v string) error { return transport(&p.cfg.UDPTransport, v) },
	},
	{
		name: "listen.tcp.transport", arg: "name", def: "auto", allowed: "auto, batched (only on Linux) or gnet",
		doc: "How connections are read: batched with an epoll that serves a connection as soon as it is accepted, gnet with" +
			" that library's event loop. auto is batched where it exists; builds for routers have only that.",
		sample: "auto", set: func(p *parser, v string) error { return transport(&p.cfg.TCPTransport, v) },
	},
	{
		name: "access.whitelist", arg: "path", def: "none (every torrent is served)", allowed: allowedSource,
		doc: "Serve only the torrents listed: a file with one infohash of 40 hex digits at the start of each line," +
			" or a folder of .torrent files. Lines add up, those of the flag -w too. Changes are seen by themselves and on SIGHUP.",
		sample: "whitelist", kind: kindPath,
		set: func(p *parser, v string) error { return source(&p.cfg.Whitelist, v) },
	},
	{
		name: "access.blacklist", arg: "path", def: "none", allowed: allowedSource,
		doc:    "Never serve the torrents listed, even if a whitelist has them. Lines add up, those of the flag -b too.",
		sample: "blacklist", kind: kindPath,
		set: func(p *parser, v string) error { return source(&p.cfg.Blacklist, v) },
	},
	{
		name: "access.fifo_add", arg: "path", def: "none", allowed: allowedPath,
		doc: "A FIFO, made if it is missing. Infohashes written to it, one a line, count as listed until the next" +
			" SIGHUP. Needs a list.",
		sample: "fifo_add", kind: kindPath,
		set: func(p *parser, v string) error { return p.setFIFO(&p.cfg.FIFOAdd, v) },
	},
	{
		name: "access.fifo_delete", arg: "path", def: "none", allowed: allowedPath,
		doc:    "The same for infohashes that count as not listed.",
		sample: "fifo_delete", kind: kindPath,
		set: func(p *parser, v string) error { return p.setFIFO(&p.cfg.FIFODelete, v) },
	},
	{
		name: "access.stats", arg: "ip[/bits]", def: "none (everyone, unless -A blesses somebody)", allowed: allowedNet,
		doc:    "Who may read the statistics. Lines add up, and whom the flag -A blesses may too.",
		sample: "192.0.2.0/24",
		set:    func(p *parser, v string) error { return nets(&p.cfg.Stats, v) },
	},
	{
		name: "access.stats_path", arg: "path", def: "stats",
		allowed: "letters, digits and !'()*+,-./:;<>_~ that do not begin with a or sc, without the leading slash; not healthz",
		doc:     "Where the statistics are.",
		sample:  "stats", kind: kindName, set: (*parser).setStatsPath,
	},
	{
		name: "access.proxy", arg: "ip[/bits]", def: "none", allowed: allowedNet,
		doc: "Reverse proxies that are trusted to name the client's address, in X-Forwarded-For or in a PROXY header" +
			" (listen.tcp_proxy). Nobody else is believed. Lines add up, and whom the flag -A blesses is trusted too.",
		sample: "127.0.0.1",
		set:    func(p *parser, v string) error { return nets(&p.cfg.Proxies, v) },
	},
	{
		name: "access.real_ip", arg: "on|off", def: "off", allowed: "on or off",
		doc: "Believe the header X-Real-IP of trusted proxies as well, before X-Forwarded-For. Only if your proxy sets it" +
			" on every request: otherwise clients can.",
		sample: "off", set: (*parser).setRealIP,
	},
	{
		name: "access.ip_from_query", arg: "ip[/bits]", def: "none", allowed: allowedNet,
		doc: "Who may announce another address than its own, with ip= (HTTP) or the ip field (UDP, IPv4). Whoever can do that can point every client" +
			" of a torrent at a victim: name your own hosts only. Lines add up.",
		sample: "192.168.0.0/16",
		set:    func(p *parser, v string) error { return nets(&p.cfg.IPFromQuery, v) },
	},
	{
		name: "access.client.deny", arg: "prefix", def: "none", allowed: allowedPeerID,
		doc: "Never serve programs whose peer ids begin like this. They are told so, and may leave swarms. Lines add up. A peer" +
			" id is what a program says it is.",
		sample: "-XL0012", kind: kindName,
		set: func(p *parser, v string) error { return peerIDs(&p.cfg.ClientDeny, v) },
	},
	{
		name: "access.client.allow", arg: "prefix", def: "none (every program is served)", allowed: allowedPeerID,
		doc:    "Serve only programs whose peer ids begin like this, if access.client.deny does not name them. Lines add up.",
		sample: "-TR", kind: kindName,
		set: func(p *parser, v string) error { return peerIDs(&p.cfg.ClientAllow, v) },
	},
	{
		name: "metrics.listen", arg: "ip[:port]", def: "none (metrics are where statistics are)",
		allowed: "an address with or without a port, like 127.0.0.1:9969 or [2001:db8::1]:9969",
		doc: "Answer /metrics here and nowhere else. Statistics, profiles and /healthz are here, too, announces and scrapes are" +
			" not. Who may read is said by access.stats all the same. Lines add up. The port is 9969 if none is given. The" +
			" listeners for clients are not touched.",
		sample: "127.0.0.1:9969", set: (*parser).listenMetrics,
	},
	{
		name: "tracker.rootdir", arg: "path", def: "none (the working directory, when started as root)", allowed: allowedPath,
		doc:    "Directory to chroot to when started as root, and to change to otherwise (flag -d).",
		sample: ".", kind: kindPath,
		set: func(p *parser, v string) error { p.cfg.RootDir = v; return nil },
	},
	{
		name: "tracker.user", arg: "name", def: "nobody", allowed: allowedUser,
		doc:    "User to become when started as root (flag -u).",
		sample: "nobody", kind: kindName, set: (*parser).setUser,
	},
	{
		name: "tracker.redirect_url", arg: "url", def: "none", allowed: allowedURL,
		doc:    "Where browsers that ask for / are sent (flag -r).",
		sample: "https://tracker.example/", kind: kindName, set: (*parser).setRedirect,
	},
	{
		name: "tracker.interval", arg: "seconds", def: "1800", unit: "seconds", allowed: "a number of seconds from 300 to 4600",
		doc: "How long clients are told to wait between two announces, spread by 10 % to either side. Peers are" +
			" forgotten after one and a half times the longest, but not before 45 minutes.",
		sample: "1800", set: (*parser).setInterval,
	},
	{
		name: "tracker.interval.adaptive", arg: "on|off", def: "off", allowed: "on or off",
		doc: "Have leechers of swarms of 8 peers and fewer come back after half of tracker.interval, peers of swarms over 50 after one" +
			" and a half times and over 1000 after twice as long, but all within 5 to 80 minutes. Peers are forgotten after" +
			" 127 minutes then, and a tracker that is behind with answering can make more of it.",
		sample: "off",
		set: func(p *parser, v string) (err error) {
			p.cfg.Adaptive, err = onOff(v)
			return err
		},
	},
	{
		name: "tracker.socket", arg: "path", def: "none (/run/tracker-PORT.sock for root, else $XDG_RUNTIME_DIR/tracker-PORT.sock)",
		allowed: "a path, or off",
		doc: "Unix socket over which a tracker started with the flag --replace takes the place of this one: root and the user" +
			" who started this one may. PORT is the first that is listened on. The socket is made before anything is given up." +
			" With off there is none, and memory is not kept in a way that another process could go on with.",
		sample: "/run/tracker.sock", kind: kindPath,
		set: func(p *parser, v string) error { p.cfg.Socket = v; return nil },
	},
	{
		name: "sandbox", arg: "on|off", def: "on", allowed: "on or off",
		doc: "Once everything is open, give up all system calls but those a tracker needs (Linux, seccomp): no program can be" +
			" run, no connection made but to NATS servers of cluster.url, no file opened to write. Where the kernel or the CPU has no such thing, a line says so.",
		sample: "on",
		set: func(p *parser, v string) (err error) {
			p.cfg.Sandbox, err = onOff(v)
			return err
		},
	},
	{
		name: "stats.page", arg: "on|off", def: "on", allowed: "on or off",
		doc: "A page with numbers and plots for people, at / and /stats.html, for those who may read the statistics. With" +
			" tracker.redirect_url or another access.stats_path it is not at /, only at that path and .html. With off there is" +
			" none, nor a history.",
		sample: "on",
		set: func(p *parser, v string) (err error) {
			p.cfg.Page, err = onOff(v)
			return err
		},
	},
	{
		name: "state.file", arg: "path", def: "none (a restart forgets every peer)", allowed: allowedPath,
		doc: "Keep all peers and counts in this file over a restart: it is read at start and written at an orderly end, beside" +
			" the old one first. Its folder has to be writable for tracker.user. Whoever reads the file" +
			" can forge connection ids; it is made readable for that user alone.",
		sample: "/var/lib/tracker/state", kind: kindPath,
		set: func(p *parser, v string) error { p.cfg.StateFile = v; return nil },
	},
	{
		name: "state.interval", arg: "seconds", def: "0", unit: "seconds", allowed: "a number of seconds from 0 to 86400",
		doc: "How often state.file is written while the tracker runs, which is what is left of it after a crash. 0 is only" +
			" at the end, and on SIGUSR2: flash memory wears out. A million peers are 11 MB each time.",
		sample: "0", set: (*parser).setStateInterval,
	},
	{
		name: "limit.connections", arg: "number", def: "0", unit: "connections", allowed: "a number of connections from 0 to 1048576",
		doc: "Most TCP connections at a time. At the limit, the one that has been idle for the longest is closed for the next." +
			" 0 is what the limit of open files (raised as far as it goes) leaves, less 32, and no more than 8 for each MB of" +
			" limit.memory.",
		sample: "0",
		set: func(p *parser, v string) (err error) {
			p.cfg.Connections, err = number(v, 0, MaxConnections)
			return err
		},
	},
	{
		name: "limit.rate.address", arg: "number", def: "0", unit: "requests", allowed: "a number of requests from 0 to 100000",
		doc: "Most requests a second of one address, over UDP and HTTP together, and of an IPv6 /64, which one host can own. Who" +
			" asks for more is at first told to come back later, then UDP is not answered and HTTP connections are closed, until he" +
			" has been quiet for a while: twice limit.rate.burst seconds. Proxies named by access.proxy are not limited, but the clients" +
			" they name are. Many users can share an address. 0 is no limit.",
		sample: "50",
		set:    func(p *parser, v string) error { return rate(&p.cfg.RateAddress, v, 0, MaxRate) },
	},
	{
		name: "limit.rate.prefix", arg: "number", def: "0", unit: "requests", allowed: "a number of requests from 0 to 100000",
		doc:    "The same for all addresses of a network together. What its own address has no right to does not count.",
		sample: "500",
		set:    func(p *parser, v string) error { return rate(&p.cfg.RatePrefix, v, 0, MaxRate) },
	},
	{
		name: "limit.rate.burst", arg: "seconds", def: "10", unit: "seconds", allowed: "a number of seconds from 2 to 100",
		doc:    "How many seconds' worth of either limit may come at once.",
		sample: "10",
		set:    func(p *parser, v string) error { return rate(&p.cfg.RateBurst, v, MinBurst, MaxBurst) },
	},
	{
		name: "limit.rate.prefix4", arg: "bits", def: "24", unit: "bits", allowed: "a number of bits from 8 to 32",
		doc: "What a network is for limit.rate.prefix, with IPv4.", sample: "24",
		set: func(p *parser, v string) error { return rate(&p.cfg.RatePrefix4, v, 8, 32) },
	},
	{
		name: "limit.rate.prefix6", arg: "bits", def: "48", unit: "bits", allowed: "a number of bits from 16 to 64",
		doc: "The same with IPv6.", sample: "48",
		set: func(p *parser, v string) error { return rate(&p.cfg.RatePrefix6, v, 16, 64) },
	},
	{
		name: "limit.memory", arg: "size", def: "auto",
		allowed: "auto, off, or a size from 8m to 64t, in bytes or with k, m, g or t for powers of 1024",
		doc: "Most memory that the whole process may take. auto is half of the machine's memory, or three quarters of the" +
			" cgroup's if that is less, and at most 1 GB where the program has 32 bits; the start says which. When most of it is" +
			" taken, large torrents stop growing, small and new ones do not; when all is taken, new peers are not stored any more, but answered. Who is stored already is" +
			" renewed and may leave, and what expires makes room.",
		sample: "auto", set: func(p *parser, v string) (err error) {
			p.cfg.Memory, err = memory(v)
			return err
		},
	},
	{
		name: "limit.peers_per_torrent", arg: "number", def: "0", unit: "peers", allowed: "a number of peers from 0 to 2147483647",
		doc:    "Most peers of one torrent, 0 for no limit. Further ones are answered, but not stored.",
		sample: "0", set: func(p *parser, v string) (err error) {
			p.cfg.PeersPerTorrent, err = number(v, 0, MaxStored)
			return err
		},
	},
	{
		name: "limit.torrents", arg: "number", def: "0", unit: "torrents", allowed: "a number of torrents from 0 to 2147483647",
		doc:    "Most torrents, 0 for no limit. Peers of further ones are answered, but not stored.",
		sample: "0", set: func(p *parser, v string) (err error) {
			p.cfg.Torrents, err = number(v, 0, MaxStored)
			return err
		},
	},
	{
		name: "limit.ports_per_address", arg: "number", def: "0", unit: "ports", allowed: "a number of ports from 0 to 65535",
		doc: "Most peers of one address, with different ports, in one torrent; 0 for no limit. IPv6 counts by networks of /64." +
			" Further ones are answered, but not stored. Many people behind one address, as mobile networks have them, are cut short by it.",
		sample: "0", set: func(p *parser, v string) (err error) {
			p.cfg.PortsPerAddress, err = number(v, 0, MaxPorts)
			return err
		},
	},
	{
		name: "lan.network", arg: "ip[/bits]", def: "none (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 and fc00::/7, if there is a lan.external)",
		allowed: allowedNet,
		doc: "The tracker's own network, behind a router that translates addresses (NAT). Peers in it are handed out with their own" +
			" address to who asks from there, and to everybody else with that of lan.external and the port they announced. Lines add" +
			" up. This machine itself is always part of it. Of IPv6, only private addresses are translated; name others here as well," +
			" so that who has one is shown the private IPv4 addresses.",
		sample: "192.168.1.0/24", set: (*parser).setLAN,
	},
	{
		name: "lan.external", arg: "address", def: "none (no address is translated)",
		allowed: "an IP address, the name of a network interface, or the path of a file, with a slash in it",
		doc: "The address that lan.network has outside: itself; the interface that has it (IPv4; on Linux, its first); or a file that says" +
			" it, an address a line, which another program writes. Interfaces and files are looked at every second. Lines add up: of" +
			" each family the first that gives an address counts. While none does, peers of lan.network are not handed out to others.",
		sample: "ppp0", kind: kindPath, set: (*parser).setExternal,
	},
	{
		name: "peers.private", arg: "name", def: "same", allowed: "same, hide or all",
		doc: "Who is given peers with private addresses (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7, loopback, link-local)" +
			" that are not in lan.network: who asks from a private address, nobody, or everybody, as opentracker does.",
		sample: "same", set: func(p *parser, v string) error { return oneOf(&p.cfg.PrivatePeers, v, privatePeers[:]) },
	},
	{
		name: "peers.prefer_near", arg: "on|off", def: "off", allowed: "on or off",
		doc: "Hand out peers of the asker's own network first: of a random choice of four times as many as it wants, those with" +
			" the same first 24 bits, then 16 (IPv6: 48, then 32), then others. It keeps traffic local where many users are of one" +
			" provider, and costs some time with each announce.",
		sample: "off",
		set: func(p *parser, v string) (err error) {
			p.cfg.PreferNear, err = onOff(v)
			return err
		},
	},
	{
		name: "log.format", arg: "name", def: "plain", allowed: "plain, text or json",
		doc: "What a line on stderr looks like: plain is a sentence for people, text is key=value, json is an object with the same keys." +
			" Numbers and addresses have keys of their own then. Requests are never logged.",
		sample: "plain",
		set:    func(p *parser, v string) error { return oneOf(&p.cfg.LogFormat, v, logFormats[:]) },
	},
	{
		name: "log.level", arg: "name", def: "info", allowed: "debug, info, warning or error",
		doc:    "Log what matters so much or more.",
		sample: "info",
		set:    func(p *parser, v string) error { return oneOf(&p.cfg.LogLevel, v, logLevels[:]) },
	},
}

// foreignKeys are those that are only there because opentracker has them.
var foreignKeys = []key{
	{
		name: "livesync.cluster.listen", arg: "ip[:port]", def: "none", allowed: allowedListen,
		doc: docSync, sample: "192.0.2.1:9696", set: ignoreAddr,
	},
	{
		name: "livesync.cluster.node_ip", arg: "ip[/bits]", def: "none", allowed: allowedNet,
		doc: docSync, sample: "192.0.2.2", set: ignoreNet,
	},
	{
		name: "batchsync.cluster.admin_ip", arg: "ip[/bits]", def: "none", allowed: allowedNet,
		doc: docSync, sample: "192.0.2.3", set: ignoreNet,
	},
}

const docSync = "Accepted with a warning and without effect: cluster.url and the other cluster.* keys replace it."

// findKey returns the row of a key, or nil.
func findKey(name string) *key {
	for _, table := range keys {
		for i := range table {
			if table[i].name == name {
				return &table[i]
			}
		}
	}
	return nil
}

// listenAddr adds a listener for each of protos.
func (p *parser) listenAddr(v string, protos ...Proto) error {
	addr, err := parseListen(v, DefaultPort)
	for i := 0; err == nil && i < len(protos); i++ {
		err = p.listen(Listen{Proto: protos[i], Addr: addr})
	}
	return err
}

func (p *parser) listenProxy(v string) error {
	addr, err := parseListen(v, DefaultPort)
	if err != nil {
		return err
	}
	if !p.proxyAt.set() {
		p.proxyAt = p.place
	}
	return p.listen(Listen{Proto: TCP, Addr: addr, Proxy: true})
}

func (p *parser) listenMetrics(v string) error {
	addr, err := parseListen(v, MetricsPort)
	if err != nil {
		return err
	}
	p.apartAt = p.place
	return p.listen(Listen{Proto: TCP, Addr: addr, Metrics: true})
}

// oneOf stores which of names v is.
func oneOf[T ~uint8](to *T, v string, names []string) error {
	i := slices.Index(names, v)
	if i < 0 {
		return errors.New("no such name")
	}
	*to = T(i)
	return nil
}

func transport(to *Transport, v string) error {
	for _, t := range []Transport{TransportAuto, TransportBatched, TransportGnet} {
		if v == t.String() {
			*to = t
			return nil
		}
	}
	return errors.New("no such transport")
}

func (p *parser) setFIFO(path *string, v string) error {
	if !p.fifoAt.set() {
		p.fifoAt = p.place
	}
	*path = v
	return nil
}

func (p *parser) setRealIP(v string) (err error) {
	p.realAt = p.place
	p.cfg.RealIP, err = onOff(v)
	return err
}

func (p *parser) setLAN(v string) error {
	p.lanAt = p.place
	return nets(&p.cfg.LAN, v)
}

func (p *parser) setExternal(v string) error {
	add, err := parseExternal(v)
	switch all := &p.cfg.LANExternal; {
	case err != nil || slices.Contains(*all, add):
		return err
	case len(*all) == MaxExternals:
		return fmt.Errorf("more than %d of them", MaxExternals)
	default:
		*all = append(*all, add)
	}
	return nil
}

func (p *parser) setInterval(v string) error {
	n, err := number(v, int(MinInterval/time.Second), int(MaxInterval/time.Second))
	p.cfg.Interval = time.Duration(n) * time.Second
	return err
}

func (p *parser) setStateInterval(v string) error {
	p.stateAt = p.place
	n, err := number(v, 0, int(MaxStateInterval/time.Second))
	p.cfg.StateInterval = time.Duration(n) * time.Second
	return err
}

// rate stores a setting of limit.rate.
func rate(to *int, v string, low, high int) (err error) {
	*to, err = number(v, low, high)
	return err
}

// ignoreAddr checks an address and does nothing with it.
func ignoreAddr(p *parser, v string) error {
	_, err := parseListen(v, DefaultPort)
	p.noSync()
	return err
}

// ignoreNet checks a network and does nothing with it.
func ignoreNet(p *parser, v string) error {
	_, err := parseNet(v)
	p.noSync()
	return err
}
