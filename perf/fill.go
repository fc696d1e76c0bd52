package perf

import "fmt"

// Fill lets every client of w announce once, without limits of rate, count
// and time, and returns when each has been answered or, over a generator that
// does not resend, all but one in a hundred.
func Fill(g Generator, w *Workload) error {
	l := g.Bounds()
	defer func(old Limits) { *l = old }(*l)
	l.Rate, l.Count, l.For = 0, 0, 0
	var c uint32
	res, err := g.Run(func(r *Request) bool {
		if c == w.Clients {
			return false
		}
		w.Client(c, r)
		c++
		return true
	})
	if err == nil && res.Answered < uint64(w.Clients)-uint64(w.Clients)/100 {
		err = fmt.Errorf("perf: %d of %d clients were answered, %d refused", res.Answered, w.Clients, res.Refused)
	}
	return err
}
