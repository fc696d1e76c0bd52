package cluster

// windowLen is how many numbers back a batch may come late.
const windowLen = 1024

// A window remembers which of a sender's last batches were here, so that none
// is counted twice, and how many are missing.
type window struct {
	newest uint64 // 0: none yet
	first  uint64 // what came before that one is nobody's loss
	seen   [windowLen / 64]uint64
	lost   uint64
}

// An arrival says how a batch fits into its sender's numbering.
type arrival uint8

const (
	inOrder  arrival = iota // newer than all before
	late                    // older than another that was here
	repeated                // was here, or is too old to tell
)

// arrive notes that batch number n is here. The first one begins the numbering.
func (w *window) arrive(n uint64) arrival {
	switch {
	case n == 0:
		return repeated // nobody sends that
	case w.newest == 0, n > w.newest+1<<32: // or the numbers have nothing to do with each other
		w.seen = [windowLen / 64]uint64{}
		w.newest, w.first = n, n
		w.note(n)
		return inOrder
	case n > w.newest:
		w.lost += n - w.newest - 1
		for gap := w.newest + 1; gap <= n && gap < w.newest+1+windowLen; gap++ {
			w.forget(gap)
		}
		if n-w.newest >= windowLen {
			w.seen = [windowLen / 64]uint64{}
		}
		w.newest = n
		w.note(n)
		return inOrder
	case w.newest-n >= windowLen || w.has(n):
		return repeated
	}
	if w.note(n); n > w.first {
		w.lost--
	}
	return late
}

func (w *window) has(n uint64) bool { return w.seen[n/64%uint64(len(w.seen))]>>(n%64)&1 != 0 }
func (w *window) note(n uint64)     { w.seen[n/64%uint64(len(w.seen))] |= 1 << (n % 64) }
func (w *window) forget(n uint64)   { w.seen[n/64%uint64(len(w.seen))] &^= 1 << (n % 64) }
