package loop

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"tracker/proto"
	"tracker/stats"
)

// TestAnswersLeaveFromWhereAsked asks at several addresses of this machine. The
// client's sockets are connected, so the system throws away what comes from
// anywhere else.
func TestAnswersLeaveFromWhereAsked(t *testing.T) {
	asked := map[string][]string{
		"udp 0.0.0.0:0":   {"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.1.2.3"},
		"udp [::]:0":      {"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.1.2.3", "::1"},
		"udp 127.0.0.2:0": {"127.0.0.2"},
		"udp [::1]:0":     {"::1"},
	}
	for bound, hosts := range asked {
		s := serveTest(t, Config{Listen: []Addr{addr(bound)}})
		port := s.Addrs()[0].AddrPort.Port()
		for _, host := range hosts {
			to := netip.AddrPortFrom(netip.MustParseAddr(host), port)
			c := dialTest(t, "udp", to.String())
			if id := connect(t, c); id == 0 {
				t.Errorf("%s at %v: no id", bound, to)
			}
		}
	}
}

// TestTurn checks what becomes of the control messages that arrive.
func TestTurn(t *testing.T) {
	u := &udpReactor{route: true, batch: new(batch)}
	put := func(level, kind int32, data []byte) {
		u.control[0] = [controlLen / 8]uint64{}
		b := make([]byte, 0, controlLen)
		if unix.SizeofCmsghdr == 16 {
			b = binary.NativeEndian.AppendUint64(b, uint64(unix.CmsgLen(len(data))))
		} else {
			b = binary.NativeEndian.AppendUint32(b, uint32(unix.CmsgLen(len(data))))
		}
		b = binary.NativeEndian.AppendUint32(b, uint32(level))
		b = append(binary.NativeEndian.AppendUint32(b, uint32(kind)), data...)
		for i := range u.control[0] {
			var word [8]byte
			copy(word[:], b[min(8*i, len(b)):])
			u.control[0][i] = binary.NativeEndian.Uint64(word[:])
		}
		u.in[0].Hdr.SetControllen(unix.CmsgSpace(len(data)))
	}
	data := func(n int) []byte {
		var b []byte
		for _, w := range u.control[0] {
			b = binary.NativeEndian.AppendUint64(b, w)
		}
		return b[unix.CmsgLen(0):][:n]
	}
	index := binary.NativeEndian.AppendUint32(nil, 7)
	info4 := append(index, 127, 0, 0, 2, 127, 0, 0, 2)
	global, local := netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("fe80::1").As16()

	put(unix.IPPROTO_IP, unix.IP_PKTINFO, info4)
	if n := u.turn(0); n != unix.CmsgSpace(12) || string(data(12)) != "\x00\x00\x00\x00\x7f\x00\x00\x02\x7f\x00\x00\x02" {
		t.Errorf("IPv4: %d bytes, % x", n, data(12))
	}
	put(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, append(global[:], index...))
	if n := u.turn(0); n != unix.CmsgSpace(20) || string(data(20)) != string(global[:])+"\x00\x00\x00\x00" {
		t.Errorf("IPv6: %d bytes, % x", n, data(20))
	}
	put(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, append(local[:], index...))
	if n := u.turn(0); n != unix.CmsgSpace(20) || string(data(20)) != string(local[:])+string(index) {
		t.Errorf("link-local: %d bytes, % x", n, data(20))
	}
	put(unix.SOL_SOCKET, unix.SCM_TIMESTAMP, make([]byte, 16))
	if n := u.turn(0); n != 0 {
		t.Errorf("something else: %d bytes", n)
	}
	u.in[0].Hdr.SetControllen(0)
	if n := u.turn(0); n != 0 {
		t.Errorf("nothing: %d bytes", n)
	}
}

// TestSendSkips checks that an answer the system refuses does not keep the
// others of its batch from leaving, wherever in the batch it stands.
func TestSendSkips(t *testing.T) {
	l := openTest(t, []Addr{addr("udp 127.0.0.1:0")}, 1)[0]
	client, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	good := netip.MustParseAddrPort(client.LocalAddr().String())
	unsendable := netip.AddrPortFrom(good.Addr(), 0)
	for _, order := range [][]netip.AddrPort{
		{good, unsendable, good, good},
		{unsendable, good, good, unsendable},
		{unsendable, unsendable, good, good},
	} {
		u, err := newUDPReactor(newTestReactor(), l, l.fds[0])
		if err != nil {
			t.Fatal(err)
		}
		k, want := 0, uint64(0)
		for i, src := range order {
			if src == unsendable {
				want++
			}
			name := unix.RawSockaddrInet4{Family: unix.AF_INET}
			binary.NativeEndian.PutUint16(u.names[i][:], name.Family)
			binary.BigEndian.PutUint16(u.names[i][2:], src.Port())
			a := src.Addr().As4()
			copy(u.names[i][4:], a[:])
			u.in[i].Hdr.Namelen = unix.SizeofSockaddrInet4
			copy(u.packets[i][:], udpRequest(proto.ConnIDMagic, 0, uint32(i)))
			u.in[i].Len = 16
			k = u.answer(i, k)
		}
		u.send(k)
		for i, src := range order {
			if src != good {
				continue
			}
			b := make([]byte, 100)
			n, _, err := client.ReadFrom(b)
			if err != nil || n != 16 || binary.BigEndian.Uint32(b[4:]) != uint32(i) {
				t.Errorf("%v: got % x, %v", order, b[:n], err)
			}
		}
		if got := u.counted(stats.UDPSendErrors); got != want {
			t.Errorf("%v: %d errors counted, want %d", order, got, want)
		}
	}
}

// TestDropsAreCounted floods a socket nobody reads.
func TestDropsAreCounted(t *testing.T) {
	l := openTest(t, []Addr{addr("udp 127.0.0.1:0")}, 1)[0]
	setReceiveBuffer(l.fds[0], 4096)
	c := dialTest(t, "udp", l.addr.AddrPort.String())
	for range 1000 {
		c.Write(make([]byte, 16))
	}
	if n := drops(l.fds[0]); n < 500 || n > 1000 {
		t.Errorf("%d drops of 1000 datagrams", n)
	}
}

// TestBatchAllocs checks that a batch allocates nothing, system calls and all.
func TestBatchAllocs(t *testing.T) {
	l := openTest(t, []Addr{addr("udp [::]:0")}, 1)[0]
	u, err := newUDPReactor(newTestReactor(), l, l.fds[0])
	if err != nil {
		t.Fatal(err)
	}
	c := dialTest(t, "udp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), l.addr.AddrPort.Port()).String())
	pkt, buf := udpRequest(proto.ConnIDMagic, 0, 1), make([]byte, 100)
	n := testing.AllocsPerRun(100, func() {
		for range 5 {
			c.Write(pkt)
		}
		errno := u.receive(0)
		n, k := u.n, 0
		for i := range n {
			k = u.answer(i, k)
		}
		u.send(k)
		if n != 5 || k != 5 || errno != 0 {
			panic("not answered")
		}
		for range 5 {
			c.Read(buf)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations per batch, want 0", n)
	}
}
