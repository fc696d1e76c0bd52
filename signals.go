package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"tracker/stats"
)

// signals are those we wait for, each kind in a channel of its own that holds
// one: a second HUP before the first is obeyed asks for nothing new, and no
// number of them may push out a TERM.
type signals struct {
	end, reread, summary, snapshot chan os.Signal
}

// catchSignals catches signals from now on; those that come before anybody
// obeys them wait.
func catchSignals() *signals {
	s := &signals{make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan os.Signal, 1), make(chan os.Signal, 1)}
	signal.Notify(s.end, syscall.SIGINT, syscall.SIGTERM)
	signal.Notify(s.reread, syscall.SIGHUP)
	signal.Notify(s.summary, syscall.SIGUSR1)
	signal.Notify(s.snapshot, syscall.SIGUSR2)
	return s
}

// obey does what signals say, until one says to end, or another process has
// taken our place, which it reports:
//
//	INT, TERM   end with exit code 0
//	HUP         read the lists again, and nothing else
//	USR1        log one line that sums up what there is
//	USR2        write a snapshot, and log one line about it
func (t *tracker) obey() (replaced bool) {
	s := t.signals
	for {
		select {
		case <-t.door.replaced:
			return true
		case <-s.end:
			return t.door.close()
		case <-s.reread:
			t.reread()
		case <-s.summary:
			t.logSummary()
		case <-s.snapshot:
			t.askSnapshot()
		}
	}
}

// logSummary logs one line with what there is, and what was counted so far.
func (t *tracker) logSummary() {
	torrents, seeders, leechers := t.store.Totals()
	c := t.server.Totals()
	snapshots := ""
	if t.state.path != "" {
		snapshots = fmt.Sprintf("; %d snapshots, %d failed", c.Sum(stats.Snapshots), c.Sum(stats.SnapshotErrors))
	}
	logf(info, "summary", "%v torrents, %v seeders, %v leechers; up %v; %v announces, %v TCP connections, %v UDP connects%s%s%s",
		as("torrents", torrents), as("seeders", seeders), as("leechers", leechers), as("uptime_seconds", time.Since(t.began).Round(time.Second)),
		as("announces", c.Sum(stats.HTTPAnnounces)+c.Sum(stats.UDPAnnounces)), as("tcp_connections", c.Sum(stats.TCPAccepts)),
		as("udp_connects", c.Sum(stats.UDPConnects)), snapshots, refusalSummary(&c), floodSummary(&c))
}

// refusalSummary returns how many peers were not stored and why, or "" if all
// were.
func refusalSummary(c *stats.Totals) string {
	memory, full := c.Sum(stats.PeersNoMemory), c.Sum(stats.PeersTooMany)
	torrents, ports := c.Sum(stats.PeersNewTorrent), c.Sum(stats.PeersManyPorts)
	n := memory + full + torrents + ports
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d announces not stored: %d for want of memory, %d in full torrents, %d for new torrents, %d for their ports",
		n, memory, full, torrents, ports)
}

// floodSummary returns what there was too much of, or "" if nothing was.
func floodSummary(c *stats.Totals) (s string) {
	slowed, silenced := c.Sum(stats.RateSlowed), c.Sum(stats.RateAddress)+c.Sum(stats.RatePrefix)
	closed, unproven := c.Sum(stats.RateClosed), c.Sum(stats.RateUnproven)
	if slowed+silenced+closed+unproven > 0 {
		s = fmt.Sprintf("; over budget: %d slowed, %d silenced, %d connections closed, %d unproven", slowed, silenced, closed, unproven)
	}
	slowed, unproven = c.Sum(stats.LoadSlowed), c.Sum(stats.LoadUnproven)
	pages, lost := c.Sum(stats.LoadPages), c.Sum(stats.UDPDrops)
	if slowed+unproven+pages+lost > 0 {
		s += fmt.Sprintf("; behind: %d datagrams lost unread, %d announces slowed, %d unproven, %d pages", lost, slowed, unproven, pages)
	}
	return s
}
