package proto

import (
	"net/netip"
	"testing"
)

func TestConnID(t *testing.T) {
	key := MakeConnKey([16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	other := MakeConnKey([16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17})
	addr := netip.MustParseAddr("192.0.2.1")
	const epoch = 1000
	id := key.ID(addr, epoch)

	tests := []struct {
		name  string
		key   ConnKey
		id    ConnID
		addr  string
		epoch uint32
		want  bool
	}{
		{"same epoch", key, id, "192.0.2.1", epoch, true},
		{"next epoch", key, id, "192.0.2.1", epoch + 1, true},
		{"too old", key, id, "192.0.2.1", epoch + 2, false},
		{"from the future", key, id, "192.0.2.1", epoch - 1, false},
		{"mapped form", key, id, "::ffff:192.0.2.1", epoch, true},
		{"compatible form", key, id, "::192.0.2.1", epoch, false},
		{"another address", key, id, "192.0.2.2", epoch, false},
		{"another key", other, id, "192.0.2.1", epoch, false},
		{"zero", key, 0, "192.0.2.1", epoch, false},
		{"the magic of a connect", key, ConnIDMagic, "192.0.2.1", epoch, false},
	}
	for _, test := range tests {
		if got := test.key.Valid(test.id, netip.MustParseAddr(test.addr), test.epoch); got != test.want {
			t.Errorf("%s: Valid = %v, want %v", test.name, got, test.want)
		}
	}
	for bit := range 64 {
		if key.Valid(id^1<<bit, addr, epoch) {
			t.Errorf("an id wrong in bit %d is valid", bit)
		}
	}
}

// TestConnIDEpochs walks over the wrap of the epoch's number, which nothing
// but arithmetic will ever see.
func TestConnIDEpochs(t *testing.T) {
	key := MakeConnKey([16]byte{9})
	addr := netip.MustParseAddr("2001:db8::1")
	for epoch := uint32(1<<32 - 3); epoch != 3; epoch++ {
		id := key.ID(addr, epoch)
		for age, want := range []bool{true, true, false, false} {
			if got := key.Valid(id, addr, epoch+uint32(age)); got != want {
				t.Errorf("epoch %d, %d later: Valid = %v, want %v", epoch, age, got, want)
			}
		}
	}
}

// TestConnIDVector pins the construction: the address and epoch are the bytes
// 00 to 13, the key those from 00 to 0f, and the hash is that of a plain
// SipHash-2-4 written down from its paper.
func TestConnIDVector(t *testing.T) {
	var secret [16]byte
	for i := range secret {
		secret[i] = byte(i)
	}
	key := MakeConnKey(secret)
	addr := netip.MustParseAddr("1:203:405:607:809:a0b:c0d:e0f")
	const want ConnID = 0xbed65cf21aa2ee98
	if got := key.ID(addr, 0x10111213); got != want {
		t.Errorf("ID = %#x, want %#x", got, want)
	}
}
