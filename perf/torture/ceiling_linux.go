package main

import (
	"fmt"
	"time"
)

// ceilingKey is the tracker's limit of memory.
const ceilingKey = "limit.memory"

// ceilingSetting gives the tracker the ceiling, if it knows of such a thing.
func ceilingSetting(o *options) setting {
	set := setting{torrents: o.scale().many}
	if line := o.ceilingLine(); o.ceiling > 0 && o.knows(o.tracker, line) {
		set.conf = []string{line}
	}
	return set
}

func (o *options) ceilingLine() string { return fmt.Sprintf("%s %dm", ceilingKey, o.ceiling) }

// ceiling announces far more torrents than the memory has room for.
func ceiling(t *trial) error {
	begin := time.Now()
	err := t.flood(func() error {
		res, err := t.announce(t.scale.many)
		if err == nil {
			t.say("%d torrents announced, %d answered, %.0f a second", t.scale.many, res.Answered, float64(res.Answered)/time.Since(begin).Seconds())
			t.must(res.Answered == uint64(t.scale.many), "%d of %d announces answered as announces", res.Answered, t.scale.many)
		}
		return err
	})
	if err != nil {
		return err
	}
	if n, err := t.number("count_iterator"); err == nil {
		t.say("%d torrents stored", n)
	}
	st, err := t.Status()
	if err != nil {
		return err
	}
	t.say("RSS %.1f MB, at most %.1f MB", mb(st.RSS), mb(st.Peak))
	switch limited := len(t.stage.own(t.o).conf) > 0; {
	case !t.ours:
	case limited:
		t.must(st.Peak <= t.o.ceiling<<20, "RSS was %.1f MB, over the ceiling of %d MB", mb(st.Peak), t.o.ceiling)
	default:
		t.say("no ceiling: -ceiling 0, or this tracker has no " + ceilingKey)
	}
	return nil
}

// mb is bytes in units of 2^20.
func mb(n int64) float64 { return float64(n) / (1 << 20) }
