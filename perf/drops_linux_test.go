package perf

import "testing"

func TestSocketDrops(t *testing.T) {
	table := []byte(`   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  100: 00000000:1B39 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 66 2 000000005c5ca027 3
  101: 0100007F:1B39 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 67 2 000000005c5ca028 40
  102: 0100007F:1B3A 00000000:1B39 07 00000000:00000000 00:00000000 00000000     0        0 68 2 000000005c5ca029 500
`)
	for port, want := range map[uint16]uint64{6969: 43, 6970: 500, 6971: 0} {
		if n, err := socketDrops(table, port); n != want || err != nil {
			t.Errorf("port %d: %d drops, %v, want %d", port, n, err, want)
		}
	}
	if _, err := socketDrops([]byte("1: 0:1B39 more\n"), 6969); err == nil {
		t.Error("a column that is no number is taken for one")
	}
}
