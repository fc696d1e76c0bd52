package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"tracker/perf"
)

// A sweep fills one tracker in steps that each add to the one before.
type sweep struct {
	name   string
	six    bool
	unit   string  // what the budget is for
	budget float64 // bytes of RSS growth per unit at every step; 0 for none
	steps  []step
}

// A step is a number of torrents with as many peers each.
type step struct {
	torrents, peers uint32
}

// count returns the torrents or peers the growth is divided by.
func (s *sweep) count(st step) int64 {
	if s.unit == "torrent" {
		return int64(st.torrents)
	}
	return int64(st.torrents) * int64(st.peers)
}

// Budgets are promises to people with 64 MB of RAM, in bytes of RSS growth.
// Raising one needs a reason in the commit message.
const (
	maxTorrent4 = 48 // 20 infohash, 6 peer, 1 age; the rest is counts, slot and slack
	maxSmall4   = 14 // a peer in a swarm of ten, with its share of the torrent
	maxPeer4    = 8  // 6 on the wire, 1 for age and seeder, 1 for slack
	maxTorrent6 = 64 // as above, with 12 more bytes of address and their slack
	maxSmall6   = 26
	maxPeer6    = 20
)

// growth are the sizes of a sweep in percent of the first. A table that
// doubles is at its emptiest just after one of them, wherever that is.
var growth = []uint32{100, 107, 115, 123, 132, 141, 152, 162, 174, 187, 200}

var sweeps = []sweep{
	{"IPv4, torrents of 1", false, "torrent", maxTorrent4, torrents(1_000_000, 1)},
	{"IPv4, torrents of 10", false, "peer", maxSmall4, torrents(100_000, 10)},
	{"IPv4, torrents of 100", false, "peer", 0, torrents(10_000, 100)},
	{"IPv4, 10 torrents", false, "peer", maxPeer4, peers(10, 200_000)},
	{"IPv4, 100 torrents", false, "peer", 0, peers(100, 10_000)},
	{"IPv6, torrents of 1", true, "torrent", maxTorrent6, torrents(1_000_000, 1)},
	{"IPv6, torrents of 10", true, "peer", maxSmall6, torrents(100_000, 10)},
	{"IPv6, torrents of 100", true, "peer", 0, torrents(10_000, 100)},
	{"IPv6, 10 torrents", true, "peer", maxPeer6, peers(10, 200_000)},
}

// torrents returns steps from t torrents on, of p peers each.
func torrents(t, p uint32) []step {
	var s []step
	for _, g := range growth {
		s = append(s, step{t / 100 * g, p})
	}
	return s
}

// peers returns steps of t torrents, from p peers each on.
func peers(t, p uint32) []step {
	var s []step
	for _, g := range growth {
		s = append(s, step{t, p / 100 * g})
	}
	return s
}

func (s *sweep) matches(part string) bool { return strings.Contains(s.name, part) }

// A row is one measured step.
type row struct {
	at          step
	base, grown perf.Memory
	stopped     bool // after all peers of the step were stopped
}

// per returns the growth in bytes a unit.
func (s *sweep) per(r row, what func(perf.Memory) int64) float64 {
	return float64(what(r.grown)-what(r.base)) / float64(s.count(r.at))
}

func rss(m perf.Memory) int64  { return m.RSS }
func anon(m perf.Memory) int64 { return m.Anon }
func pss(m perf.Memory) int64  { return m.PSS }

// printHead prints the head of the table; peer is what ours is beside.
func printHead(peer string) {
	fmt.Printf("| sweep | torrents × peers | bytes a | budget | RSS | RssAnon | PSS | idle RSS, kB | RSS of %s | idle RSS, kB | |\n", cmp.Or(peer, "nobody"))
	fmt.Println("|---|--:|---|--:|--:|--:|--:|--:|--:|--:|---|")
}

// print writes the rows to w and reports whether one of ours is over budget.
func (s *sweep) print(w io.Writer, ours, theirs []row) (broken bool) {
	rows := ours
	if len(rows) == 0 {
		rows = theirs
	}
	for i, r := range rows {
		size, verdict, budget := fmt.Sprintf("%d × %d", r.at.torrents, r.at.peers), "", "–"
		if r.stopped {
			size = "all stopped, left"
		} else if s.budget > 0 {
			budget = fmt.Sprintf("%.0f", s.budget)
		}
		own := " – | – | – | – "
		if len(ours) > 0 {
			own = fmt.Sprintf(" %.1f | %.1f | %.1f | %d ",
				s.per(r, rss), s.per(r, anon), s.per(r, pss), r.base.RSS>>10)
			if s.budget > 0 && !r.stopped {
				verdict = "ok"
				if s.per(r, rss) > s.budget {
					verdict, broken = "OVER", true
				}
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |%s|%s| %s |\n", s.name, size, s.unit, budget, own, s.beside(r, i, theirs), verdict)
	}
	return broken
}

// beside returns the peer's cells for row i of ours.
func (s *sweep) beside(r row, i int, theirs []row) string {
	if r.stopped && len(theirs) > 0 {
		i = len(theirs) - 1
	}
	if i >= len(theirs) || theirs[i].stopped != r.stopped {
		return " – | – "
	}
	return fmt.Sprintf(" %.1f | %d ", s.per(theirs[i], rss), theirs[i].base.RSS>>10)
}
