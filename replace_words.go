package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"tracker/handover"
	"tracker/loop"
	"tracker/store"
)

// What messages of a handing over hold. Numbers are little-endian.

var le = binary.LittleEndian

// A hello is what an heir says first.
type hello struct {
	version uint32
	layout  uint64 // of a store's memory, as the heir knows it
}

func (h hello) append(b []byte) []byte {
	return le.AppendUint64(le.AppendUint32(b, h.version), h.layout)
}

// parseHello reads a hello. Later versions may say more.
func parseHello(b []byte) (hello, error) {
	if len(b) < 12 {
		return hello{}, handover.ErrMessage
	}
	h := hello{le.Uint32(b), le.Uint64(b[4:])}
	return h, checkVersion(h.version)
}

func checkVersion(v uint32) error {
	if v != handoverVersion {
		return fmt.Errorf("the other one speaks version %d of this conversation, this one version %d", v, handoverVersion)
	}
	return nil
}

// A welcome is what a giver answers.
type welcome struct {
	version uint32
	pid     int
	bytes   int64 // of its store
}

func (w welcome) append(b []byte) []byte {
	b = le.AppendUint32(le.AppendUint32(b, w.version), uint32(w.pid))
	return le.AppendUint64(b, uint64(w.bytes))
}

// mostBytes is more than any store has.
const mostBytes = 1 << 50

func parseWelcome(b []byte) (welcome, error) {
	if len(b) < 16 {
		return welcome{}, handover.ErrMessage
	}
	w := welcome{le.Uint32(b), int(le.Uint32(b[4:])), int64(le.Uint64(b[8:]))}
	if err := checkVersion(w.version); err != nil {
		return welcome{}, err
	}
	if w.bytes < 0 || w.bytes > mostBytes {
		return welcome{}, handover.ErrMessage
	}
	return w, nil
}

// appendHeritage appends h without its connections:
//
//	 0  secret of the connection ids   16
//	16  their clock                     8  nanoseconds
//	24  where the store's minute 0 is   8  nanoseconds of the machine's clock
//	32  the store's minute              4
//	36  1 if a sweep is under way       4
//	40  for each secret of before: it  16
//	    its clock                       8  nanoseconds
//	    for how long it is good         8  nanoseconds
//
// Only trackers that share their announces have secrets of before, which those
// that do not know of these refuse.
func appendHeritage(b []byte, h *loop.Heritage) []byte {
	b = append(b, h.IDs.Secret[:]...)
	b = le.AppendUint64(b, uint64(h.IDs.Clock))
	b = le.AppendUint64(b, uint64(h.Clock.Base))
	b = le.AppendUint32(b, uint32(h.Clock.Minute))
	b = le.AppendUint32(b, flagsOf(h.Clock.Sweeping))
	for _, e := range h.Earlier {
		b = append(b, e.Secret[:]...)
		b = le.AppendUint64(le.AppendUint64(b, uint64(e.Clock)), uint64(e.Left))
	}
	return b
}

const (
	heritageLen = 40
	earlierLen  = 32
)

func parseHeritage(b []byte) (*loop.Heritage, error) {
	if len(b) < heritageLen || (len(b)-heritageLen)%earlierLen != 0 {
		return nil, handover.ErrMessage
	}
	h := &loop.Heritage{Clock: &loop.StoreClock{
		Base: time.Duration(le.Uint64(b[24:])), Minute: store.Minute(le.Uint32(b[32:])), Sweeping: b[36] != 0,
	}}
	copy(h.IDs.Secret[:], b)
	h.IDs.Clock = time.Duration(le.Uint64(b[16:]))
	for b = b[heritageLen:]; len(b) > 0; b = b[earlierLen:] {
		e := loop.EarlierIDs{Left: time.Duration(le.Uint64(b[24:]))}
		copy(e.Secret[:], b)
		e.Clock = time.Duration(le.Uint64(b[16:]))
		h.Earlier = append(h.Earlier, e)
	}
	return h, nil
}

// flagsOf returns the bits of flags, the first of which is the lowest.
func flagsOf(flags ...bool) (bits uint32) {
	for i, set := range flags {
		if set {
			bits |= 1 << i
		}
	}
	return bits
}

// appendConn appends a connection, whose descriptor travels beside it:
//
//	 0  address         16   as IPv6
//	16  port             2
//	18  flags            2   see parseConn
//	20  since it got on  4   milliseconds
//	24  since it began to wait        4  milliseconds
//	28  bytes thrown away             4
//	32  length of the request so far  4
//	36  length of what is behind that 4
//	40  length of the answer left     4
//	44  all three
func appendConn(b []byte, c *loop.Conn) []byte {
	a := c.Src.Addr().As16()
	b = le.AppendUint16(append(b, a[:]...), c.Src.Port())
	b = le.AppendUint16(b, uint16(flagsOf(c.Proxied, c.Asked, c.Draining, c.Parting, c.Metrics)))
	for _, n := range []int64{c.Quiet.Milliseconds(), c.Age.Milliseconds(), int64(c.Drained)} {
		b = le.AppendUint32(b, uint32(n))
	}
	kept := [][]byte{c.Partial, c.Rest, c.Unsent}
	for _, p := range kept {
		b = le.AppendUint32(b, uint32(len(p)))
	}
	for _, p := range kept {
		b = append(b, p...)
	}
	return b
}

const connLen = 44

// parseConn reads a connection and returns what is behind it. Nothing of b is
// kept.
func parseConn(b []byte) (c loop.Conn, rest []byte, err error) {
	if len(b) < connLen {
		return c, nil, handover.ErrMessage
	}
	c.Src = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), le.Uint16(b[16:]))
	for i, flag := range []*bool{&c.Proxied, &c.Asked, &c.Draining, &c.Parting, &c.Metrics} {
		*flag = le.Uint16(b[18:])>>i&1 != 0
	}
	c.Quiet = time.Duration(le.Uint32(b[20:])) * time.Millisecond
	c.Age = time.Duration(le.Uint32(b[24:])) * time.Millisecond
	c.Drained = int32(le.Uint32(b[28:]))
	rest = b[connLen:]
	for i, p := range []*[]byte{&c.Partial, &c.Rest, &c.Unsent} {
		n := uint64(le.Uint32(b[32+4*i:]))
		if n > uint64(len(rest)) {
			return c, nil, handover.ErrMessage
		}
		*p, rest = append(*p, rest[:n]...), rest[n:]
	}
	return c, rest, nil
}
