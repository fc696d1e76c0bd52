package loop

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"time"

	"tracker/proto"
	"tracker/stats"
)

// Profiles of the running program are where Go's own web server has them, so
// that its tools find them: go tool pprof http://HOST:6969/debug/pprof/profile.
// They tell a lot about the machine and the clients, and take time to make. So
// they are for those alone whom the operator has named to read statistics; where
// that is nobody, it is not everybody.
//
// One is made at a time, by one goroutine that does nothing else: a profile of
// two minutes keeps no clerk from answering. It ends early when its client
// leaves, when the server stops, and when another process takes its place.
const profilesPath = "debug/pprof/"

var profilesPrefix = []byte(profilesPath)

// Bounds on how long a profile takes, in seconds, and how long it does if that
// is not said.
const (
	usualSeconds = 30
	maxSeconds   = 120
)

// What is noted while a profile of waiting is made, and never else: a wait for
// every so many nanoseconds of it, and every lock that was waited for.
const (
	blockRate     = 10_000
	mutexFraction = 1
)

// A profile says what of the program is to be told. One without a name is none.
type profile struct {
	name    string
	seconds int  // to look for; 0 for what is there at once
	debug   int  // 0: compressed, for tools; 1, 2: text
	gc      bool // after garbage was collected
}

// cpuProfile is the name of that of processor time.
const cpuProfile = "profile"

// profileNames are those there are, and whether they are about a span of time.
var profileNames = []struct {
	name  string
	spans bool
}{
	{cpuProfile, true},
	{"heap", false},
	{"allocs", false},
	{"goroutine", false},
	{"threadcreate", false},
	{"block", true},
	{"mutex", true},
}

// Why there is no profile.
var (
	errNoProfile      = errors.New("no such profile")
	errProfileSeconds = fmt.Errorf("seconds has to be from 1 to %d, for profile, block and mutex alone", maxSeconds)
	errProfileTaken   = errors.New("a profile is being taken, and there is one at a time")
	errProfileCut     = errors.New("the profile was cut off")
)

// parseProfile returns what is asked for by a name and a query. Parameters that
// nobody knows are passed over.
func parseProfile(name, query []byte) (profile, error) {
	var p profile
	spans := false
	for _, known := range profileNames {
		if string(name) == known.name {
			p.name, spans = known.name, known.spans
		}
	}
	if p.name == "" {
		return p, errNoProfile
	}
	if spans {
		p.seconds = usualSeconds
	}
	for part := range bytes.SplitSeq(query, []byte("&")) {
		key, value, _ := bytes.Cut(part, []byte("="))
		n, err := strconv.Atoi(string(value))
		switch string(key) {
		case "seconds":
			if err != nil || n < 1 || n > maxSeconds || !spans {
				return p, errProfileSeconds
			}
			p.seconds = n
		case "debug":
			p.debug = max(0, min(n, 2))
		case "gc":
			p.gc = n > 0
		}
	}
	if p.name == cpuProfile {
		p.debug = 0 // it has no text
	}
	return p, nil
}

// profile answers the request for a profile that is in r.http, or leaves it to
// the desk.
func (r *reactor) profile(dst []byte, client netip.Addr) ([]byte, fate) {
	family := familyOf(client)
	if !r.readers.contains(client) {
		return r.deny(dst, family)
	}
	name := r.http.Path[len(profilesPath):]
	if len(name) == 0 {
		r.stats.Inc(stats.HTTPPages, family)
		r.body = r.body[:0]
		for _, known := range profileNames {
			r.body = append(append(r.body, known.name...), '\n')
		}
		return r.finish(dst)
	}
	p, err := parseProfile(name, r.http.Query)
	switch err {
	case nil:
		r.order = order{profile: p, family: family}
		return dst, fateLeft
	case errNoProfile:
		r.stats.Inc(stats.HTTPNotFound, family)
		return append(dst, proto.HTTP404...), fateClose
	}
	r.stats.Inc(stats.HTTPInvalid, family)
	return appendProfileError(dst, "400 Invalid Request", err), fateClose
}

// appendProfileError appends a whole answer that says why there is no profile.
// Go's tools show what it says because of the header.
func appendProfileError(dst []byte, status string, err error) []byte {
	return fmt.Appendf(dst, "HTTP/1.0 %s\r\nContent-Type: text/plain; charset=utf-8\r\nX-Go-Pprof: 1\r\nContent-Length: %d\r\n\r\n%v\n",
		status, len(err.Error())+1, err)
}

// A studio is where profiles are made, by a clerk of its own. The fields belong
// to the desk's lock.
type studio struct {
	orders chan order // no more than one
	undone int        // one, and another behind what is being written
	making bool       // one of them is waited for or being made
	posing *os.File   // the connection of that being made or written
	closed bool       // until the desk has cut everything
}

// take takes o, unless there is another.
func (s *studio) take(o order) bool {
	if s.making || s.closed {
		return false
	}
	select {
	case s.orders <- o:
		s.undone++
		s.making = true
		return true
	default: // the one before the last is still being written
		return false
	}
}

// done notes that an order is off the desk.
func (s *studio) done() {
	s.undone--
	s.posing = nil
}

// hurry has whatever is done on the connection of a profile fail.
func (s *studio) hurry() {
	if s.posing != nil {
		_ = s.posing.SetDeadline(time.Unix(1, 0))
	}
}

// isProfiling reports whether there is an order for a profile that is not done.
func (d *desk) isProfiling() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.studio.undone > 0
}

// endProfiles ends the profile being made, and returns when there is none and
// will be none until the next cut is over. That takes a tenth of a second, in
// which everything else is served.
func (d *desk) endProfiles() {
	d.mu.Lock()
	d.studio.closed = true
	d.studio.hurry()
	d.mu.Unlock()
	for d.isProfiling() {
		time.Sleep(time.Millisecond)
	}
}

// writeProfile makes a profile and writes it.
func (d *desk) writeProfile(w *patient, o *order) error {
	var body bytes.Buffer
	p := &o.profile
	d.mu.Lock()
	d.studio.posing = w.file
	d.mu.Unlock()
	err := p.make(&body, w.watch)
	d.mu.Lock()
	d.studio.making = false // who has read all of this may ask for the next
	d.mu.Unlock()
	switch {
	case errors.Is(err, errProfileTaken): // by this program for itself
		d.ledger.own.Inc(stats.HTTPBusy, o.family)
		_, err := w.Write(appendProfileError(nil, "500 Internal Server Error", err))
		return err
	case err != nil:
		return err
	}
	d.ledger.own.Inc(stats.HTTPPages, o.family)
	kind := "application/octet-stream"
	if p.debug > 0 {
		kind = "text/plain; charset=utf-8"
	}
	head := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Disposition: attachment; filename=%q\r\n"+
		"X-Content-Type-Options: nosniff\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", kind, p.name, body.Len())
	_, err = w.Write(append(head, body.Bytes()...))
	return err
}

// make puts p into body. What takes time takes as long as watch does.
func (p *profile) make(body *bytes.Buffer, watch func(time.Duration) error) error {
	span := time.Duration(p.seconds) * time.Second
	switch p.name {
	case cpuProfile:
		if pprof.StartCPUProfile(body) != nil {
			return errProfileTaken
		}
		defer pprof.StopCPUProfile()
		if err := watch(span); err != nil {
			return err
		}
		pprof.StopCPUProfile()
		return nil
	case "block":
		runtime.SetBlockProfileRate(blockRate)
		defer runtime.SetBlockProfileRate(0)
	case "mutex":
		runtime.SetMutexProfileFraction(mutexFraction)
		defer runtime.SetMutexProfileFraction(0)
	case "heap":
		if p.gc {
			runtime.GC()
		}
	}
	if span > 0 {
		if err := watch(span); err != nil {
			return err
		}
	}
	return pprof.Lookup(p.name).WriteTo(body, p.debug)
}

// watch waits for that long, unless the client leaves before, or is made to. It
// throws away what the client says, which it should not, up to a bound.
func (w *patient) watch(span time.Duration) error {
	if err := w.pose(time.Now().Add(span)); err != nil {
		return err
	}
	var b [512]byte
	for said := 0; said < maxUnasked; {
		n, err := w.file.Read(b[:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return w.pose(time.Time{}) // which knows if that was not the end of span
		}
		if err != nil {
			return err
		}
		said += n
	}
	return errProfileCut
}

// pose has reading from the client fail at end, unless the profile is cut off.
func (w *patient) pose(end time.Time) error {
	w.desk.mu.Lock()
	defer w.desk.mu.Unlock()
	if w.desk.ends(w.file) {
		return errProfileCut
	}
	return w.file.SetReadDeadline(end)
}

// answerTaken answers who cannot have a profile now.
func (t *tcpReactor) answerTaken(o *order) []byte {
	t.stats.Inc(stats.HTTPBusy, o.family)
	return appendProfileError(t.out, "500 Internal Server Error", errProfileTaken)
}
