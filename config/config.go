// Package config turns the command line and the config file into one struct
// of plain values.
//
// The language is opentracker's, so that its command lines and files go on
// working: short flags that act from left to right, and lines of a key, white
// space and a value. What opentracker could only do when it was compiled for
// it is a key like any other here.
//
//	-i 192.0.2.1 -p 80 -f tracker.conf -w list
//	 |           |     |               |
//	 |           |     |               one more source of the whitelist
//	 |           |     listen.udp 192.0.2.1:6969      the file is read here and
//	 |           |     access.stats 198.51.100.0/24   now: flags to its right win
//	 |           a TCP listener on the address to its left
//	 for the -p and -P that follow
//
// # Two tables
//
// Every flag is a row of flags, every key a row of keys: name, argument, what
// is allowed, default, explanation and the function that stores the value. The
// help text is printed from the first, tracker.conf.example is written from
// the second, and the tests walk both. There is no third place where a setting
// could be forgotten.
//
// A single-valued setting given again takes the last value. Listeners, lists
// and networks add up.
//
// # Strictness
//
// opentracker prints a line about what it does not understand and starts
// anyway; a typo in access.whitelist opens it to the world. Here an unknown
// key, a missing or bad value, an unreadable file or a port that does not fit
// ends the start with an [*Error]: where, what, what is allowed, and the
// nearest key that exists. What is merely suspicious or without effect is a
// line in [Config.Warnings].
//
// # What it never does
//
// It never prints, exits, binds, looks up a name or opens a file other than
// those named with -f. Paths are kept as they were written: whether they are
// to be found inside or outside of a chroot is not decided here.
package config

import (
	"net/netip"
	"slices"
	"time"
)

// DefaultPort is the port of a listener whose address names none.
const DefaultPort = 6969

// MetricsPort is that of a listener for metrics.
const MetricsPort = 9969

// Limits of what can be configured. Each is far above what a real
// configuration holds and bounds what a broken or hostile one can cost.
const (
	// MaxLineBytes is the longest line of a config file, its end not counted.
	// opentracker cuts longer ones in two and obeys both halves.
	MaxLineBytes = 511
	// MaxFileBytes is the size of the largest config file.
	MaxFileBytes = 1 << 20
	// MaxListen is the most listeners, TCP and UDP together. Each takes a
	// descriptor in every reactor.
	MaxListen = 256
	// MaxNets is the most networks of one access key. They are searched one
	// by one, some of them on every request.
	MaxNets = 1024
	// MaxSources is the most files and folders of one access list.
	MaxSources = 1024
	// MaxUDPWorkers is the most UDP reactors.
	MaxUDPWorkers = 256
	// MaxConnections is the largest limit.connections: the most descriptors
	// Linux gives one process unless its administrator raises fs.nr_open.
	MaxConnections = 1 << 20
	// MaxClients is the most prefixes of one access.client key.
	MaxClients = 1024
	// MaxPeerID is the longest of them: a whole peer id.
	MaxPeerID = 20
	// MaxExternals is the most places to look for a LAN's address outside. Each
	// is looked at every second.
	MaxExternals = 16
	// MaxInterface is the longest name of a network interface, in bytes.
	MaxInterface = 15
	// MaxRate is the largest budget of requests a second: as many as one
	// processor answers.
	MaxRate = 100_000
	// MinBurst and MaxBurst are how many seconds' worth of it may come at once:
	// more than the clock takes for a step, and so little that nobody is
	// silenced for more than a few minutes.
	MinBurst, MaxBurst = 2, 100
	// MaxStored is the largest limit of torrents and peers: as many as are
	// counted with 31 bits.
	MaxStored = 1<<31 - 1
	// MaxPorts is the largest limit.ports_per_address: every port there is.
	MaxPorts = 1<<16 - 1
)

// Bounds of limit.memory, in bytes. With less there would be no room for peers
// beside the program; more no machine has.
const (
	MinMemory        = 8 << 20
	MaxMemory        = 1 << 46
	MemoryAuto int64 = -1
)

// Bounds of the announce interval. Trackers asked for more often than every 5
// minutes are taken for broken by tracker lists and clients. Peers are
// remembered for 1.5 times the longest interval, which is 1.1 times the
// configured one, and an age counts up to 127 minutes.
const (
	DefaultInterval = 1800 * time.Second
	MinInterval     = 300 * time.Second
	MaxInterval     = 4600 * time.Second
)

// SocketOff is a Config.Socket that is none.
const SocketOff = "off"

// MaxStateInterval is the longest time between two snapshots. What is older is
// of little use: nearly every peer in it has expired.
const MaxStateInterval = 24 * time.Hour

// The build fails here if the longest interval could outlive its peers.
const _ = uint64(127*time.Minute - MaxInterval*11/10*15/10)

// A Proto says what a listener speaks.
type Proto uint8

// The two transports of the tracker protocol.
const (
	TCP Proto = iota // HTTP (BEP 3)
	UDP              // BEP 15
)

// String returns "tcp" or "udp".
func (p Proto) String() string {
	if p == UDP {
		return "udp"
	}
	return "tcp"
}

// A Listen is one address to listen on. The address [::] stands for every
// address of both families, or of IPv4 alone where the kernel has no IPv6;
// 0.0.0.0 for every IPv4 address. Port 0 leaves the choice to the kernel.
type Listen struct {
	Proto Proto
	Addr  netip.AddrPort // valid, without zone, never IPv4-mapped
	// Proxy: connections start with a PROXY protocol header, version 1 or 2.
	// Only TCP, and only connections from Config.Proxies.
	Proxy bool
	// Metrics: it serves operators and no clients. Only TCP.
	Metrics bool
}

// A Transport says how datagrams or connections are read and written.
type Transport uint8

// The transports.
const (
	TransportAuto    Transport = iota // batched on Linux, gnet elsewhere
	TransportBatched                  // recvmmsg and sendmmsg, or an epoll of our own; only on Linux
	TransportGnet
)

// String returns "auto", "batched" or "gnet", as in the config file.
func (t Transport) String() string {
	switch t {
	case TransportBatched:
		return "batched"
	case TransportGnet:
		return "gnet"
	}
	return "auto"
}

// An External is where the address that a LAN has outside is known. One of the
// fields is set.
type External struct {
	Addr      netip.Addr // never IPv4-mapped
	Interface string     // that has it, for IPv4
	File      string     // that says it
}

// String returns e as in the config file.
func (e External) String() string {
	if e.Addr.IsValid() {
		return e.Addr.String()
	}
	return e.Interface + e.File
}

// PrivatePeers says who is given peers with private addresses.
type PrivatePeers uint8

// The choices.
const (
	PrivateSame PrivatePeers = iota // who has a private address as well
	PrivateHide
	PrivateAll
)

var privatePeers = [...]string{PrivateSame: "same", PrivateHide: "hide", PrivateAll: "all"}

// String returns "same", "hide" or "all".
func (p PrivatePeers) String() string { return privatePeers[p] }

// A LogFormat says what a line of the log looks like.
type LogFormat uint8

// The formats.
const (
	LogPlain LogFormat = iota // a sentence
	LogText                   // key=value
	LogJSON                   // an object
)

// String returns "plain", "text" or "json".
func (f LogFormat) String() string { return logFormats[f] }

var logFormats = [...]string{LogPlain: "plain", LogText: "text", LogJSON: "json"}

// A LogLevel says how much an event matters.
type LogLevel uint8

// The levels, from the least.
const (
	LogDebug LogLevel = iota
	LogInfo
	LogWarning
	LogError
)

// String returns "debug", "info", "warning" or "error".
func (l LogLevel) String() string { return logLevels[l] }

var logLevels = [...]string{LogDebug: "debug", LogInfo: "info", LogWarning: "warning", LogError: "error"}

// Config is everything that can be configured. Slices are in the order given;
// an empty string or slice means not configured. Paths are as written.
type Config struct {
	// Listen is never empty, holds every address once per protocol, and has
	// at most MaxListen entries. Those for metrics come last and are not the
	// only ones.
	Listen       []Listen
	UDPWorkers   int // UDP reactors, 0 to MaxUDPWorkers; 0 means one per processor
	UDPTransport Transport
	TCPTransport Transport

	// Files in opentracker's format or folders of .torrent files. With none
	// in Whitelist every torrent is served that Blacklist does not name.
	Whitelist  []string
	Blacklist  []string
	FIFOAdd    string // FIFO to read infohashes from that are to be treated as listed
	FIFODelete string // the same for infohashes to be treated as not listed

	// Networks are masked and never IPv4-mapped: unmap an address before
	// looking for it.
	Stats       []netip.Prefix // who may read the statistics; empty: everyone
	StatsPath   string         // without leading slash
	Page        bool           // there is a page of statistics for people
	Proxies     []netip.Prefix // whose word about the client's address is believed
	RealIP      bool           // believe X-Real-IP of Proxies as well
	IPFromQuery []netip.Prefix // whose ip= parameter is believed

	// The network that we are in, if it is behind NAT. Peers in it are handed out
	// to others with an address that one of LANExternal gives.
	LAN          []netip.Prefix // empty: all private ones, if LANExternal is not
	LANExternal  []External     // of each family the first that there is counts
	PrivatePeers PrivatePeers
	PreferNear   bool // hand out peers of the asker's network first

	// Beginnings of peer ids.
	ClientAllow []string // of programs that are served; empty: all
	ClientDeny  []string // of programs that are not, allowed or not

	RootDir     string // chroot to (root) or change to (others); empty: not configured
	User        string // whom to become when started as root
	RedirectURL string // where GET / is sent; printable ASCII without blanks
	StateLoad   string // text file of torrents and their downloads to load at start (-l)
	Sandbox     bool   // give up system calls that are not needed
	Replace     bool   // take the place of the tracker that runs
	Socket      string // where a later one may ask to take ours: a path, SocketOff, or empty for a place of the system

	StateFile     string        // snapshot of everything, read at start and written at the end; empty: none
	StateInterval time.Duration // between two more of them, whole seconds, up to MaxStateInterval; 0: none

	Adaptive    bool          // announce intervals depend on the swarm
	Interval    time.Duration // mean announce interval, whole seconds, MinInterval to MaxInterval
	Connections int           // most TCP connections, up to MaxConnections; 0: from the file limit

	// Budgets of requests.
	RateAddress     int   // a second for an address, or a /64 of IPv6, up to MaxRate; 0: none
	RatePrefix      int   // a second for a prefix; 0: none
	RateBurst       int   // seconds' worth that may come at once, MinBurst to MaxBurst
	RatePrefix4     int   // bits of a prefix, 8 to 32
	RatePrefix6     int   // the same for IPv6, 16 to 64
	Memory          int64 // most bytes of memory of the process; 0: no limit; MemoryAuto: a share of what there is
	PeersPerTorrent int   // most peers of a torrent; 0: no limit
	Torrents        int   // most torrents; 0: no limit
	PortsPerAddress int   // most peers of an address in a torrent; 0: no limit

	// Other trackers that share their announces with this one. Builds for routers
	// have none of it.
	ClusterURL         []string // of NATS servers, nats:// or tls://; a password may be in it; empty: this one is alone
	ClusterSubject     string
	ClusterName        string        // of this one; empty: to be made up
	ClusterCredentials string        // path
	ClusterCA          string        // path of authorities' certificates; empty: the system's
	ClusterCert        string        // path of our certificate
	ClusterKey         string        // and its key; both or none
	ClusterBatch       time.Duration // MinBatch to MaxBatch

	LogFormat LogFormat
	LogLevel  LogLevel // of what is logged at least

	// Warnings are lines for the operator about what was accepted but does
	// not do what it seems to say.
	Warnings []string

	given   []place // of everything, in the order given
	unnamed bool    // Listen is the default
}

// ListenDefault reports whether nothing was named to serve clients on, and
// Listen begins with what that means.
func (c *Config) ListenDefault() bool { return c.unnamed }

// Where returns where one of the named keys or flags was given that value, as
// errors say it, or "" if nowhere: then it is the default. It is for mistakes
// that only show when a setting is used. The last place wins.
func (c *Config) Where(value string, names ...string) string {
	for _, p := range slices.Backward(c.given) {
		if p.value == value && slices.Contains(names, p.name) {
			return p.String()
		}
	}
	return ""
}

// Default returns the configuration of a tracker started without arguments,
// except that nothing listens.
func Default() Config {
	return Config{
		StatsPath: "stats", Page: true, User: "nobody", Sandbox: true, Interval: DefaultInterval,
		RateBurst: 10, RatePrefix4: 24, RatePrefix6: 48, Memory: MemoryAuto, LogLevel: LogInfo,
		ClusterSubject: "tracker", ClusterBatch: time.Second,
	}
}

// An Action is what the command line asks for.
type Action uint8

// The actions. Help and Version go to stderr with exit code 0. Check prints
// that the configuration is good, or the error with exit code 1.
const (
	Run Action = iota
	Help
	Version
	Check
)

// Env is what Parse needs of the world around it. The zero value is the real
// one.
type Env struct {
	// ReadFile returns the content of a config file. An error is shown to the
	// operator.
	ReadFile func(name string) ([]byte, error)
}

// Parse reads the command line, without the name of the program, and the
// config files it names. Flags act from left to right. With Help and Version
// the rest of the line has not been looked at and the Config is nil.
//
// The error, if any, is an [*Error].
func Parse(args []string, env Env) (*Config, Action, error) {
	p := parser{cfg: Default(), read: env.ReadFile}
	if p.read == nil {
		p.read = readFile
	}
	action, err := p.commandLine(args)
	if err != nil {
		return nil, Run, err
	}
	if action == Help || action == Version {
		return nil, action, nil
	}
	if err := p.finish(); err != nil {
		return nil, Run, err
	}
	return &p.cfg, action, nil
}
