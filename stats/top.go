package stats

import (
	"bytes"
	"strconv"
)

// MaxTop is the most torrents in a list of the largest.
const MaxTop = 100

// Top finds the largest torrents by peers, by seeders and by leechers among any
// number of them. Make one with [NewTop]; it takes 10 KB.
type Top struct {
	n                        int
	peers, seeders, leechers ranking
}

// NewTop returns a Top of n torrents, at most [MaxTop].
func NewTop(n int) *Top { return &Top{n: min(n, MaxTop)} }

// Add enters t, unless it is too small. Of torrents of one size, the higher
// infohash comes first.
func (p *Top) Add(t *Torrent) {
	p.peers.add(uint64(t.Seeders)+uint64(t.Leechers), &t.Infohash, p.n)
	p.seeders.add(uint64(t.Seeders), &t.Infohash, p.n)
	p.leechers.add(uint64(t.Leechers), &t.Infohash, p.n)
}

// Append appends the page. Torrents with nobody are not on it.
func (p *Top) Append(dst []byte) []byte {
	dst = p.peers.append(dst, "peers", p.n)
	dst = p.seeders.append(dst, "seeds", p.n)
	return p.leechers.append(dst, "leechers", p.n)
}

// A ranking is a list of the largest, largest first.
type ranking struct {
	len int
	top [MaxTop]ranked
}

type ranked struct {
	size     uint64
	infohash [20]byte
}

// add inserts a torrent of that size into a list of at most n.
func (r *ranking) add(size uint64, ih *[20]byte, n int) {
	if size == 0 || r.len == n && !r.top[n-1].before(size, ih) {
		return
	}
	if r.len < n {
		r.len++
	}
	i := r.len - 1
	for i > 0 && r.top[i-1].before(size, ih) {
		r.top[i] = r.top[i-1]
		i--
	}
	r.top[i] = ranked{size, *ih}
}

// before reports whether a torrent of that size comes before t.
func (t *ranked) before(size uint64, ih *[20]byte) bool {
	return size > t.size || size == t.size && bytes.Compare(ih[:], t.infohash[:]) > 0
}

func (r *ranking) append(dst []byte, by string, n int) []byte {
	dst = append(dst, "Top "...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	dst = append(dst, " torrents by "...)
	dst = append(dst, by...)
	dst = append(dst, ":\n"...)
	for i := range r.len {
		dst = append(dst, '\t')
		dst = strconv.AppendUint(dst, r.top[i].size, 10)
		dst = append(dst, '\t')
		dst = appendHex(dst, &r.top[i].infohash)
		dst = append(dst, '\n')
	}
	return dst
}
