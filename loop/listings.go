package loop

import (
	"net/netip"

	"tracker/stats"
	"tracker/store"
)

// write writes the whole answer to o.
func (d *desk) write(w *patient, o *order) error {
	if o.profile.name != "" {
		return d.writeProfile(w, o)
	}
	if o.scrape {
		d.ledger.own.Inc(stats.FullScrapes, o.family)
		return d.list(w, o)
	}
	d.ledger.own.Inc(stats.HTTPPages, o.family)
	if o.numbers != (stats.NumbersRequest{}) {
		return d.tell(w, &o.numbers)
	}
	var body []byte
	switch o.page.Mode.Kind() {
	case stats.KindTop:
		body = d.top(o.page.Mode.TopLen())
	case stats.KindNetworks:
		body = d.networks()
	case stats.KindWoodpeckers:
		var n stats.Networks
		for _, p := range d.ledger.woodpeckers {
			n.Merge(p)
		}
		body = stats.AppendWoodpeckers(nil, &n)
	default:
		return d.list(w, o)
	}
	_, err := w.Write(append(stats.AppendTextHead(nil, len(body)), body...))
	return err
}

// top returns the page of the n largest torrents.
func (d *desk) top(n int) []byte {
	top := stats.NewTop(n)
	var shown stats.Torrent
	d.ledger.store.Each(d.minute(), func(t *store.Torrent) {
		shown = torrent(t, 0)
		top.Add(&shown)
	})
	return top.Append(nil)
}

// networks returns the page of where peers are.
func (d *desk) networks() []byte {
	var n stats.Networks
	d.ledger.store.EachPeer(func(compact []byte) {
		if a, ok := netip.AddrFromSlice(compact[:len(compact)-2]); ok { // a port follows
			n.Add(a)
		}
	})
	return stats.AppendNetworks(nil, &n)
}

// list writes all torrents.
func (d *desk) list(w *patient, o *order) error {
	encoding, format := stats.Plain, o.page.Format
	if o.gzip {
		encoding = stats.Gzip
	}
	if _, err := w.Write(stats.AppendListingHead(nil, encoding)); err != nil {
		return err
	}
	if o.scrape {
		w.count = func(n int) { d.ledger.own.Add(stats.FullScrapeBytes, o.family, uint64(n)) }
	}
	body := stats.NewChunkWriter()
	body.Reset(w, encoding)
	err := body.WriteHead(format)
	wall := uint32(max(0, d.wall().Unix()/60))
	var shown stats.Torrent
	d.ledger.store.Sorted(d.minute(), func(batch []store.Torrent) bool {
		for i := range batch {
			if err != nil {
				break
			}
			shown = torrent(&batch[i], wall)
			err = body.WriteTorrent(format, &shown)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return body.Close(format)
}

func (d *desk) minute() store.Minute { return store.Minute(d.ledger.clock.minute.Load()) }

// torrent returns t as listings show it, in minute wall since 1970. A router
// without a battery lives in 1970 for a while.
func torrent(t *store.Torrent, wall uint32) stats.Torrent {
	return stats.Torrent{
		Infohash:   t.Infohash,
		Seeders:    t.Counts.Complete,
		Leechers:   t.Counts.Incomplete,
		Downloaded: t.Counts.Downloaded,
		UsedMinute: wall - min(wall, uint32(t.Idle)),
	}
}
