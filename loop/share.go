package loop

import "tracker/store"

// A Sharer tells other trackers what is announced to one reactor.
type Sharer interface {
	// Announced is called after each [store.Store.Announce], with its arguments.
	// It must neither wait nor allocate, nor keep anything.
	Announced(q *store.Query, a *store.Answer, now store.Minute)
}

// join gives each reactor its Sharer, or none. No reactor runs.
func (s *Server) join() error {
	for _, r := range s.reactors {
		r.share = nil
	}
	if s.cfg.Join == nil {
		return nil
	}
	share, err := s.cfg.Join(s)
	if err != nil || share == nil {
		return err
	}
	for _, r := range s.reactors {
		r.share = share()
	}
	return nil
}
