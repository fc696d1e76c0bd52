package cluster

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// rotation is for how long one secret makes connection ids.
const rotation = 24 * time.Hour

// A keyring says which secret the members make connection ids with. Each has a
// generation and a maker; the highest pair wins, so two halves that made one each
// agree as soon as they meet. A node that is joining has none to offer.
type keyring struct {
	keys       Keys
	generation uint64
	maker      uint64
	made       time.Time
}

// append appends the secret to a hello.
func (k *keyring) append(b []byte) []byte {
	var secret [16]byte
	var clock int64
	if k.keys != nil && k.generation > 0 {
		secret, clock = k.keys.Secret()
	}
	b = binary.LittleEndian.AppendUint64(b, k.generation)
	b = binary.LittleEndian.AppendUint64(b, k.maker)
	b = append(b, secret[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(clock))
	return binary.LittleEndian.AppendUint32(b, uint32(min(time.Since(k.made), 2*rotation)/time.Second))
}

// hear takes over the secret of m's hello if it is higher than ours.
func (k *keyring) hear(n *Node, m *member, b []byte) {
	generation, maker := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	higher := generation > k.generation || generation == k.generation && maker > k.maker
	if k.keys == nil || !higher || generation > max(k.generation, maxFirst)+maxAhead {
		return
	}
	age := time.Duration(binary.LittleEndian.Uint32(b[40:])) * time.Second
	k.generation, k.maker, k.made = generation, maker, time.Now().Add(-min(age, 2*rotation))
	secret := [16]byte(b[16:])
	k.keys.Adopt(secret, int64(binary.LittleEndian.Uint64(b[32:])))
	n.salt.Store(uint64(makeSalt(&secret)))
	n.log(Info, "secret", "connection ids are made as %s makes them", m.name)
}

// A secret may be so many generations ahead of ours, or of maxFirst, which is a
// thousand years away: nobody can use them up.
const (
	maxAhead = 1 << 20
	maxFirst = 1 << 20
)

// begin makes ours the first, if there is none.
func (k *keyring) begin(n *Node) {
	if k.keys != nil && k.generation == 0 {
		k.generation, k.maker, k.made = 1, n.id, time.Now()
		secret, _ := k.keys.Secret()
		n.salt.Store(uint64(makeSalt(&secret)))
	}
}

// rotate makes a new secret if it is time.
func (k *keyring) rotate(n *Node) bool {
	if k.keys == nil || k.generation == 0 || time.Since(k.made) < rotation {
		return false
	}
	var secret [16]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return false // the old one will do
	}
	_, clock := k.keys.Secret()
	k.generation, k.maker, k.made = k.generation+1, n.id, time.Now()
	k.keys.Adopt(secret, clock)
	n.salt.Store(uint64(makeSalt(&secret)))
	return true
}
