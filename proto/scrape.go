package proto

import (
	"bytes"
	"slices"
)

// Limits on how many torrents one scrape asks for; the rest is dropped.
const (
	// MaxScrape is the UDP limit: 75 infohashes and the header fill 1,516
	// bytes, and the answer 908.
	MaxScrape = 75
	// MaxHTTPScrape is the HTTP limit, as in opentracker. 64 escaped
	// infohashes fill 4.5 of the 8 KiB a request may have.
	MaxHTTPScrape = 64
)

// Scrape is one scrape request (BEP 48), whichever wire it came from. Only the
// first N infohashes mean anything; the others are left from earlier requests.
type Scrape struct {
	N          int // 0 to MaxScrape
	Infohashes [MaxScrape]Infohash
}

// Sort puts the infohashes in ascending order and drops duplicates, because
// the keys of a bencoded dictionary are sorted and occur once (BEP 3).
func (s *Scrape) Sort() {
	hashes := s.Infohashes[:s.N]
	slices.SortFunc(hashes, compareInfohash)
	s.N = len(slices.Compact(hashes))
}

func compareInfohash(a, b Infohash) int { return bytes.Compare(a[:], b[:]) }

// add takes ih, or drops it if there are max infohashes already.
func (s *Scrape) add(ih *Infohash, limit int) {
	if s.N < limit {
		s.Infohashes[s.N] = *ih
		s.N++
	}
}
