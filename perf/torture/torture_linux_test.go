package main

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestRun drives the command in its short form.
func TestRun(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path := filepath.Join(t.TempDir(), "tracker")
	if out, err := exec.Command("go", "build", "-o", path, "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var o options
	f := flag.NewFlagSet("torture", flag.ContinueOnError)
	o.flags(f)
	if err := f.Parse([]string{"-tracker", path, "-peer", "", "-quick", "-server-cpu", "-1", "-load-cpu", "-1"}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	good, err := o.run(&out)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if !good {
		t.Errorf("the tracker did not hold:\n%s", &out)
	}
	for _, st := range stages {
		if st.key != "budget" && !strings.Contains(out.String(), "\n| "+st.title+" | tracker | ") {
			t.Errorf("%s is missing in\n%s", st.title, &out)
		}
	}
	if !strings.Contains(out.String(), " goroutines, one that has just been started ") {
		t.Errorf("goroutines were not counted:\n%s", &out)
	}
}

// TestTruth has a checker of answers find what is wrong with each.
func TestTruth(t *testing.T) {
	at := netip.MustParseAddrPort
	self, seeder, other, six := at("127.9.9.9:6001"), at("127.9.9.9:7001"), at("127.9.9.9:6002"), at("[::1]:6001")
	tr := truth{strict: true}
	tr.add(seeder, true)
	for _, p := range []netip.AddrPort{self, other, six} {
		tr.add(p, false)
	}
	compact := func(ps ...netip.AddrPort) (b []byte) {
		for _, p := range ps {
			b = append(b, p.Addr().AsSlice()...)
			b = be.AppendUint16(b, p.Port())
		}
		return b
	}
	udp := func(seeders, leechers byte, ps ...netip.AddrPort) []byte {
		return append([]byte{0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 7, 8, 0, 0, 0, leechers, 0, 0, 0, seeders}, compact(ps...)...)
	}
	for _, tt := range []struct {
		name   string
		answer []byte
		good   bool
	}{
		{"good", udp(1, 3, other, seeder), true},
		{"a peer missing", udp(1, 3, seeder), false},
		{"a stranger", udp(1, 3, other, seeder, at("127.9.9.9:1")), false},
		{"one twice", udp(1, 3, other, other, seeder), false},
		{"itself", udp(1, 3, other, seeder, self), false},
		{"a seeder too few", udp(0, 3, other, seeder), false},
		{"half a peer", udp(1, 3, other, seeder)[:30], false},
		{"an error", []byte("\x00\x00\x00\x03\x00\x00\x00\x09no such torrent"), false},
	} {
		if err := tr.checkUDP(tt.answer, self); (err == nil) != tt.good || err != nil && !errors.Is(err, errWrong) {
			t.Errorf("UDP, %s: %v", tt.name, err)
		}
	}
	for _, tt := range []struct {
		name, body string
		good       bool
	}{
		{"good", "d8:completei1e10:incompletei3e8:intervali9e5:peers12:" + string(compact(other, seeder)) + "6:peers618:" + string(compact(six)) + "e", true},
		{"the other family missing", "d8:completei1e10:incompletei3e8:intervali9e5:peers12:" + string(compact(other, seeder)) + "e", false},
		{"cut", "d8:completei1e10:incompletei3e8:intervali9e5:peers12:", false},
		{"a failure", "d14:failure reason4:nonee", false},
		{"nothing", "", false},
	} {
		if err := tr.checkHTTP([]byte(tt.body), self); (err == nil) != tt.good || err != nil && !errors.Is(err, errWrong) {
			t.Errorf("HTTP, %s: %v", tt.name, err)
		}
	}
}

// TestTagged finds the number that is asked for.
func TestTagged(t *testing.T) {
	page := []byte("<udp>\n <overall>17</overall>\n <connect>4</connect></udp>")
	if n, err := tagged(page, "overall"); n != 17 || err != nil {
		t.Errorf("%d, %v; want 17", n, err)
	}
	if _, err := tagged(page, "scrape"); err == nil {
		t.Error("no error for what is not there")
	}
}
