package loop

import (
	"sync"
	"time"
)

// A lack is a want of descriptors or memory, which may be felt many times a
// second. It is told when it begins, and then no more than once in lackPause.
type lack struct {
	mu    sync.Mutex
	next  int64 // when it may be told again, in milliseconds of the clock
	times int   // untold so far
}

const lackPause = time.Minute

// feel notes that accepting failed, at now, and tells of it.
func (l *lack) feel(now int64, err error, logf Logf) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.times++; now < l.next {
		return
	}
	if l.next == 0 {
		logf(Warning, "accept", "accept: %v; idle connections are closed for those that come, which wait until there is room", err)
	} else {
		logf(Warning, "accept", "accept: %v; %d times since this was last said", err, l.times)
	}
	l.next, l.times = now+lackPause.Milliseconds(), 0
}
