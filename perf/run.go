package perf

import (
	"errors"
	"time"
)

// Errors a run may end with.
var (
	ErrSilent      = errors.New("perf: the tracker does not answer")
	ErrSource      = errors.New("perf: request from an address that was not given")
	ErrNotLoopback = errors.New("perf: only loopback addresses are sent to")
)

// A Generator sends requests and takes their answers: [UDP] or [HTTP].
type Generator interface {
	// Run sends what next fills in until next returns false or a limit is
	// reached, and then waits for the answers outstanding.
	Run(next func(*Request) bool) (*Result, error)
	Close()
	// Bounds returns the limits of the next run, to be changed.
	Bounds() *Limits
}

// Limits bound a run and say how its requests follow each other.
//
// Closed loop, the default: Window requests are outstanding at any time, and
// the next goes out when one is answered or lost. That finds how many a
// server can do. Open loop, Rate above 0: requests go out when they are due,
// answered or not, and latency counts from when one was due, so that a server
// that stalls cannot hide it by stalling the generator too. That finds how
// long clients wait.
type Limits struct {
	Window  int           // most outstanding requests, 1 to 65536; 0 means 256
	Rate    float64       // requests a second, 0 for closed loop
	Timeout time.Duration // unanswered for so long is lost; 0 means 1 s
	Count   uint64        // requests of a run, 0 for no limit but For
	For     time.Duration // length of a run, 0 for no limit but Count
}

// Bounds implements part of [Generator].
func (l *Limits) Bounds() *Limits { return l }

// init fills in defaults.
func (l *Limits) init() {
	def(&l.Window, 256)
	def(&l.Timeout, time.Second)
	l.Window = min(max(l.Window, 1), 1<<16)
}

// Result counts what happened in a run.
type Result struct {
	Sent     uint64 // requests, resent ones counted again
	Answered uint64 // of them, with an answer of the right kind
	Lost     uint64 // unanswered within the timeout, or cut off
	Late     uint64 // answers to nothing outstanding
	Refused  uint64 // error packets, failure reasons, answers too short
	Bytes    uint64 // of answers
	Elapsed  time.Duration
	Latency  Histogram
}

// PerSecond returns the answers a second.
func (r *Result) PerSecond() float64 { return float64(r.Answered) / r.Elapsed.Seconds() }

// Merge adds what o has counted, in a run at the same time, to r.
func (r *Result) Merge(o *Result) {
	r.Sent += o.Sent
	r.Answered += o.Answered
	r.Lost += o.Lost
	r.Late += o.Late
	r.Refused += o.Refused
	r.Bytes += o.Bytes
	r.Elapsed = max(r.Elapsed, o.Elapsed)
	r.Latency.Merge(&o.Latency)
}

// pacer hands out the requests of one run as they become due.
type pacer struct {
	*Limits
	next  func(*Request) bool
	begin int64 // ns
	made  uint64
	more  bool
}

func newPacer(l *Limits, next func(*Request) bool) pacer {
	return pacer{Limits: l, next: next, begin: nanotime(), more: true}
}

// take fills in the next request, if one is due, and returns the time from
// which its latency counts.
func (p *pacer) take(now int64, r *Request) (due int64, ok bool) {
	if p.For > 0 && now-p.begin >= int64(p.For) {
		p.more = false
	}
	if !p.more || p.untilDue(now) > 0 {
		return 0, false
	}
	if p.Count > 0 && p.made >= p.Count || !p.next(r) {
		p.more = false
		return 0, false
	}
	due = now
	if p.Rate > 0 {
		due = p.due()
	}
	p.made++
	return due, true
}

// due returns when the next request is, in open loop.
func (p *pacer) due() int64 { return p.begin + int64(float64(p.made)/p.Rate*1e9) }

// untilDue returns how long it is until the next request is due: nothing in
// closed loop.
func (p *pacer) untilDue(now int64) time.Duration {
	if p.Rate <= 0 {
		return 0
	}
	return time.Duration(p.due() - now)
}

// nanotime reads the monotonic clock, in ns.
func nanotime() int64 { return int64(time.Since(epoch)) }

var epoch = time.Now()
