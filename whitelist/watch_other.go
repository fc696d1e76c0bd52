//go:build !linux

package whitelist

// A notifier never wakes its owner, who has to look. (kqueue would need a
// descriptor for each file of a folder.)
type notifier struct {
	wake chan struct{}
}

func newNotifier() *notifier { return &notifier{} }

// watch reports that no change will wake.
func (n *notifier) watch([]place, bool) bool { return false }

// close ends n.
func (n *notifier) close() {}
