package main

import (
	"fmt"
	"slices"
	"time"

	"tracker/perf"
	"tracker/proto"
)

// craftedBlock is how many announces of a kind follow each other.
const craftedBlock = 500

// craftedLimit is how much more CPU time an announce of a crafted infohash may
// take than one of a random one: what two runs of the same differ by on a busy
// machine. A table that takes its slots from the unseeded hash has runs of
// thousands and takes tens of times more.
const craftedLimit = 1.5

// An aimed is what announces of one kind of infohashes took.
type aimed struct {
	name    string
	hashes  []proto.Infohash
	latency perf.Histogram
	cpu     []float64 // ns an announce, by block
}

// crafted announces torrents whose unseeded hashes agree, and random ones, in
// turn, one at a time; and all of them twice, since a torrent that is there is
// looked for differently from one that is not.
func crafted(t *trial) error {
	n := t.scale.crafted
	kinds := []*aimed{{name: "random"}, {name: "crafted", hashes: colliding(n)}}
	for i := range uint32(n) {
		kinds[0].hashes = append(kinds[0].hashes, perf.Infohash(t.scale.torrents+i))
	}
	p, err := openProbe(t.Addr, hostile[3])
	if err != nil {
		return err
	}
	defer p.Close()
	id, err := connectID(p.UDPConn)
	if err != nil {
		return err
	}
	err = t.flood(func() error {
		for range 2 {
			for block := range slices.Chunk(kinds[0].hashes, craftedBlock) {
				if err := t.aim(p, id, kinds[0], block); err != nil {
					return err
				}
				other := kinds[1].hashes[:len(block)]
				if err := t.aim(p, id, kinds[1], other); err != nil {
					return err
				}
				kinds[1].hashes = append(kinds[1].hashes[len(block):], other...) // round and round
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range kinds {
		slices.Sort(k.cpu)
		t.say("%s: %.1f µs of CPU time, latency p50 %.0f, p99 %.0f µs", k.name, k.median()/1e3,
			k.latency.Quantile(0.5).Seconds()*1e6, k.latency.Quantile(0.99).Seconds()*1e6)
	}
	ratio := kinds[1].median() / kinds[0].median()
	t.say("crafted / random %.2f", ratio)
	// A few blocks are noise.
	t.must(len(kinds[0].cpu) < 10 || ratio < craftedLimit, "a crafted infohash takes %.1f × the CPU time of a random one", ratio)
	return nil
}

func (a *aimed) median() float64 { return a.cpu[len(a.cpu)/2] }

// aim announces each of hashes once.
func (t *trial) aim(p *probe, id uint64, k *aimed, hashes []proto.Infohash) error {
	cpu, err := t.CPU()
	if err != nil {
		return err
	}
	var pkt []byte
	for i := range hashes {
		pkt = appendAnnounce(pkt[:0], id, uint32(i), &hashes[i], 6881, 1)
		begin := time.Now()
		b, err := ask(p.UDPConn, pkt)
		if err == nil && be.Uint32(b) != actionAnnounce {
			err = fmt.Errorf("%w: %.40q", errWrong, b)
		}
		if err != nil {
			return err
		}
		k.latency.Add(time.Since(begin))
	}
	now, err := t.CPU()
	k.cpu = append(k.cpu, float64(now-cpu)/float64(len(hashes)))
	return err
}
