package loop

import (
	"crypto/rand"
	"net/netip"

	"tracker/loop/guard"
	"tracker/proto"
	"tracker/stats"
)

// Rates are budgets of requests, for an address and for a prefix.
type Rates = guard.Limits

// newGuard returns a guard that nobody can foresee, or nil if there are no
// budgets.
func newGuard(l Rates) *guard.Guard {
	var secret [16]byte
	rand.Read(secret[:]) // never fails
	return guard.New(l, secret)
}

// What becomes of a request that is over a budget:
//
//	            UDP                 HTTP                  HTTP through a trusted proxy
//	slow        longer interval     longer interval       longer interval
//	silenced    nothing             the connection ends   a failure reason
//
// An error of HTTP would have some clients ask again at once. A proxy's
// connection carries what others ask as well, and a proxy that finds it closed
// may take us for dead.
//
// A connection costs its address one request at least, when it closes without
// having brought a whole one. That is so whether it ran out of time or had to go
// for others: nobody goes before those who have waited longer, and one request
// is what it would have cost anyway. If it were free, those who send beginnings
// of requests would push each other out at the limit of connections, and never
// come over their budget. Whoever has asked pays nothing more for being pushed
// out, nor for being handed to another process.

// admit charges a request, proven to come from client, and reports whether it
// is to be answered. r.slowed says whether that should be with a longer
// interval. A trusted proxy that names no client is never charged. There must
// be a guard.
func (r *reactor) admit(client netip.Addr) bool {
	r.slowed = false
	if r.trust.proxies.contains(client) {
		return true
	}
	verdict := r.guard.Charge(client, r.clock.millis.Load())
	if verdict == guard.Fine {
		return true
	}
	r.slowed = verdict == guard.Slow
	r.stats.Inc(overBudget[verdict], familyOf(client))
	return r.slowed
}

// overBudget is as what a request over a budget is counted.
var overBudget = [...]stats.Counter{
	guard.Slow:       stats.RateSlowed,
	guard.BadAddress: stats.RateAddress,
	guard.BadPrefix:  stats.RatePrefix,
}

// shuts reports whether a connection from src, which is not proxied, is to be
// closed before it has said anything.
func (r *reactor) shuts(src netip.Addr) bool {
	if r.guard == nil || r.trust.proxies.contains(src) || r.guard.Shut(src, r.clock.millis.Load()) == guard.Fine {
		return false
	}
	r.stats.Inc(stats.RateClosed, familyOf(src))
	return true
}

// silence ends the conversation in which req is over a budget, or, if that is
// a proxy's, answers that there is no answer.
func (r *reactor) silence(dst, req []byte, proxied bool) ([]byte, fate) {
	if !proxied {
		return dst, fateClose
	}
	_ = proto.ParseHTTP(req, &r.http) // whatever it asks for; but is the connection kept?
	r.keep = r.http.KeepAlive || r.http.Minor11 && !r.http.Close
	r.body = proto.AppendHTTPRetry(r.body[:0], proto.RefuseRate, uint32(longestTold.Minutes()))
	return r.finish(dst)
}

// unproven charges a datagram that says it comes from src, and reports whether
// it is over the budget of such. Without budgets none is.
func (r *reactor) unproven(src netip.Addr) bool {
	return r.guard != nil && r.guard.ChargeUnproven(src, r.clock.millis.Load())
}
