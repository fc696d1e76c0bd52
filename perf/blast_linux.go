package perf

import "time"

// blastID is the transaction id of a blast: no slot of a run has its number.
const blastID = 1<<32 - 1

// Blast sends requests for so long as fast as the system takes them, and does
// not care for answers: what is left of them in the socket's queue is late in
// the next run. That is how those flood who want nothing but to flood; [UDP.Run]
// slows down with the tracker. It returns how many datagrams were sent, and
// [ErrSource] or what the system said.
func (u *UDP) Blast(next func(*Request), length time.Duration) (sent uint64, err error) {
	end := nanotime() + int64(length)
	var r Request
	for nanotime() < end {
		for i := range batchLen {
			next(&r)
			if int(r.Source) >= len(u.sources) {
				return sent, ErrSource
			}
			pkt := appendUDP(u.out.bufs[i][:0], &r, u.conns[r.Source], blastID)
			u.out.iovs[i].SetLen(len(pkt))
			u.out.setSource(i, u.sources[r.Source])
		}
		if err := u.out.send(u.fd, batchLen); err != nil {
			return sent, err
		}
		sent += batchLen
	}
	return sent, nil
}
