package main

import "sync"

// held is what must not outlive the command: a process, cgroups, files. The
// kernel does not end a tracker together with us once it has given up root.
type held struct {
	mu   sync.Mutex
	free []func()
}

// hold makes something that free then ends. Nobody releases while it is made.
func (h *held) hold(make func() (free func(), err error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	free, err := make()
	if err == nil {
		h.free = append(h.free, free)
	}
	return err
}

// release ends all that is held, the newest first.
func (h *held) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.releaseLocked()
}

// abandon does the same, for good: who wants to hold or release anything from
// now on waits for the end of the process.
func (h *held) abandon() {
	h.mu.Lock()
	h.releaseLocked()
}

func (h *held) releaseLocked() {
	for i := len(h.free) - 1; i >= 0; i-- {
		h.free[i]()
	}
	h.free = nil
}
