package perf

import (
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
)

// Held is what must not outlive a command: processes, cgroups, files. The
// kernel does not end a tracker together with us once it has given up root.
// The zero Held holds nothing and is ready; its methods may be called by any
// goroutine.
type Held struct {
	mu   sync.Mutex
	free []*func()
}

// Watch has INT, TERM and HUP end all that is held and then this process, with
// the exit code that a shell has for it, 128 and the number of the signal.
func (h *Held) Watch() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := <-end
		h.abandon()
		os.Exit(128 + int(s.(syscall.Signal)))
	}()
}

// Hold makes something that free then ends, and returns what ends it, unless
// it has been ended before. Nobody releases while it is made.
func (h *Held) Hold(make func() (free func(), err error)) (end func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	free, err := make()
	if err != nil {
		return nil, err
	}
	h.free = append(h.free, &free)
	return func() { h.end(&free) }, nil
}

// end ends one thing if it is still held.
func (h *Held) end(free *func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.free, free); i >= 0 {
		h.free = slices.Delete(h.free, i, i+1)
		(*free)()
	}
}

// Release ends all that is held, the newest first.
func (h *Held) Release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.release()
}

// abandon does the same, for good: who wants to hold or end anything from now
// on waits for the end of the process.
func (h *Held) abandon() {
	h.mu.Lock()
	h.release()
}

func (h *Held) release() {
	for _, free := range slices.Backward(h.free) {
		(*free)()
	}
	h.free = nil
}
