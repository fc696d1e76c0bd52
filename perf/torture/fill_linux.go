package main

import (
	"fmt"
	"time"

	"tracker/perf"
)

// fill lets as many torrents as long answers are to have be announced.
func (s *subject) fill(torrents uint32) error {
	res, err := s.announce(torrents)
	if err == nil && res.Answered < uint64(torrents) {
		err = fmt.Errorf("%d of %d torrents were taken", res.Answered, torrents)
	}
	return err
}

// announce has hostile clients announce so many torrents, each until it is
// answered.
func (s *subject) announce(torrents uint32) (*perf.Result, error) {
	u, err := perf.OpenUDP(s.Addr, hostile)
	if err != nil {
		return nil, err
	}
	defer u.Close()
	u.Limits, u.Resend = perf.Limits{Window: floodWindow, Timeout: 200 * time.Millisecond}, true
	var n uint32
	return u.Run(func(r *perf.Request) bool {
		if n == torrents {
			return false
		}
		*r = perf.Request{
			Kind: perf.Announce, Torrent: n, Source: n % uint32(len(hostile)), Port: uint16(1024 + n%60_000), Seeder: n%4 == 0,
		}
		n++
		return true
	})
}
