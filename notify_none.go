//go:build !linux || router

package main

// A notifier would tell a service manager how we are. There is none on routers.
type notifier struct{}

func newNotifier() *notifier { return nil }

func (t *tracker) tellReady()       {}
func (t *tracker) tellReplaced(int) {}
func (t *tracker) reread()          { t.lists.Reload() }
func (t *tracker) tellStopping()    {}
func (t *tracker) endNotes()        {}
