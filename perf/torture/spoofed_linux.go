package main

import (
	"math/rand/v2"

	"tracker/perf"
)

// spoofed announces and scrapes with connection ids that are not the
// sender's: guessed, given to another address, given by a process that is no
// more. Those of an earlier hour take hours to come by, and are left to the
// tests of package loop, where the clock can be set.
func spoofed(t *trial) error {
	p, err := openProbe(t.Addr, hostile[1])
	if err != nil {
		return err
	}
	defer p.Close()
	own, err := connectID(p.UDPConn)
	if err != nil {
		return err
	}
	other, err := idOf(t.subject, hostile[2].As4()[3])
	if err != nil {
		return err
	}
	dead, err := t.deadID()
	if err != nil {
		return err
	}
	t.must(other != own && dead != own, "two addresses or two processes have the same connection id")
	before, beforeErr := t.number("missmatch")

	r := rand.New(rand.NewPCG(1, 2))
	ids := []uint64{other, dead, 0, ^uint64(0), magic, own ^ 1, own ^ 1<<63}
	for len(ids) < t.scale.random/20 {
		ids = append(ids, r.Uint64())
	}
	sent, passed, bytesOut, bytesIn, larger := 0, 0, 0, 0, 0
	for ; len(ids) > 0; ids = ids[min(probeBatch/4, len(ids)):] {
		pkts := spoofs(ids[:min(probeBatch/4, len(ids))])
		answers, err := p.send(pkts)
		if err != nil {
			return err
		}
		sent += len(pkts)
		for i, pkt := range pkts {
			b := answers[uint32(i)]
			bytesOut, bytesIn = bytesOut+len(pkt), bytesIn+len(b)
			if len(b) > len(pkt) {
				larger++
			}
			if b != nil && be.Uint32(b) != actionError {
				passed++
			}
		}
	}
	t.say("%d datagrams, %d passed, %d answered with more than was sent, %.2f bytes back for each sent",
		sent, passed, larger, float64(bytesIn)/float64(bytesOut))
	t.must(passed == 0, "%d connection ids of others were taken", passed)
	t.must(larger == 0, "%d unproven senders got more bytes than they sent", larger)
	after, err := t.number("missmatch")
	if beforeErr == nil && err == nil {
		t.say("%d counted as refused", after-before)
		t.must(after-before == uint64(sent), "%d of %d refusals counted", after-before, sent)
	} else {
		t.must(false, "statistics: %v, %v", beforeErr, err)
	}
	return nil
}

// spoofs returns four datagrams for each id: an announce, scrapes of two
// torrents, of one, of none.
func spoofs(ids []uint64) (pkts [][]byte) {
	ih := perf.Infohash(0)
	tid := func() uint32 { return uint32(len(pkts)) }
	for _, id := range ids {
		pkts = append(pkts, appendAnnounce(nil, id, tid(), &ih, 6881, 1))
		for n := range 3 {
			pkt := appendHeader(nil, id, actionScrape, tid())
			for range n {
				pkt = append(pkt, ih[:]...)
			}
			pkts = append(pkts, pkt)
		}
	}
	return pkts
}

// idOf returns the connection id that a tracker gives a hostile address.
func idOf(s *subject, last byte) (uint64, error) {
	p, err := openProbe(s.Addr, hostile[last])
	if err != nil {
		return 0, err
	}
	defer p.Close()
	return connectID(p.UDPConn)
}

// deadID returns the id that another process of the same tracker gave to the
// address that spoofs.
func (t *trial) deadID() (uint64, error) {
	path := t.o.tracker
	if !t.ours {
		path = t.o.peer
	}
	s, err := t.o.start(path, t.ours, setting{})
	if err != nil {
		return 0, err
	}
	defer s.stop()
	return idOf(s, hostile[1].As4()[3])
}
