package proto

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// proxyV2 returns a header of version 2.
func proxyV2(command, family byte, body ...byte) []byte {
	b := append([]byte(proxyHead2), command, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(body))), body...)
}

var (
	proxyBody4 = []byte{192, 0, 2, 7, 198, 51, 100, 1, 0xc8, 0xd5, 0x1b, 0x39}
	proxyBody6 = slices.Concat(
		netip.MustParseAddr("2001:db8::7").AsSlice(), netip.MustParseAddr("2001:db8::1").AsSlice(), proxyBody4[8:])
	proxyTLV = []byte{0x04, 0, 3, 'a', 'b', 'c'} // NOOP
)

// proxyHeaders are good ones, and the source each names.
var proxyHeaders = []struct {
	header []byte
	src    string
}{
	{[]byte("PROXY TCP4 192.0.2.7 198.51.100.1 51413 6969\r\n"), "192.0.2.7:51413"},
	{[]byte("PROXY TCP6 2001:db8::7 2001:db8::1 51413 6969\r\n"), "[2001:db8::7]:51413"},
	{[]byte("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 51413 6969\r\n"), "192.0.2.7:51413"},
	{[]byte("PROXY UNKNOWN\r\n"), ""},
	{[]byte("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), ""},
	{proxyV2(0x21, 0x11, proxyBody4...), "192.0.2.7:51413"},
	{proxyV2(0x21, 0x11, append(slices.Clone(proxyBody4), proxyTLV...)...), "192.0.2.7:51413"},
	{proxyV2(0x21, 0x21, proxyBody6...), "[2001:db8::7]:51413"},
	{proxyV2(0x21, 0x21, append(slices.Clone(proxyBody6), make([]byte, MaxPROXY-52)...)...), "[2001:db8::7]:51413"},
	{proxyV2(0x20, 0x00), ""},
	{proxyV2(0x20, 0x11, proxyBody4...), ""},        // LOCAL
	{proxyV2(0x20, 0xff, proxyBody4...), ""},        // whatever else it says
	{proxyV2(0x21, 0x00, proxyTLV...), ""},          // unspecified
	{proxyV2(0x21, 0x12, proxyBody4...), ""},        // a datagram's
	{proxyV2(0x21, 0x31, make([]byte, 216)...), ""}, // a Unix socket's
}

// badProxyHeaders will never be any.
var badProxyHeaders = [][]byte{
	[]byte("GET / HTTP/1.1\r\n\r\n"),
	[]byte("PROXY\r\n"),
	[]byte("PROXY \r\n"),
	[]byte("PROXY TCP4 192.0.2.7 198.51.100.1 51413 6969\n"),
	[]byte("PROXY TCP4 192.0.2.7 198.51.100.1 51413\r\n"),
	[]byte("PROXY TCP4 192.0.2.7 198.51.100.1 51413 6969 1\r\n"),
	[]byte("PROXY TCP4 192.0.2.7 198.51.100.1 51413 65536\r\n"),
	[]byte("PROXY TCP4 192.0.2.7 198.51.100.1 051413 6969\r\n"),
	[]byte("PROXY TCP4  192.0.2.7 198.51.100.1 51413 6969\r\n"),
	[]byte("PROXY TCP4 2001:db8::7 2001:db8::1 51413 6969\r\n"),
	[]byte("PROXY TCP6 192.0.2.7 198.51.100.1 51413 6969\r\n"),
	[]byte("PROXY TCP5 192.0.2.7 198.51.100.1 51413 6969\r\n"),
	[]byte("PROXY TCP4 192.0.2.7 nobody 51413 6969\r\n"),
	[]byte("PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n"), // 108 bytes
	proxyV2(0x11, 0x11, proxyBody4...),
	proxyV2(0x22, 0x11, proxyBody4...),
	proxyV2(0x21, 0x13, proxyBody4...),
	proxyV2(0x21, 0x41, proxyBody4...),
	proxyV2(0x21, 0x11, proxyBody4[:11]...),
	proxyV2(0x21, 0x21, proxyBody6[:35]...),
	proxyV2(0x21, 0x11, make([]byte, MaxPROXY-15)...),
}

func TestPROXY(t *testing.T) {
	for _, tt := range proxyHeaders {
		n, src, err := ParsePROXY(append(slices.Clone(tt.header), "GET / HTTP/1.1\r\n\r\n"...))
		text := ""
		if src.IsValid() {
			text = src.String()
		}
		if n != len(tt.header) || text != tt.src || err != nil {
			t.Errorf("%.60q: got %d, %v, %v, want %d, %q", tt.header, n, src, err, len(tt.header), tt.src)
		}
	}
	for _, header := range badProxyHeaders {
		if n, src, err := ParsePROXY(header); n != 0 || src.IsValid() || err != ErrPROXY {
			t.Errorf("%.60q: got %d, %v, %v", header, n, src, err)
		}
	}
}

// TestEveryPROXYPrefix cuts good headers at every byte. None is complete
// before its last byte, and none is taken for a bad one.
func TestEveryPROXYPrefix(t *testing.T) {
	for _, tt := range proxyHeaders {
		for i := range tt.header {
			if n, src, err := ParsePROXY(tt.header[:i:i]); n != 0 || src.IsValid() || err != nil {
				t.Errorf("%d of %.60q: got %d, %v, %v", i, tt.header, n, src, err)
			}
		}
	}
}

// FuzzPROXY checks that what is accepted does not depend on how it arrives:
// no part of it is anything but incomplete, and what follows changes nothing.
func FuzzPROXY(f *testing.F) {
	for _, h := range proxyHeaders {
		f.Add(h.header)
	}
	for _, header := range badProxyHeaders {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, src, err := ParsePROXY(slices.Clip(b))
		switch {
		case err != nil && err != ErrPROXY:
			t.Fatalf("unexpected error %v", err)
		case n < 0 || n > min(len(b), MaxPROXY) || n > 0 && err != nil:
			t.Fatalf("n = %d, err = %v of %d bytes", n, err, len(b))
		case src.IsValid() && (n == 0 || src.Addr().Is4In6() || src.Addr().Zone() != ""):
			t.Fatalf("source %v, n = %d", src, n)
		case n == 0 && err == nil && len(b) >= MaxPROXY:
			t.Fatalf("%d bytes are not enough", len(b))
		case n == 0:
			return
		}
		for i := range n {
			if n, _, err := ParsePROXY(b[:i:i]); n != 0 || err != nil {
				t.Fatalf("%d bytes: %d, %v", i, n, err)
			}
		}
		if n2, src2, err := ParsePROXY(b[:n:n]); n2 != n || src2 != src || err != nil {
			t.Fatalf("alone: %d, %v, %v, want %d, %v", n2, src2, err, n, src)
		}
	})
}
