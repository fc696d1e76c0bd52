package proto

import (
	"net/netip"
	"strings"
	"testing"
)

// hopsOf reads all hops of a request with these headers.
func hopsOf(headers string) (all []string) {
	hops := ForwardedFor([]byte("GET / HTTP/1.1\r\n" + headers + "\r\n"))
	for a, ok := hops.Next(); ok; a, ok = hops.Next() {
		all = append(all, a.String())
	}
	return all
}

func TestForwardedFor(t *testing.T) {
	tests := []struct{ headers, want string }{
		{"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
		{"x-forwarded-for:192.0.2.1,192.0.2.2 ,\t192.0.2.3\r\n", "192.0.2.3 192.0.2.2 192.0.2.1"},
		{"X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\nHost: x\r\nX-Forwarded-For: 192.0.2.3\r\n", "192.0.2.3 192.0.2.2 192.0.2.1"},
		{"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: , ,\r\nX-Forwarded-For:\r\n", "192.0.2.1"},
		{"X-Forwarded-For: 192.0.2.1:4711\r\n", "192.0.2.1"},
		{"X-Forwarded-For: 2001:db8::7, [2001:db8::8], [2001:db8::9]:80\r\n", "2001:db8::9 2001:db8::8 2001:db8::7"},
		{"X-Forwarded-For: ::ffff:192.0.2.1, [::ffff:192.0.2.2]:1\r\n", "192.0.2.2 192.0.2.1"},
		{"X-Forwarded-For: 192.0.2.1, unknown, 192.0.2.2\r\n", "192.0.2.2"}, // nothing is read past what is no address
		{"X-Forwarded-For: 192.0.2.1, _hidden\r\n", ""},
		{"X-Forwarded-For: 192.0.2.1:65536\r\n", ""},
		{"X-Forwarded-For: 192.0.2.1:\r\n", ""},
		{"X-Forwarded-For: [192.0.2.1]\r\n", ""},
		{"X-Forwarded-For: [2001:db8::7\r\n", ""},
		{"X-Forwarded-For: [2001:db8::7]80\r\n", ""},
		{"X-Forwarded-For: fe80::1%eth0\r\n", ""},
		{"X-Forwarded-For : 192.0.2.1\r\n", ""},
		{"X-Forwarded-For\r\n 192.0.2.1\r\n", ""},
		{"Forwarded: for=192.0.2.1\r\n", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := strings.Join(hopsOf(tt.headers), " "); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.headers, got, tt.want)
		}
	}
	line := ForwardedFor([]byte("X-Forwarded-For: 192.0.2.1\r\n\r\n"))
	if a, ok := line.Next(); ok {
		t.Errorf("the request line is taken for a header: %v", a)
	}
}

func TestRealIP(t *testing.T) {
	tests := []struct {
		headers, want string
		present       bool
	}{
		{"X-Real-IP: 192.0.2.1\r\n", "192.0.2.1", true},
		{"X-Real-IP: 192.0.2.1\r\nX-Real-IP: 192.0.2.2\r\n", "192.0.2.2", true}, // the proxy's comes last
		{"X-Real-IP: [2001:db8::7]:80\r\n", "2001:db8::7", true},
		{"X-Real-IP: unix:\r\n", "", true},
		{"X-Forwarded-For: 192.0.2.1\r\n", "", false},
	}
	for _, tt := range tests {
		a, present, ok := RealIP([]byte("GET / HTTP/1.1\r\n" + tt.headers + "\r\n"))
		if present != tt.present || ok != (tt.want != "") || ok && a.String() != tt.want {
			t.Errorf("%q: got %v, %v, %v", tt.headers, a, present, ok)
		}
	}
}

// slowHops is the readable way to read the hops.
func slowHops(req string) (all []netip.Addr) {
	_, headers, _ := strings.Cut(req, "\n")
	var entries []string
	for line := range strings.SplitSeq(headers, "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && len(name) == 15 && strings.EqualFold(name, "X-Forwarded-For") {
			entries = append(entries, strings.Split(value, ",")...)
		}
	}
	for i := len(entries) - 1; i >= 0; i-- {
		entry := strings.TrimSpace(entries[i])
		if entry == "" {
			continue
		}
		a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]"))
		if ap, err2 := netip.ParseAddrPort(entry); err2 == nil {
			a, err = ap.Addr(), nil
		}
		if err != nil || a.Zone() != "" {
			break
		}
		all = append(all, a.Unmap())
	}
	return all
}

// FuzzForwarded compares with the readable way, which is more forgiving about
// brackets and ports.
func FuzzForwarded(f *testing.F) {
	f.Add("X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\nHost: x\r\nx-forwarded-for: [::1]:80")
	f.Add("X-Forwarded-For: ,,1.1.1.1:1,")
	f.Add("X-Forwarded-For: unknown, ::ffff:1.2.3.4\n\nX-Forwarded-For:")
	f.Fuzz(func(t *testing.T, headers string) {
		req := "GET / HTTP/1.1\n" + headers
		want := slowHops(req)
		hops := ForwardedFor([]byte(req))
		for i := 0; ; i++ {
			a, ok := hops.Next()
			if !ok {
				return
			}
			if i >= len(want) || a != want[i] {
				t.Fatalf("%q: hop %d is %v, want of %v", req, i, a, want)
			}
		}
	})
}
