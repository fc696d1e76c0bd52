package proto

import (
	"net/netip"
	"testing"
)

func TestParseAddr(t *testing.T) {
	tests := []struct{ text, want string }{
		{"192.0.2.7", "192.0.2.7"},
		{"2001:db8::7", "2001:db8::7"},
		{"::", "::"},
		{"::ffff:192.0.2.7", "192.0.2.7"},
		{"::FFFF:C000:0207", "192.0.2.7"},
		{"1:2:3:4:5:6:192.0.2.7", "1:2:3:4:5:6:c000:207"},
		{"0000:1111:2222:3333:4444:5555:6666:7777", "0:1111:2222:3333:4444:5555:6666:7777"},
		{"192.0.2.07", ""},
		{"192.0.2", ""},
		{"192.0.2.7.", ""},
		{"192.0.2.256", ""},
		{"fe80::1%eth0", ""},
		{"[::1]", ""},
		{"::1::", ""},
		{"1:2:3:4:5:6:7::8", ""}, // no room for a zero
		{":1::", ""},
		{"::12345", ""},
		{" 192.0.2.7", ""},
		{"", ""},
	}
	for _, tt := range tests {
		got, ok := ParseAddr([]byte(tt.text))
		if ok != (tt.want != "") || ok && got.String() != tt.want {
			t.Errorf("%q: got %v, %v, want %q", tt.text, got, ok, tt.want)
		}
	}
}

// FuzzAddr compares with the standard library, which takes strings.
func FuzzAddr(f *testing.F) {
	for _, text := range []string{
		"192.0.2.7", "::", "::1", "1::", "2001:db8::7", "::ffff:192.0.2.7", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
		"1:2:3:4:5:6:192.0.2.7", "1:2:3:4:5::192.0.2.7", "fe80::1%eth0", "1.2.3.04", "::1.2.3.4:5", "1::2::3", "00000::", "::g",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want, err := netip.ParseAddr(string(b))
		good := err == nil && want.Zone() == ""
		got, ok := ParseAddr(b)
		if ok != good || ok && got != want.Unmap() {
			t.Errorf("%q: got %v, %v, want %v, %v", b, got, ok, want, err)
		}
	})
}
