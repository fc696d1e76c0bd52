package stats

import (
	"bytes"
	"slices"
)

// Leaders are the largest torrents by peers, [MaxTop] of them at most, largest
// first; of those of one size, the higher infohash. The zero value has none.
type Leaders struct{ all []Torrent }

// Add enters t, unless it is too small or has nobody.
func (l *Leaders) Add(t *Torrent) {
	n := len(l.all)
	if t.Seeders|t.Leechers == 0 || n == MaxTop && !larger(t, &l.all[n-1]) {
		return
	}
	if n == MaxTop {
		l.all = l.all[:n-1]
	}
	i := len(l.all)
	for i > 0 && larger(t, &l.all[i-1]) {
		i--
	}
	l.all = slices.Insert(l.all, i, *t)
}

// larger reports whether t comes before u.
func larger(t, u *Torrent) bool {
	a, b := uint64(t.Seeders)+uint64(t.Leechers), uint64(u.Seeders)+uint64(u.Leechers)
	return a > b || a == b && bytes.Compare(t.Infohash[:], u.Infohash[:]) > 0
}

// AppendLeaders appends the first n of l as a JSON object.
func AppendLeaders(dst []byte, l *Leaders, n int) []byte {
	dst = append(dst, `{"torrents":[`...)
	for i := range l.all[:min(n, len(l.all))] {
		t := &l.all[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"info_hash":"`...)
		dst = appendHex(dst, &t.Infohash)
		j := object{append(dst, '"')}
		j.number("seeders", uint64(t.Seeders))
		j.number("leechers", uint64(t.Leechers))
		j.number("completed", uint64(t.Downloaded))
		dst = append(j.b, '}')
	}
	return append(dst, "]}\n"...)
}
