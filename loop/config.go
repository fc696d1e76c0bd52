package loop

import (
	"net/netip"
	"runtime"
	"time"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// A Transport is a way to get at datagrams or connections.
type Transport uint8

// Transports, for each of UDP and TCP.
const (
	TransportAuto    Transport = iota // batches where there are any
	TransportBatches                  // many at a time; Linux only
	TransportGnet                     // one at a time, on every system
)

// defaultReceiveBuffer is the queue asked for at each UDP socket, in bytes, of
// which the kernel makes twice as many. It counts 832 for an announce that came
// over the loopback interface, and about 2,300 where a network driver has
// buffers of 2 kB: then this holds some 1,350, 250 ms at 5,000 a second on each
// reactor. It takes memory only while something is queued.
const defaultReceiveBuffer = 3 << 19

// Config says what to serve, and where. Zero values mean the default, except
// for Store, which must be given.
type Config struct {
	Listen        []Addr        // none but for metrics: the addresses of Sockets, and without these TCP and UDP on port 6969 of every address
	Sockets       []int         // bound already, and taken over whatever happens; used for the addresses they have
	TCPReactors   int           // 0: as many as processors in use
	UDPReactors   int           // for each UDP address; 0: as many as processors in use
	Interval      time.Duration // between two announces of a client; 0: 30 minutes
	Adaptive      bool          // less in small swarms, more in large ones, between 5 and 80 minutes
	MaxConns      int           // TCP connections at once; 0: what the file limit allows
	AutoConns     int           // no more than that if MaxConns is 0; 0: as many as there may be
	Clerks        int           // long answers at once; 0: 4
	IdleLimit     time.Duration // without a request, and for one; 0: 5 s
	UDP, TCP      Transport
	ReceiveBuffer int // bytes for each UDP socket; 0: 1.5 MiB

	Store    *store.Store
	Redirect string      // where GET / is sent; empty: nowhere, the page is there
	Trust    Trust       // who may speak about addresses
	Clients  ClientRules // which programs are served; all by default
	Rates    Rates       // what an address and a prefix may ask for; none by default
	LAN      *LAN        // the network that we are in, if it is behind NAT; its Holds is to be the Store's Local

	StatsPath string         // where statistics are read, without leading slash; empty: stats
	Stats     []netip.Prefix // who may read them, and scrape everything; empty: everyone
	Version   string         // of the program, as statistics tell it
	NoPage    bool           // no page for people, and no history for it
	// Memory says how many bytes of memory the process has, and what it is kept
	// below, 0 for unknown and none. It is called by several goroutines; nil
	// knows nothing.
	Memory func() (resident, limit int64)

	// Allowed is called by many goroutines, and not before Ready has returned;
	// nil allows all.
	Allowed func(*proto.Infohash) bool

	// Bound is called before Ready, with what the system has given us. May be nil.
	Bound func(Bound)
	// Ready is called when every socket is bound and gnet, if used, has its own, and
	// before anything is read: the moment to give up root. It may put what an
	// earlier process had into h, which has connection ids that nobody has
	// seen. An error ends Run.
	Ready func(h *Heritage) error
	// Join is called after that, and again by Resume: the moment to tell other
	// trackers of announces. What it returns is called once for each reactor,
	// and may be nil: then nobody is told. An error ends Run, and after Resume
	// nobody is told. May be nil.
	Join func(s *Server) (share func() Sharer, err error)
	// Cluster says what these other trackers are, for statistics. It is called by
	// several goroutines; nil: there are none.
	Cluster func() stats.Cluster
	// WallMinutes has minutes of the store begin when those of the wall clock do,
	// so that trackers of several machines count alike.
	WallMinutes bool
	Logf        Logf // nil: nobody is told
	// Now is a monotonic clock; nil: that of the machine since it started.
	Now func() time.Duration
	// Wall is the wall clock; nil: that of the machine. Only statistics need
	// it, and WallMinutes.
	Wall func() time.Time

	stall     time.Duration // 0: stallLimit
	sendLimit time.Duration // 0: sendLimit
}

// processors is how many the program may use: those of the machine, of its CPU
// set or of its cgroup, or what GOMAXPROCS said.
var processors = runtime.GOMAXPROCS(0)

// needProcessors has the Go runtime run n goroutines at once at least. The
// system shares what processors there are between the threads of these, and
// does so well; the runtime would let a busy reactor keep the others waiting
// for 10 ms.
func needProcessors(n int) {
	if n > runtime.GOMAXPROCS(0) {
		runtime.GOMAXPROCS(n)
	}
}

// withDefaults returns cfg with its zero values replaced.
func (cfg Config) withDefaults() Config {
	if cfg.TCPReactors <= 0 {
		cfg.TCPReactors = processors
	}
	if cfg.UDPReactors <= 0 {
		cfg.UDPReactors = processors
	}
	if cfg.Interval <= 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.Clerks <= 0 {
		cfg.Clerks = clerks
	}
	if cfg.IdleLimit <= 0 {
		cfg.IdleLimit = idleLimit
	}
	if cfg.UDP == TransportAuto {
		cfg.UDP = TransportGnet
		if hasBatches {
			cfg.UDP = TransportBatches
		}
	}
	if cfg.TCP == TransportAuto {
		cfg.TCP = TransportGnet
		if hasEpoll {
			cfg.TCP = TransportBatches
		}
	}
	if cfg.ReceiveBuffer <= 0 {
		cfg.ReceiveBuffer = defaultReceiveBuffer
	}
	if cfg.Logf == nil {
		cfg.Logf = func(Level, string, string, ...any) {}
	}
	if cfg.Now == nil {
		cfg.Now = bootTime
	}
	if cfg.StatsPath == "" {
		cfg.StatsPath = defaultStatsPath
	}
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	if cfg.stall <= 0 {
		cfg.stall = stallLimit
	}
	if cfg.sendLimit <= 0 {
		cfg.sendLimit = sendLimit
	}
	return cfg
}

// closeEvery returns how often overdue connections are looked for, and how late
// the clock may be meanwhile.
func (cfg *Config) closeEvery() time.Duration { return min(tick, cfg.IdleLimit/5) }

func (cfg *Config) census() census { return census{tcp: cfg.TCPReactors, udp: cfg.UDPReactors} }
