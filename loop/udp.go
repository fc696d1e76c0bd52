package loop

import (
	"net/netip"

	"tracker/proto"
	"tracker/stats"
)

// datagram answers one datagram from src. It appends the answer to dst and
// returns it; when dst comes back unchanged, there is none. Nothing of pkt is
// kept.
//
// Until a sender has shown by its connection id that it receives where it says
// it sends from, it gets no more bytes than it sent: nobody can be flooded
// through us. That is why the id is looked at before anything else, and
// nothing of a forged datagram reaches the store.
func (r *reactor) datagram(dst, pkt []byte, src netip.AddrPort) []byte {
	if len(pkt) == 0 {
		return dst
	}
	family := familyOf(src.Addr())
	r.stats.Inc(stats.UDPPackets, family)

	id, action, tx, ok := proto.UDPHeader(pkt)
	switch {
	case !ok:
	case proto.IsUDPConnect(id, action):
		if r.unproven(src.Addr()) && r.strain.Load() != calm {
			r.stats.Inc(stats.RateUnproven, family)
			return dst
		}
		r.stats.Inc(stats.UDPConnects, family)
		return proto.AppendUDPConnect(dst, tx, r.clock.keys.Load().id(src.Addr()))
	case action != proto.ActionAnnounce && action != proto.ActionScrape:
	case !r.clock.keys.Load().valid(id, src.Addr()):
		r.stats.Inc(stats.UDPMissmatches, family)
		if r.unproven(src.Addr()) {
			r.stats.Inc(stats.RateUnproven, family)
			return dst
		}
		if r.sheds(stats.LoadUnproven, family) || proto.UDPErrorLen(proto.RefuseConnID) > len(pkt) {
			return dst
		}
		return proto.AppendUDPError(dst, tx, proto.RefuseConnID)
	case r.guard != nil && !r.admit(src.Addr()):
		return dst
	case action == proto.ActionAnnounce:
		return r.udpAnnounce(dst, pkt, src)
	default:
		return r.udpScrape(dst, pkt, family)
	}
	r.stats.Inc(stats.UDPMalformed, family)
	return dst
}

// udpAnnounce answers an announce whose sender is proven.
func (r *reactor) udpAnnounce(dst, pkt []byte, src netip.AddrPort) []byte {
	family := familyOf(src.Addr())
	tx, err := proto.ParseUDPAnnounce(pkt, &r.udp)
	if err == proto.ErrShort {
		r.stats.Inc(stats.UDPMalformed, family)
		return dst
	}
	r.stats.Inc(stats.UDPAnnounces, family)
	if refusal, ok := err.(proto.Refusal); ok {
		r.stats.Inc(stats.Refusals, family)
		return proto.AppendUDPError(dst, tx, refusal)
	}
	if r.refuses(&r.udp) {
		r.stats.Inc(stats.Refusals, family)
		r.stats.Inc(stats.Unlisted, family)
		return proto.AppendUDPError(dst, tx, proto.RefuseUnlisted)
	}
	if r.clients != nil && r.refusesClient(&r.udp, family) {
		return proto.AppendUDPError(dst, tx, proto.RefuseClient)
	}
	if family == stats.V4 {
		client := src.Addr()
		if r.udp.IP.IsValid() && r.trust.announcers.contains(client) {
			client = r.udp.IP
		}
		r.announce(&r.udp, client, r.udp.NumWant, ownFamily)
		return proto.AppendUDPAnnounce(dst, tx, r.interval(), r.found.Counts, r.found.V4)
	}
	r.announce(&r.udp, src.Addr(), min(r.udp.NumWant, proto.MaxNumWantUDP6), ownFamily)
	return proto.AppendUDPAnnounce(dst, tx, r.interval(), r.found.Counts, r.found.V6)
}

// udpScrape answers a scrape whose sender is proven.
func (r *reactor) udpScrape(dst, pkt []byte, family stats.Family) []byte {
	scrape := &r.http.Scrape
	tx, err := proto.ParseUDPScrape(pkt, scrape)
	if err != nil {
		r.stats.Inc(stats.UDPMalformed, family)
		return dst
	}
	r.stats.Inc(stats.UDPScrapes, family)
	dst = proto.AppendUDPScrapeHead(dst, tx)
	for i := range scrape.N {
		counts, _ := r.store.Scrape(&scrape.Infohashes[i])
		dst = proto.AppendUDPScrapeEntry(dst, counts)
	}
	return dst
}
