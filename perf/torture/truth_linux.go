package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// errWrong is an answer that came and is not right.
var errWrong = errors.New("wrong answer")

// truth is who is in the witness's torrent.
type truth struct {
	peers             map[netip.AddrPort]bool
	seeders, leechers int
	strict            bool // who asks must not be among the peers it is given
}

func (t *truth) add(p netip.AddrPort, seeder bool) {
	if t.peers == nil {
		t.peers = map[netip.AddrPort]bool{}
	}
	t.peers[p] = true
	if seeder {
		t.seeders++
	} else {
		t.leechers++
	}
}

// checkUDP holds the answer to self's announce against the truth.
func (t *truth) checkUDP(b []byte, self netip.AddrPort) error {
	if len(b) < 20 || be.Uint32(b) != actionAnnounce {
		return fmt.Errorf("%w: %.40q", errWrong, b)
	}
	if err := t.checkCounts(int(be.Uint32(b[16:])), int(be.Uint32(b[12:]))); err != nil {
		return err
	}
	return t.checkPeers(b[20:], self, self.Addr().Is4())
}

// checkHTTP does the same for the body of an answer over HTTP, which has the
// peers of both families.
func (t *truth) checkHTTP(body []byte, self netip.AddrPort) error {
	d, err := dictionary(body)
	if err != nil {
		return fmt.Errorf("%w: %w: %.60q", errWrong, err, body)
	}
	complete, err1 := strconv.Atoi(string(d["complete"]))
	incomplete, err2 := strconv.Atoi(string(d["incomplete"]))
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%w: %w", errWrong, err)
	}
	return errors.Join(
		t.checkCounts(complete, incomplete),
		t.checkPeers(d["peers"], self, true),
		t.checkPeers(d["peers6"], self, false),
	)
}

func (t *truth) checkCounts(complete, incomplete int) error {
	if complete != t.seeders || incomplete != t.leechers {
		return fmt.Errorf("%w: %d seeders and %d leechers, want %d and %d", errWrong, complete, incomplete, t.seeders, t.leechers)
	}
	return nil
}

// checkPeers holds compact peers of one family against the truth: each must be
// there once.
func (t *truth) checkPeers(compact []byte, self netip.AddrPort, four bool) error {
	size := 18
	if four {
		size = 6
	}
	if len(compact)%size != 0 {
		return fmt.Errorf("%w: %d bytes of peers", errWrong, len(compact))
	}
	got := map[netip.AddrPort]bool{}
	for ; len(compact) > 0; compact = compact[size:] {
		a, _ := netip.AddrFromSlice(compact[:size-2])
		p := netip.AddrPortFrom(a, be.Uint16(compact[size-2:]))
		if !t.peers[p] || got[p] || p == self && t.strict {
			return fmt.Errorf("%w: %s is among the peers", errWrong, p)
		}
		got[p] = true
	}
	for p := range t.peers {
		if p.Addr().Is4() == four && p != self && !got[p] {
			return fmt.Errorf("%w: %s is not among the peers", errWrong, p)
		}
	}
	return nil
}

// dictionary reads a bencoded dictionary of numbers and strings.
func dictionary(b []byte) (map[string][]byte, error) {
	errBencode := errors.New("no dictionary")
	all := map[string][]byte{}
	if len(b) < 2 || b[0] != 'd' || b[len(b)-1] != 'e' {
		return nil, errBencode
	}
	for b = b[1 : len(b)-1]; len(b) > 0; {
		key, rest, ok := text(b)
		if !ok || len(rest) == 0 {
			return nil, errBencode
		}
		var value []byte
		if rest[0] == 'i' {
			value, b, ok = bytes.Cut(rest[1:], []byte("e"))
		} else {
			value, b, ok = text(rest)
		}
		if !ok {
			return nil, errBencode
		}
		all[string(key)] = value
	}
	return all, nil
}

// text reads a bencoded string.
func text(b []byte) (s, rest []byte, ok bool) {
	length, rest, _ := bytes.Cut(b, []byte(":"))
	n, err := strconv.Atoi(string(length))
	if err != nil || n < 0 || n > len(rest) {
		return nil, nil, false
	}
	return rest[:n], rest[n:], true
}
