package loop

import (
	"net/netip"

	"tracker/proto"
	"tracker/stats"
)

// A fate is what becomes of a connection after an answer.
type fate uint8

const (
	// fateKeep: the client asked to keep the connection, and was told so; or it
	// is a trusted proxy, which does without either.
	fateKeep fate = iota
	// fateDone: it closes, unless the client has already sent a whole next
	// request, and so has shown that it expects another answer.
	fateDone
	// fateClose: it closes. The client and we do not understand each other.
	fateClose
	// fateLeft: the answer is left to the desk, and with it the connection.
	fateLeft
)

// request answers req, one whole HTTP request over a connection from src. It
// appends the answer to dst and returns it, and says what becomes of the
// connection. With [fateLeft] there is none yet, and r.order says what it is to
// be. Nothing of req is kept.
func (r *reactor) request(dst, req []byte, src netip.AddrPort) ([]byte, fate) {
	client, proxied := r.trust.client(req, src.Addr())
	if r.guard != nil && !r.admit(client) {
		return r.silence(dst, req, proxied)
	}
	q, family := &r.http, familyOf(client)
	q.ReadIP = r.trust.announcers.contains(client)
	err := proto.ParseHTTP(req, q)
	if r.metrics && isClients(q.Kind, err) {
		err = proto.ErrNotFound
	}
	r.keep = q.KeepAlive || proxied && q.Minor11 && !q.Close
	if refusal, ok := err.(proto.Refusal); ok {
		if refusal == proto.RefuseNoInfohash {
			r.stats.Inc(stats.HTTPNoInfohash, family)
		} else {
			r.stats.Inc(stats.HTTPAnnounces, family)
		}
		return r.refuse(dst, refusal, family)
	}
	switch {
	case err == proto.ErrNotFound:
	case err != nil:
		r.stats.Inc(invalidity(req, err), family)
		return append(dst, proto.HTTP400...), fateClose
	case q.Kind == proto.KindAnnounce:
		return r.httpAnnounce(dst, client)
	case q.Kind == proto.KindScrape:
		return r.httpScrape(dst, family)
	case q.Kind == proto.KindFullScrape:
		return r.fullScrape(dst, req, client)
	case q.Kind == proto.KindOther:
		switch r.viewOf(q.Path) {
		case viewPages:
			return r.statistics(dst, req, client)
		case viewNumbers:
			return r.numbers(dst, client)
		case viewPage:
			return r.showPage(dst, req, client)
		case viewMetrics:
			return r.tellMetrics(dst, client)
		case viewHealth:
			return r.health(dst)
		case viewProfiles:
			return r.profile(dst, client)
		}
	case q.Kind == proto.KindRoot && r.hasRoot():
		return r.showPage(dst, req, client)
	case q.Kind == proto.KindRoot && r.redirect != "":
		r.stats.Inc(stats.HTTPRedirects, family)
		return proto.AppendHTTPRedirect(dst, r.redirect), fateClose
	}
	r.stats.Inc(stats.HTTPNotFound, family)
	return append(dst, proto.HTTP404...), fateClose
}

// isClients reports whether a request of that kind, parsed with err, is one that
// clients make.
func isClients(k proto.Kind, err error) bool {
	switch k {
	case proto.KindAnnounce, proto.KindScrape, proto.KindFullScrape:
		return err != proto.ErrInvalid && err != proto.ErrNotFound
	}
	return false
}

// invalidity returns as what an invalid request is counted.
func invalidity(req []byte, err error) stats.Counter {
	const start = "GET /"
	if err == proto.ErrCompact {
		return stats.HTTPCompact
	}
	if len(req) < len(start) || string(req[:len(start)]) != start {
		return stats.HTTPParseErrors
	}
	return stats.HTTPInvalid
}

// httpAnnounce answers the announce in r.http.
func (r *reactor) httpAnnounce(dst []byte, client netip.Addr) ([]byte, fate) {
	a, family := &r.http.Announce, familyOf(client)
	r.stats.Inc(stats.HTTPAnnounces, family)
	if r.refuses(a) {
		r.stats.Inc(stats.Refusals, family)
		r.stats.Inc(stats.Unlisted, family)
		// A list may be about to hold it: a client that sees no reason to
		// give up comes back when it would have anyway.
		r.body = proto.AppendHTTPRetry(r.body[:0], proto.RefuseUnlisted, (r.pace.draw(r.rnd)+59)/60)
		return r.finish(dst)
	}
	if r.clients != nil && r.refusesClient(a, family) {
		r.body = proto.AppendHTTPFailure(r.body[:0], proto.RefuseClient)
		return r.finish(dst)
	}
	if a.IP.IsValid() { // it was read because client may say so
		client = a.IP
	}
	r.announce(a, client, a.NumWant, bothFamilies)
	r.reply = proto.AnnounceReply{
		Form:     a.Form(),
		Asker6:   client.Is6(),
		Interval: r.interval(),
		Counts:   r.found.Counts,
		Peers4:   r.found.V4,
		Peers6:   r.found.V6,
	}
	r.body = proto.AppendHTTPAnnounce(r.body[:0], &r.reply)
	return r.finish(dst)
}

// httpScrape answers the scrape in r.http.
func (r *reactor) httpScrape(dst []byte, family stats.Family) ([]byte, fate) {
	r.stats.Inc(stats.HTTPScrapes, family)
	scrape := &r.http.Scrape
	scrape.Sort()
	r.body = proto.AppendHTTPScrapeHead(r.body[:0])
	for i := range scrape.N {
		if counts, ok := r.store.Scrape(&scrape.Infohashes[i]); ok {
			r.body = proto.AppendHTTPScrapeEntry(r.body, &scrape.Infohashes[i], counts)
		}
	}
	r.body = proto.AppendHTTPScrapeTail(r.body)
	return r.finish(dst)
}

// refuse answers with a failure reason.
func (r *reactor) refuse(dst []byte, why proto.Refusal, family stats.Family) ([]byte, fate) {
	r.stats.Inc(stats.Refusals, family)
	r.body = proto.AppendHTTPFailure(r.body[:0], why)
	return r.finish(dst)
}

// finish appends r.body with the head that belongs to it. Who did not ask to
// keep the connection needs no word that it is kept: HTTP/1.1 does.
func (r *reactor) finish(dst []byte) ([]byte, fate) {
	return append(proto.AppendHTTPHead(dst, len(r.body), r.http.KeepAlive), r.body...), r.fate()
}

// fate returns what becomes of the connection after an answer that is no error.
func (r *reactor) fate() fate {
	if r.keep {
		return fateKeep
	}
	return fateDone
}
