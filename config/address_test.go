package config

import (
	"net/netip"
	"testing"
)

func TestParseListen(t *testing.T) {
	for _, tt := range []struct{ in, want string }{ // want "": refused
		{"192.0.2.1", "192.0.2.1:6969"},
		{"192.0.2.1:80", "192.0.2.1:80"},
		{"192.0.2.1:00080", "192.0.2.1:80"},
		{"192.0.2.1:0", "192.0.2.1:0"},
		{"192.0.2.1:65535", "192.0.2.1:65535"},
		{"::", "[::]:6969"},
		{"[::]", "[::]:6969"},
		{"[::]:80", "[::]:80"},
		{"2001:db8::1", "[2001:db8::1]:6969"},
		{"2001:db8::1.80", "[2001:db8::1]:80"},
		{"::.80", "[::]:80"},
		{"::ffff:192.0.2.1", "192.0.2.1:6969"},
		{"[::ffff:192.0.2.1]:80", "192.0.2.1:80"},
		{"::ffff:192.0.2.1.80", "192.0.2.1:80"},
		{"2001:db8::192.0.2.1", "[2001:db8::c000:201]:6969"},

		{"", ""},
		{"*", ""},
		{":", ""},
		{".", ""},
		{":.", ""},
		{"80", ""},
		{":80", ""},
		{"*:80", ""},
		{"[]", ""},
		{"[]:80", ""},
		{"[::1", ""},
		{"[::1]80", ""},
		{"[[::1]]:80", ""},
		{"[192.0.2.1]:80", ""},
		{"192.0.2.1.80", ""},
		{"192.0.2.1:65536", ""},
		{"192.0.2.1:+80", ""},
		{"192.0.2.1: 80", ""},
		{"192.0.2.1:80:80", ""},
		{"192.0.2.01:80", ""},
		{"192.0.2", ""},
		{"fe80::1%eth0", ""},
		{"[fe80::1%eth0]:80", ""},
		{"localhost:80", ""},
	} {
		got, err := parseListen(tt.in, DefaultPort)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("%q: got %v, want an error", tt.in, got)
		case tt.want != "" && (err != nil || got != netip.MustParseAddrPort(tt.want)):
			t.Errorf("%q: got %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestParseNet(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string // none: refused
	}{
		{"192.0.2.1", []string{"192.0.2.1/32"}},
		{"10.1.2.3/8", []string{"10.0.0.0/8"}},
		{"0.0.0.0/0", []string{"0.0.0.0/0"}},
		{"2001:db8::1", []string{"2001:db8::1/128"}},
		{"2001:db8::1/32", []string{"2001:db8::/32"}},
		{"::ffff:10.1.2.3", []string{"10.1.2.3/32"}},
		{"::ffff:10.1.2.3/104", []string{"10.0.0.0/8"}},
		{"::ffff:0.0.0.0/96", []string{"0.0.0.0/0"}},
		{"::/0", []string{"::/0", "0.0.0.0/0"}},
		{"::/1", []string{"::/1"}},

		{"", nil},
		{"/8", nil},
		{"10.0.0.0/", nil},
		{"10.0.0.0/33", nil},
		{"10.0.0.0/-1", nil},
		{"10.0.0.0/255.0.0.0", nil},
		{"10/8", nil},
		{"2001:db8::/129", nil},
		{"::ffff:10.0.0.0/95", nil},
		{"[2001:db8::]/32", nil},
		{"fe80::1%eth0/64", nil},
	} {
		got, err := parseNet(tt.in)
		if (err == nil) != (tt.want != nil) || len(got) != len(tt.want) {
			t.Errorf("%q: got %v, %v, want %v", tt.in, got, err, tt.want)
			continue
		}
		for i, w := range tt.want {
			if got[i] != netip.MustParsePrefix(w) {
				t.Errorf("%q: got %v, want %v", tt.in, got[i], w)
			}
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1}, // neighbours swapped
		{"abc", "abxc", 1},
		{"abc", "ac", 1},
		{"kitten", "sitting", 3},
		{"access.whitelist", "acess.whitlist", 2},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q to %q: got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
