package loop

import (
	"bytes"
	"slices"
	"sort"
	"strings"

	"tracker/proto"
)

// ClientRules say which programs are served, by how their peer ids begin, like
// -XL0012. A peer id is what a client says it is: this keeps out programs that
// harm the swarm by mistake, and none that wants to hide.
type ClientRules struct {
	Allow []string // if there are any, only these
	Deny  []string // never these, allowed or not
}

// clients is [ClientRules] in a form that is quick to ask. nil allows all.
type clients struct{ allow, deny beginnings }

func makeClients(c *ClientRules) *clients {
	if len(c.Allow)+len(c.Deny) == 0 {
		return nil
	}
	return &clients{makeBeginnings(c.Allow), makeBeginnings(c.Deny)}
}

// refuses reports whether a client with that peer id is not served.
func (c *clients) refuses(id *proto.PeerID) bool {
	return len(c.allow) > 0 && !c.allow.begin(id) || c.deny.begin(id)
}

// beginnings are beginnings of peer ids in ascending order, none of which begins
// another, so that the only one that can begin an id is the last that is not
// greater.
type beginnings []string

func makeBeginnings(list []string) (p beginnings) {
	for _, next := range slices.Sorted(slices.Values(list)) {
		if len(p) == 0 || !strings.HasPrefix(next, p[len(p)-1]) {
			p = append(p, next)
		}
	}
	return p
}

// begin reports whether id begins with one of p.
func (p beginnings) begin(id *proto.PeerID) bool {
	i := sort.Search(len(p), func(i int) bool { return p[i] > string(id[:]) })
	return i > 0 && bytes.HasPrefix(id[:], []byte(p[i-1]))
}
