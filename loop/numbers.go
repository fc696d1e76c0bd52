package loop

import (
	"net/netip"
	"time"

	"tracker/proto"
	"tracker/stats"
	"tracker/store"
)

// numbers answers the request for the numbers as JSON that is in r.http.
func (r *reactor) numbers(dst []byte, client netip.Addr) ([]byte, fate) {
	family := familyOf(client)
	if !r.mayRead(client) {
		return r.deny(dst, family)
	}
	q, err := stats.ParseNumbers(r.http.Query)
	switch {
	case err != nil:
		r.stats.Inc(stats.HTTPInvalid, family)
		return append(dst, proto.HTTP400...), fateClose
	case q.History != stats.SpanNone && r.ledger.history == nil:
		r.stats.Inc(stats.HTTPNotFound, family)
		return append(dst, proto.HTTP404...), fateClose
	case q != stats.NumbersRequest{}:
		return r.leave(dst, order{numbers: q, family: family, who: r.bounded(client)})
	}
	r.ledger.report(r.news())
	r.body = stats.AppendJSON(r.body[:0], r.report)
	r.stats.Inc(stats.HTTPPages, family)
	return r.told(dst, stats.ContentJSON)
}

// tell writes numbers.
func (d *desk) tell(w *patient, q *stats.NumbersRequest) error {
	var body []byte
	if q.History != stats.SpanNone {
		body = stats.AppendHistory(nil, d.ledger.history, q.History, d.now(), d.wall().Unix())
	} else {
		body = stats.AppendLeaders(nil, &d.leaders().Leaders, q.Top)
	}
	_, err := w.Write(append(stats.AppendHead(nil, stats.ContentJSON, len(body), false), body...))
	return err
}

// largest are the largest torrents as they were a while ago.
type largest struct {
	stats.Leaders
	until time.Duration // by then, somebody may look again
}

// topPause is how long the largest torrents are not looked for again.
const topPause = 10 * time.Second

// fresh reports whether l is good enough at now.
func (l *largest) fresh(now time.Duration) bool { return l != nil && now < l.until }

// leaders returns the largest torrents. While one looks for them, others get
// those of before, or wait if there are none.
func (d *desk) leaders() *largest {
	if l := d.largest.Load(); l.fresh(d.now()) {
		return l
	}
	if !d.walk.TryLock() {
		if l := d.largest.Load(); l != nil {
			return l
		}
		d.walk.Lock()
	}
	defer d.walk.Unlock()
	if l := d.largest.Load(); l.fresh(d.now()) {
		return l // somebody has looked meanwhile
	}
	l := new(largest)
	var shown stats.Torrent
	d.ledger.store.Each(d.minute(), func(t *store.Torrent) {
		shown = torrent(t, 0)
		l.Add(&shown)
	})
	l.until = d.now() + topPause
	d.largest.Store(l)
	return l
}
