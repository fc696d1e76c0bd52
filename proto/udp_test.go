package proto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"testing"
)

// announcePacket is a valid announce, from which tests bend theirs.
func announcePacket() []byte {
	b := make([]byte, 0, 98)
	b = binary.BigEndian.AppendUint64(b, 0x1122334455667788)
	b = binary.BigEndian.AppendUint32(b, ActionAnnounce)
	b = binary.BigEndian.AppendUint32(b, 0x01020304)
	b = append(b, ih[:]...)
	b = append(b, "-TR4050-0a1b2c3d4e5f"...)
	b = binary.BigEndian.AppendUint64(b, 0)          // downloaded
	b = binary.BigEndian.AppendUint64(b, 1000)       // left
	b = binary.BigEndian.AppendUint64(b, 0)          // uploaded
	b = binary.BigEndian.AppendUint32(b, 2)          // event
	b = binary.BigEndian.AppendUint32(b, 0x0a010203) // ip
	b = binary.BigEndian.AppendUint32(b, 0x55667788) // key
	b = binary.BigEndian.AppendUint32(b, 80)         // numwant
	return binary.BigEndian.AppendUint16(b, 6881)
}

// scrapePacket is a valid scrape of n torrents.
func scrapePacket(n int) []byte {
	b := binary.BigEndian.AppendUint64(nil, 0x1122334455667788)
	b = binary.BigEndian.AppendUint32(b, ActionScrape)
	b = binary.BigEndian.AppendUint32(b, 0x01020304)
	for i := range n {
		b = append(b, bytes.Repeat([]byte{byte(i + 1)}, 20)...)
	}
	return b
}

func TestUDPAnnounce(t *testing.T) {
	put16 := func(at int, v uint16) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint16(b[at:], v); return b }
	}
	put32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], v); return b }
	}
	put64 := func(at int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint64(b[at:], v); return b }
	}
	more := func(s string) func([]byte) []byte {
		return func(b []byte) []byte { return append(b, s...) }
	}
	tests := []struct {
		name string
		bend func([]byte) []byte
		want func(a *Announce)
		err  error
	}{
		{name: "valid"},
		{name: "one byte short", bend: func(b []byte) []byte { return b[:97] }, err: ErrShort},
		{name: "two bytes more", bend: more("xy")},
		{name: "BEP 41 URL data", bend: more("\x02\x09/announce\x00")},
		{name: "BEP 41 longer than the packet", bend: more("\x02\xff/a")},
		{name: "BEP 41 without a length", bend: more("\x02")},
		{name: "another connection id", bend: put64(0, math.MaxUint64)},
		{name: "seeder", bend: put64(64, 0), want: func(a *Announce) { a.Left = 0 }},
		{name: "left is 2 to the 32nd", bend: put64(64, 1<<32), want: func(a *Announce) { a.Left = 1 << 32 }},
		{name: "left is the most", bend: put64(64, math.MaxUint64), want: func(a *Announce) { a.Left = math.MaxUint64 }},
		{name: "no event", bend: put32(80, 0), want: func(a *Announce) { a.Event = EventNone }},
		{name: "completed", bend: put32(80, 1), want: func(a *Announce) { a.Event = EventCompleted }},
		{name: "stopped", bend: put32(80, 3), want: func(a *Announce) { a.Event = EventStopped }},
		{name: "unknown event", bend: put32(80, 4), want: func(a *Announce) { a.Event = EventNone }},
		{name: "unknown event over a byte", bend: put32(80, 0x103), want: func(a *Announce) { a.Event = EventNone }},
		{name: "no address", bend: put32(84, 0), want: func(a *Announce) { a.IP = netip.Addr{} }},
		{name: "no peers wanted", bend: put32(92, 0), want: func(a *Announce) { a.NumWant = 0 }},
		{name: "no wish", bend: put32(92, math.MaxUint32), want: func(a *Announce) { a.NumWant = 200 }},
		{name: "200 wanted", bend: put32(92, 200), want: func(a *Announce) { a.NumWant = 200 }},
		{name: "201 wanted", bend: put32(92, 201), want: func(a *Announce) { a.NumWant = 200 }},
		{name: "largest port", bend: put16(96, 65535), want: func(a *Announce) { a.Port = 65535 }},
		{name: "port 0", bend: put16(96, 0), err: RefusePort},
		{
			name: "port 0, stopped",
			bend: func(b []byte) []byte { return put16(96, 0)(put32(80, 3)(b)) },
			want: func(a *Announce) { a.Port, a.Event = 0, EventStopped },
		},
	}
	a := Announce{List: true} // must be overwritten
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pkt, want := announcePacket(), Announce{Infohash: ih, Left: 1000, NumWant: 80, Port: 6881, Event: EventStarted, PeerID: peerID, IP: netip.MustParseAddr("10.1.2.3")}
			if test.bend != nil {
				pkt = test.bend(pkt)
			}
			if test.want != nil {
				test.want(&want)
			}
			tx, err := ParseUDPAnnounce(pkt, &a)
			if err != test.err {
				t.Fatalf("err = %v, want %v", err, test.err)
			}
			if err != ErrShort && tx != 0x01020304 {
				t.Errorf("transaction id = %#x, want 0x01020304", tx)
			}
			if err == nil && a != want {
				t.Errorf("got %+v, want %+v", a, want)
			}
		})
	}
}

func TestUDPScrape(t *testing.T) {
	tests := []struct {
		name string
		pkt  []byte
		n    int
	}{
		{"none", scrapePacket(0), 0},
		{"one", scrapePacket(1), 1},
		{"one and a part", scrapePacket(2)[:16+20+19], 1},
		{"74", scrapePacket(74), 74},
		{"75", scrapePacket(75), 75},
		{"76", scrapePacket(76), 75},
	}
	var s Scrape
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tx, err := ParseUDPScrape(test.pkt, &s)
			if tx != 0x01020304 || err != nil || s.N != test.n {
				t.Fatalf("tx = %#x, N = %d, err = %v, want 0x01020304, %d, nil", tx, s.N, err, test.n)
			}
			for i := range s.N {
				if want := Infohash(bytes.Repeat([]byte{byte(i + 1)}, 20)); s.Infohashes[i] != want {
					t.Errorf("infohash %d is %x, want %x", i, s.Infohashes[i], want)
				}
			}
		})
	}
}

// TestEveryUDPPrefix feeds every truncation of valid packets to the parsers:
// the cheapest way to find a read past the end.
func TestEveryUDPPrefix(t *testing.T) {
	pkt := announcePacket()
	for n := range pkt {
		var a Announce
		if _, err := ParseUDPAnnounce(pkt[:n:n], &a); !errors.Is(err, ErrShort) {
			t.Errorf("announce of %d bytes: err = %v, want ErrShort", n, err)
		}
	}
	pkt = scrapePacket(3)
	for n := range pkt {
		var s Scrape
		_, _, _, ok := UDPHeader(pkt[:n:n])
		_, err := ParseUDPScrape(pkt[:n:n], &s)
		switch {
		case n < 16:
			if ok || !errors.Is(err, ErrShort) {
				t.Errorf("scrape of %d bytes: ok = %v, err = %v, want false, ErrShort", n, ok, err)
			}
		case !ok || err != nil || s.N != (n-16)/20:
			t.Errorf("scrape of %d bytes: ok = %v, err = %v, N = %d", n, ok, err, s.N)
		}
	}
}

func TestUDPConnect(t *testing.T) {
	pkt := []byte("\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00\x01\x02\x03\x04")
	id, action, tx, ok := UDPHeader(pkt)
	if !ok || tx != 0x01020304 || !IsUDPConnect(id, action) {
		t.Errorf("got id %#x, action %d, tx %#x, ok %v; want a connect", id, action, tx, ok)
	}
	if IsUDPConnect(id+1, action) || IsUDPConnect(id, ActionAnnounce) {
		t.Error("something else is taken for a connect")
	}
}

func TestUDPReplies(t *testing.T) {
	peers := []byte("\xc0\x00\x02\x01\x1a\xe1")
	counts := Counts{Complete: 1, Downloaded: 2, Incomplete: 3}
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"connect", AppendUDPConnect(nil, 5, 6), "\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x06"},
		{
			"announce", AppendUDPAnnounce(nil, 5, 1800, counts, peers),
			"\x00\x00\x00\x01\x00\x00\x00\x05\x00\x00\x07\x08\x00\x00\x00\x03\x00\x00\x00\x01\xc0\x00\x02\x01\x1a\xe1",
		},
		{"scrape of none", AppendUDPScrapeHead(nil, 5), "\x00\x00\x00\x02\x00\x00\x00\x05"},
		{
			"scrape", AppendUDPScrapeEntry(AppendUDPScrapeHead(nil, 5), counts),
			"\x00\x00\x00\x02\x00\x00\x00\x05\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03",
		},
		{"error", AppendUDPError(nil, 5, RefuseConnID), "\x00\x00\x00\x03\x00\x00\x00\x05Connection ID missmatch."},
		{"behind something", AppendUDPScrapeHead([]byte("x"), 5), "x\x00\x00\x00\x02\x00\x00\x00\x05"},
	}
	for _, test := range tests {
		if string(test.got) != test.want {
			t.Errorf("%s: got %q, want %q", test.name, test.got, test.want)
		}
	}
	if got := len(AppendUDPError(nil, 5, RefuseLeft)); got != UDPErrorLen(RefuseLeft) {
		t.Errorf("UDPErrorLen = %d, want %d", UDPErrorLen(RefuseLeft), got)
	}
}

// TestUDPErrorsFit holds refusals of an announce to the length of one, so that
// they can always be sent.
func TestUDPErrorsFit(t *testing.T) {
	for _, r := range []Refusal{RefusePort, RefuseLeft, RefuseUnlisted, RefuseConnID} {
		if n := UDPErrorLen(r); n > udpAnnounceLen {
			t.Errorf("%q takes %d bytes, an announce %d", r, n, udpAnnounceLen)
		}
	}
}
