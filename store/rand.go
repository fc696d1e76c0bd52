package store

import "math/bits"

// Rand is a small fast source of random numbers, wyrand by Wang Yi. It decides
// which peers are handed out, not who may ask: it keeps no secret. A Rand
// belongs to one goroutine. Seed it from the system's random source, so that
// no two reactors or runs make the same choices.
type Rand struct{ state uint64 }

// NewRand returns a source that starts at seed.
func NewRand(seed uint64) *Rand { return &Rand{seed} }

// Uint64 returns 64 random bits.
func (r *Rand) Uint64() uint64 {
	r.state += 0xa0761d6478bd642f
	hi, lo := bits.Mul64(r.state, r.state^0xe7037ed1a0b428db)
	return hi ^ lo
}

// Uint32n returns a random number in [0, n). It is not exactly uniform: for n
// up to a million the deviation is below 1 in 4,000, far less than any swarm
// can notice. n must not be 0.
func (r *Rand) Uint32n(n uint32) uint32 {
	return uint32(r.Uint64() >> 32 * uint64(n) >> 32)
}
