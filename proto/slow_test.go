package proto

import (
	"math"
	"math/big"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// The readable parser of queries: the rules, one after the other, without a
// thought for speed. FuzzQuery measures the real one against it.

var (
	slowName       = regexp.MustCompile(`^[A-Za-z0-9!%'()*+,\-./:;<>_~?]*$`)
	slowValue      = regexp.MustCompile(`^[A-Za-z0-9!%'()*+,\-./:;<>_~?=@]*`)
	slowNumber     = regexp.MustCompile(`^-?[0-9]+$`)
	slowLongNumber = regexp.MustCompile(`[-0-9%a-fA-F]{33}`) // or at least what may become one
	slowEscape     = regexp.MustCompile(`%([0-9A-Fa-f]{2})?`)
)

// slowUnescape decodes every escape in s. A broken one is not ok.
func slowUnescape(s string) (_ string, ok bool) {
	ok = true
	s = slowEscape.ReplaceAllStringFunc(s, func(escape string) string {
		c, err := strconv.ParseUint(escape[1:], 16, 8)
		ok = ok && err == nil
		return string([]byte{byte(c)})
	})
	return s, ok
}

// slowPair is one parameter with what it decodes to.
type slowPair struct{ name, value string }

// slowPairs splits a query. Only parameters in known have a value.
func slowPairs(query string, known ...string) (pairs []slowPair, err error) {
	if end := strings.IndexAny(query, " \r\n\x00"); end >= 0 {
		query = query[:end]
	}
	for query != "" {
		name := query
		if i := strings.IndexAny(query, "=&"); i >= 0 {
			name = query[:i]
		}
		query = query[len(name):]
		decoded, ok := slowUnescape(name)
		if !slowName.MatchString(name) || !ok {
			return nil, ErrInvalid
		}
		read := false
		for _, k := range known {
			read = read || k == decoded
		}

		value := ""
		if strings.HasPrefix(query, "=") {
			query = query[1:]
			value = slowValue.FindString(query)
			query = query[len(value):]
		}
		if query != "" {
			separator := query[:1]
			query = query[1:]
			if strings.Contains("\"#$[\\]^`{|}", separator) || read && separator != "&" {
				return nil, ErrInvalid
			}
		}
		if read {
			if value, ok = slowUnescape(value); !ok {
				return nil, ErrInvalid
			}
			pairs = append(pairs, slowPair{decoded, value})
		}
	}
	return pairs, nil
}

// slowAnnounce is [HTTPRequest.announce]. The parameter ip is read if also
// names it.
func slowAnnounce(query string, also ...string) (a Announce, err error) {
	known := append(also, "info_hash", "peer_id", "port", "left", "event", "numwant", "compact", "compact6")
	pairs, err := slowPairs(query, known...)
	if err != nil {
		return a, err
	}
	a = Announce{Left: math.MaxUint64, NumWant: DefaultNumWant}
	infohashes, badLeft, no6 := 0, false, false
	for _, p := range pairs {
		n, isNumber := new(big.Int).SetString(p.value, 10)
		isNumber = isNumber && slowNumber.MatchString(p.value)
		bad := false
		switch p.name {
		case "info_hash":
			infohashes++
			bad = infohashes > 1 || len(p.value) != 20 && len(p.value) != 32
			if !bad {
				a.Infohash = Infohash([]byte(p.value[:20]))
			}
		case "peer_id":
			if bad = len(p.value) != 20; !bad {
				a.PeerID = PeerID([]byte(p.value))
			}
		case "port":
			bad = !isNumber || n.Cmp(big.NewInt(65535)) > 0
			a.Port = 0
			if !bad && n.Sign() > 0 {
				a.Port = uint16(n.Uint64())
			}
		case "left":
			bad = p.value == ""
			badLeft = !isNumber || n.Sign() > 0 && !n.IsUint64()
			if isNumber && n.Sign() >= 0 {
				a.Left = n.Uint64()
			} else {
				a.Left = math.MaxUint64
			}
		case "event":
			events := map[string]Event{"completed": EventCompleted, "started": EventStarted, "stopped": EventStopped}
			if e, ok := events[p.value]; ok {
				a.Event = e
			}
		case "numwant":
			bad = !isNumber
			switch {
			case bad:
			case n.Sign() < 0:
				a.NumWant = DefaultNumWant
			case n.Cmp(big.NewInt(MaxNumWant)) > 0:
				a.NumWant = MaxNumWant
			default:
				a.NumWant = int(n.Int64())
			}
		case "compact":
			bad = !isNumber
			a.List = isNumber && n.Sign() == 0
		case "compact6":
			bad = !isNumber
			no6 = isNumber && n.Sign() == 0
		case "ip":
			var err error
			a.IP, err = netip.ParseAddr(p.value)
			a.IP = a.IP.Unmap()
			bad = err != nil || a.IP.Zone() != "" || a.IP.IsUnspecified()
		}
		if bad {
			return a, ErrInvalid
		}
	}
	switch {
	case no6:
		return a, ErrCompact
	case infohashes == 0:
		return a, RefuseNoInfohash
	case a.Port == 0 && a.Event != EventStopped:
		return a, RefusePort
	case badLeft:
		return a, RefuseLeft
	}
	return a, nil
}

// slowScrape is [HTTPRequest.scrape].
func slowScrape(query string) (infohashes []Infohash, err error) {
	pairs, err := slowPairs(query, "info_hash")
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		if len(p.value) != 20 && len(p.value) != 32 {
			return nil, ErrInvalid
		}
		infohashes = append(infohashes, Infohash([]byte(p.value[:20])))
	}
	if len(infohashes) == 0 {
		return nil, ErrInvalid
	}
	return infohashes[:min(len(infohashes), MaxHTTPScrape)], nil
}
