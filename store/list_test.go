package store

import (
	"math/rand/v2"
	"testing"
)

// TestSurvey compares what is found eight stamps at a time with a look at each,
// for every length of the rest and every age.
func TestSurvey(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	for n := range 40 {
		for range 500 {
			now, expire := Minute(r.Uint32()), MinExpire+Minute(r.IntN(int(MaxExpire-MinExpire)+1))
			l, leechers, stale := list{stamps: make([]byte, n), width: 6}, 0, false
			for i := range l.stamps {
				age := Minute(r.IntN(int(expire)))
				if r.IntN(4*n) == 0 {
					age = min(expire+Minute(r.IntN(3)), stampMinutes)
				}
				l.stamps[i] = makeStamp(now-age, r.IntN(2) == 0)
				if !l.seeder(i) {
					leechers++
				}
				stale = stale || age >= expire
			}
			if got, old := l.survey(now, expire); got != leechers || old != stale || l.leechers() != leechers {
				t.Fatalf("%x at %d, expire %d: %d leechers, stale %v; want %d, %v", l.stamps, now, expire, got, old, leechers, stale)
			}
		}
	}
}
