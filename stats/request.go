package stats

import "errors"

// ErrInvalid is a query that is answered with 400.
var ErrInvalid = errors.New("stats: invalid query")

// A Mode is one page. The zero Mode is peer, the page of a query without one.
type Mode uint8

// A Kind says what a page is made of, or what is answered instead of one.
type Kind uint8

// Kinds of pages; see the package comment.
const (
	KindPage        Kind = iota // Mode.AppendPage
	KindTop                     // NewTop(Mode.TopLen())
	KindNetworks                // Networks and AppendNetworks
	KindWoodpeckers             // Networks.Merge and AppendWoodpeckers
	KindListing                 // ChunkWriter, with Request.Format
	KindError                   // answered with 500: opentracker's page that is switched off
	KindSilence                 // closed without a byte, as builds of opentracker without the page do
)

// Modes with a meaning beyond their row in modes.
const (
	modePeer Mode = iota
	modeTpbs
	modeStatedump
	modeTop10
	modeTop100
)

// modes holds all modes there are. What opentracker's documentation or history
// names beyond these, such as startstop, toraddrem, vdbg and dmem, it answers
// with 400.
//
// To add a mode: a row here, for a page its function in pages.go, a row in
// TestPages.
var modes = [...]struct {
	name string
	kind Kind
	page func([]byte, *Snapshot) []byte // for KindPage
}{
	modePeer:      {"peer", KindPage, AppendPeer},
	modeTpbs:      {"tpbs", KindListing, nil},
	modeStatedump: {"statedump", KindListing, nil},
	modeTop10:     {"top10", KindTop, nil},
	modeTop100:    {"top100", KindTop, nil},

	{"torr", KindPage, AppendTorr},
	{"conn", KindPage, AppendConn},
	{"tcp4", KindPage, AppendTCP4},
	{"udp4", KindPage, AppendUDP4},
	{"scrp", KindPage, AppendScrp},
	{"fscr", KindPage, AppendFscr},
	{"completed", KindPage, AppendCompleted},
	{"syncs", KindPage, AppendSyncs},
	{"renew", KindPage, AppendRenew},
	{"numwants", KindPage, AppendNumwants},
	{"herr", KindPage, AppendHerr},
	{"version", KindPage, AppendVersion},
	{"everything", KindPage, AppendEverything},

	{"s24s", KindNetworks, nil},
	{"woodpeckers", KindWoodpeckers, nil},
	{"busy", KindError, nil},
	{"fulllog", KindSilence, nil},
}

// String returns the mode as it stands in a query.
func (m Mode) String() string { return modes[m].name }

// Kind returns what the page is made of.
func (m Mode) Kind() Kind { return modes[m].kind }

// AppendPage appends the page, whose kind must be [KindPage].
func (m Mode) AppendPage(dst []byte, s *Snapshot) []byte { return modes[m].page(dst, s) }

// TopLen returns how long the lists of a page of [KindTop] are.
func (m Mode) TopLen() int {
	if m == modeTop10 {
		return 10
	}
	return MaxTop
}

// modeOf returns the mode of that name.
func modeOf(name []byte) (m Mode, ok bool) {
	for i := range modes {
		if string(name) == modes[i].name {
			return Mode(i), true
		}
	}
	return 0, false
}

// A Request is what a query asks for.
type Request struct {
	Mode   Mode
	Format Format // for KindListing
}

// ParseQuery reads query, the part behind the question mark, as it came. It
// ends at its end, or at the space, CR, LF or NUL in it. Names nobody knows are
// passed over. A query that repeats a name means the last.
//
// It returns [ErrInvalid], and then a Request of no use, for what opentracker
// answers with 400: an illegal byte, a broken escape, a mode or format that
// does not exist, or any info_hash, as statistics pages have been put into
// torrents as announce URLs. A listing in no format, which opentracker leaves
// unanswered for ever, is among them.
func ParseQuery(query []byte) (Request, error) {
	var r Request
	p := params{b: query}
	for p.more() {
		name := p.name()
		switch ok := true; {
		case p.bad:
			return Request{}, ErrInvalid
		case string(name) == "info_hash":
			return Request{}, ErrInvalid
		case string(name) == "mode":
			if r.Mode, ok = modeOf(p.value()); !ok {
				return Request{}, ErrInvalid
			}
		case string(name) == "format":
			if r.Format, ok = formatOf(p.value()); !ok {
				return Request{}, ErrInvalid
			}
		default:
			p.skip()
		}
		if p.bad {
			return Request{}, ErrInvalid
		}
	}
	switch r.Mode {
	case modeStatedump:
		r.Format = FormatState
	case modeTpbs:
		if r.Format == FormatNone {
			return Request{}, ErrInvalid
		}
	}
	return r, nil
}
