//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestStory is what somebody does who seeds a file of their own: a tracker
// started as root from the config file opentracker had, whose whitelist another
// user appends to.
func TestStory(t *testing.T) {
	asRoot(t)
	dir := publicDir(t)
	conf := filepath.Join(dir, "opentracker.conf")
	text := "listen.tcp 127.0.0.1:0\nlisten.udp 127.0.0.1:0\naccess.whitelist whitelist\n" +
		"tracker.rootdir " + dir + "\ntracker.user nobody\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "whitelist")
	writeList(t, list, "a")
	const web = 54321 // the user of the web site
	if err := os.Chown(list, web, web); err != nil {
		t.Fatal(err)
	}

	p := startTracker(t, "-f", conf)
	p.says("tracker: root given up: user nobody, root directory " + dir)
	p.says("tracker: whitelist whitelist: 1 torrents")
	tcp := p.says("tracker: listening on tcp ")
	udp := p.says("tracker: listening on udp ")
	for port := range 50 {
		get(t, tcp, announcePath('a', 1000+port))
	}
	swarm := get(t, tcp, "/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa")

	if announces(t, tcp, 'b') {
		t.Error("an announce is not refused")
	}
	add := exec.Command("sh", "-c", "echo "+listLine('b')[:40]+" >>whitelist")
	add.Dir = dir
	add.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: web, Gid: web}}
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("append: %v\n%s", err, out)
	}
	until(t, 2*time.Second, "the announce is accepted", func() bool { return announces(t, tcp, 'b') })
	if now := get(t, tcp, "/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa"); now != swarm {
		t.Errorf("the other torrent's scrape was %q, is %q", swarm, now)
	}
	p.says("tracker: whitelist whitelist: 2 torrents")
	// What a web site does with the statistics: three fields, between colons.
	page := get(t, tcp, "/stats?mode=tpbs&format=txt")
	found := regexp.MustCompile(`(?m)^([A-F0-9]{40}):(\d+):(\d+)$`).FindAllString(page, -1)
	want := []string{strings.Repeat("61", 20) + ":0:50", strings.Repeat("62", 20) + ":0:1"}
	if !slices.Equal(found, want) {
		t.Errorf("statistics: %q, want %q", page, want)
	}
	p.rereads(100, tcp, udp)
	p.signal(syscall.SIGTERM)
	p.ends(0)
}

// rereads sends n HUPs, each when the one before was obeyed, under load over
// both wires, and checks that every request is answered.
func (p *process) rereads(n int, tcp, udp string) {
	p.t.Helper()
	var ended atomic.Bool
	var asking sync.WaitGroup
	var answers [3]int
	load := func(i int, ask func() error) {
		asking.Go(func() {
			for !ended.Load() {
				if err := ask(); err != nil {
					p.t.Errorf("%d requests were answered, then: %v", answers[i], err)
					return
				}
				answers[i]++
			}
		})
	}
	for i := range 2 {
		ask := udpAnnouncer(p.t, udp)
		load(i, ask)
	}
	load(2, func() error {
		_, err := tryGet(tcp, announcePath('a', 1000))
		return err
	})
	for range n {
		p.signal(syscall.SIGHUP)
		p.says("tracker: whitelist whitelist: 2 torrents")
	}
	ended.Store(true)
	asking.Wait()
	for i, n := range answers {
		if n == 0 {
			p.t.Errorf("load %d made no request", i)
		}
	}
}

// udpAnnouncer connects over UDP (BEP 15) and returns a function that announces
// for the torrent of 20 times a and waits for the answer.
func udpAnnouncer(t testing.TB, to string) func() error {
	t.Helper()
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	ask := func(request []byte, action uint32) ([]byte, error) {
		if _, err := c.Write(request); err != nil {
			return nil, err
		}
		answer := make([]byte, 2048)
		c.SetReadDeadline(time.Now().Add(patience))
		n, err := c.Read(answer)
		if err != nil {
			return nil, err
		}
		if n < 16 || binary.BigEndian.Uint32(answer) != action {
			return nil, fmt.Errorf("answer %x", answer[:n])
		}
		return answer[:n], nil
	}
	connect := binary.BigEndian.AppendUint64(nil, 0x41727101980)
	id, err := ask(append(connect, 0, 0, 0, 0, 1, 2, 3, 4), 0)
	if err != nil {
		t.Fatal(err)
	}
	announce := make([]byte, 98)
	copy(announce, id[8:16])
	announce[11] = 1
	for i := range 20 {
		announce[16+i] = 'a'
	}
	binary.BigEndian.PutUint16(announce[96:], 2000)
	return func() error {
		_, err := ask(announce, 1)
		return err
	}
}
