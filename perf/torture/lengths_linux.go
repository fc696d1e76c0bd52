package main

import (
	"errors"
	"fmt"
	"math"

	"tracker/perf"
)

const (
	// maxLength is the longest datagram sent, in bytes.
	maxLength = 2048
	// probeBatch is how many are sent before their answers are waited for:
	// far fewer than any queue holds.
	probeBatch = 32
	// maxScrape is how many torrents our tracker tells of over UDP.
	maxScrape = 75
)

// A shape is a kind of datagram, and what has to come of it.
type shape struct {
	name  string
	whole func(id uint64) []byte // of maxLength bytes; cut to each length
	// want returns what is answered to n bytes: nothing if action is silent.
	want func(n int) (action uint32, least, most int)
}

// silent is the action of no answer.
const silent = math.MaxUint32

// padded fills up to maxLength with bytes that make a scrape of them.
func padded(b []byte) []byte {
	for i := 0; len(b) < maxLength; i++ {
		b = append(b, byte(i>>3))
	}
	return b
}

// whenLonger is an answer to datagrams of least bytes and more.
func whenLonger(least int, action uint32, shortest, longest int) func(int) (uint32, int, int) {
	return func(n int) (uint32, int, int) {
		if n < least {
			return silent, 0, 0
		}
		return action, shortest, longest
	}
}

// refusedLen is the length of the answer to a wrong connection id, which is
// given only to who sent as much.
const refusedLen = 8 + len("Connection ID missmatch.")

var shapes = []shape{
	{"connect", func(uint64) []byte {
		return padded(appendHeader(nil, magic, actionConnect, 0))
	}, whenLonger(headerLen, actionConnect, 16, 16)},
	{"announce", func(id uint64) []byte {
		ih := perf.Infohash(0)
		return padded(appendAnnounce(nil, id, 0, &ih, 6881, 1))
	}, whenLonger(announceLen, actionAnnounce, 20, 20+6*200)},
	{"scrape", func(id uint64) []byte {
		return padded(appendHeader(nil, id, actionScrape, 0))
	}, func(n int) (uint32, int, int) {
		if n < headerLen {
			return silent, 0, 0
		}
		whole := 8 + 12*min((n-headerLen)/20, maxScrape)
		return actionScrape, whole, whole
	}},
	{"announce, wrong id", func(id uint64) []byte {
		ih := perf.Infohash(0)
		return padded(appendAnnounce(nil, id+1, 0, &ih, 6881, 1))
	}, whenLonger(refusedLen, actionError, refusedLen, refusedLen)},
	{"unknown action", func(id uint64) []byte {
		return padded(appendHeader(nil, id, 4, 0))
	}, whenLonger(maxLength+1, 0, 0, 0)},
	{"zeros", func(uint64) []byte { return make([]byte, maxLength) }, whenLonger(maxLength+1, 0, 0, 0)},
}

// lengths sends datagrams of each kind and of each length there is up to
// maxLength.
func lengths(t *trial) error {
	p, err := openProbe(t.Addr, hostile[1])
	if err != nil {
		return err
	}
	defer p.Close()
	id, err := connectID(p.UDPConn)
	if err != nil {
		return err
	}
	var sent, answered int
	for _, s := range shapes {
		whole := s.whole(id)
		for from := 0; from <= maxLength; from += probeBatch {
			var pkts [][]byte
			for n := from; n <= min(from+probeBatch-1, maxLength); n++ {
				pkt := append([]byte(nil), whole[:n]...)
				if n >= headerLen {
					be.PutUint32(pkt[12:], uint32(n))
				}
				pkts = append(pkts, pkt)
			}
			answers, err := p.send(pkts)
			if err != nil {
				return fmt.Errorf("%s of %d bytes and more: %w", s.name, from, err)
			}
			sent += len(pkts)
			answered += len(answers)
			for _, pkt := range pkts {
				if err := s.check(len(pkt), answers[uint32(len(pkt))]); err != nil {
					t.must(false, "%v", err)
				}
			}
		}
	}
	t.say("%d datagrams of %d kinds, %d answered", sent, len(shapes), answered)
	return nil
}

// check holds the answer to a datagram of n bytes against what is wanted.
func (s *shape) check(n int, b []byte) error {
	action, least, most := s.want(n)
	if action == silent {
		if b != nil {
			return fmt.Errorf("%s of %d bytes: answered with %d bytes", s.name, n, len(b))
		}
		return nil
	}
	if b == nil {
		return errors.New(s.name + ": no answer to " + fmt.Sprint(n) + " bytes")
	}
	if got := be.Uint32(b); got != action || len(b) < least || len(b) > most {
		return fmt.Errorf("%s of %d bytes: action %d, %d bytes; want action %d, %d to %d bytes", s.name, n, got, len(b), action, least, most)
	}
	return nil
}
