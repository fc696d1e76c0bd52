//go:build linux

package e2e

import (
	"fmt"
	"strings"
)

// A difference is a case that ours answers otherwise than opentracker does, on
// purpose. What ours has to answer is given in full, so that no mistake can
// hide behind the purpose.
type difference struct {
	reason string
	want   string // as readable gives it
	// edits say it by what is captured: each first of them, which stands there
	// once, is replaced by the second.
	edits []string
	// apart is set where asking leaves something behind that opentracker would
	// not have let in, so that a tracker of its own has to be asked.
	apart bool
}

// Why ours differs.
const (
	notYourself   = "nobody is given itself as a peer"
	noSeeders     = "a seeder is given no seeders, nor anybody itself"
	listAnswer    = "compact=0 asks for the dictionary list of BEP 3 and gets it"
	noPort        = "a peer without a usable port cannot be connected to, so it is refused"
	noPortBefore  = "the peers without a usable port of earlier cases were refused"
	badLeft       = "left that is no number is refused, not taken for a seeder"
	badLeftBefore = "one peer was refused for its left, and 2^32 bytes left is not a seeder; nobody is given itself"
	wideLeft      = "left is 64 bits wide, so 2^32 is not 0 and not a seeder; nobody is given itself"
	pipelining    = "a second request in the same segment is answered too, and keep-alive is granted when asked for"
	sortedKeys    = "the keys of a bencoded dictionary are sorted, as BEP 3 demands"
	onceEach      = "a key stands only once in a bencoded dictionary"
	noNUL         = "the text of an error is not NUL-terminated (BEP 15)"
	noPartial     = "part of an infohash is not an infohash"
	refusedByUDP  = "a refused torrent gets the error packet of BEP 15 and the reason"
	worthRetry    = "BEP 31's retry in: a list may be about to hold the torrent, so the client shall not give up"
	pageThere     = "there is a page for people, of which a client without gzip gets the most important as text"
	emptyFreed    = "a torrent without peers that nobody completed is forgotten at once"
)

// Texts of refusals.
const (
	portText     = "Your client did not send a port that other peers could connect to."
	leftText     = "Your client did not send a usable number of bytes left."
	connIDText   = "Connection ID missmatch."
	unlistedText = "Requested download is not authorized for use with this tracker."
)

// asCaptured takes a case off the list again for a tracker with a white list.
var asCaptured = difference{}

// differences are those of a tracker open to every torrent.
var differences = map[string]difference{
	"announce-compact-0":  {reason: listAnswer, want: okHTTP(counted(0, 0, 1) + "5:peerslee"), apart: true},
	"announce-not-listed": {reason: notYourself, want: peersHTTP(1, 0, 0)},
	"scrape-not-listed":   {reason: emptyFreed, want: okHTTP(files())},
	"root":                {reason: pageThere, want: summary},

	// No peer without a port: 59 onwards.
	"lenient-amp-html":      {reason: noPort + "; &amp; hides the port", want: failHTTP(portText)},
	"lenient-port-0":        {reason: noPort, want: failHTTP(portText)},
	"lenient-port-missing":  {reason: noPort, want: failHTTP(portText)},
	"lenient-port-negative": {reason: noPort, want: failHTTP(portText)},
	"lenient-upper-percent": {reason: noPortBefore, want: okHTTP(counted(0, 0, 1) + "e")},
	"lenient-split-packets": {reason: noPortBefore, want: okHTTP(counted(0, 0, 1) + "e")},
	"lenient-scrape-sc":     {reason: noPortBefore, want: okHTTP(files(file(8, 0, 0, 1)))},
	"lenient-scrape-space":  {reason: noPortBefore, want: okHTTP(files(file(8, 0, 0, 1)))},
	"lenient-pipelined": {
		reason: pipelining + "; " + noPortBefore,
		want: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: <n>\r\nConnection: keep-alive\r\n\r\n" +
			files(file(8, 0, 0, 1)) + okHTTP(files()),
	},

	// Torrent 0: who is in the swarm is as captured, who is told of it is not.
	"announce-first-leecher":          {reason: notYourself, want: peersHTTP(0, 0, 1)},
	"announce-first-seeder":           {reason: noSeeders, want: peersHTTP(1, 0, 1, "127.0.0.2:6881")},
	"announce-second-leecher":         {reason: notYourself, want: peersHTTP(1, 0, 2, "127.0.0.2:6881", "127.0.0.3:6882")},
	"announce-renew-leecher":          {reason: notYourself, want: peersHTTP(1, 0, 2, "127.0.0.3:6882", "127.0.0.4:6883")},
	"announce-second-seeder":          {reason: noSeeders, want: peersHTTP(2, 0, 2, "127.0.0.2:6881", "127.0.0.4:6883")},
	"announce-seeder-view":            {reason: noSeeders, want: peersHTTP(2, 0, 2, "127.0.0.2:6881", "127.0.0.4:6883")},
	"announce-completed":              {reason: noSeeders, want: peersHTTP(3, 1, 1, "127.0.0.2:6881")},
	"announce-completed-again":        {reason: noSeeders, want: peersHTTP(3, 1, 1, "127.0.0.2:6881")},
	"announce-completed-but-left":     {reason: notYourself, want: peersHTTP(3, 1, 1, "127.0.0.3:6882", "127.0.0.4:6883", "127.0.0.5:6884")},
	"announce-completed-new-peer":     {reason: notYourself, want: peersHTTP(1, 1, 0)},
	"announce-seeder-becomes-leecher": {reason: notYourself, want: peersHTTP(2, 1, 2, "127.0.0.2:6881", "127.0.0.3:6882", "127.0.0.4:6883")},

	// Torrent 2: 6901 is refused, 6903 is a leecher.
	"announce-no-left":       {reason: notYourself, want: peersHTTP(0, 0, 1)},
	"announce-left-alpha":    {reason: badLeft, want: failHTTP(leftText)},
	"announce-left-negative": {reason: badLeftBefore, want: peersHTTP(0, 0, 2, "127.0.0.2:6900")},
	"announce-left-2to32":    {reason: wideLeft, want: peersHTTP(0, 0, 3, "127.0.0.2:6900", "127.0.0.2:6902")},
	"announce-left-2to31":    {reason: badLeftBefore, want: peersHTTP(0, 0, 4, "127.0.0.2:6900", "127.0.0.2:6902", "127.0.0.2:6903")},
	"announce-event-unknown": {
		reason: badLeftBefore,
		want:   peersHTTP(0, 0, 5, "127.0.0.2:6900", "127.0.0.2:6902", "127.0.0.2:6903", "127.0.0.2:6904"),
	},
	"announce-event-empty": {
		reason: badLeftBefore,
		want:   peersHTTP(0, 0, 6, "127.0.0.2:6900", "127.0.0.2:6902", "127.0.0.2:6903", "127.0.0.2:6904", "127.0.0.2:6905"),
	},

	// Torrent 3.
	"announce-ip-param":           {reason: notYourself, want: peersHTTP(0, 0, 1)},
	"announce-ip-param-view":      {reason: notYourself, want: peersHTTP(0, 0, 2, "127.0.0.2:6910")},
	"announce-xff":                {reason: notYourself, want: peersHTTP(0, 0, 3, "127.0.0.2:6910", "127.0.0.3:6911")},
	"announce-same-ip-other-port": {reason: notYourself, want: peersHTTP(0, 0, 4, "127.0.0.2:6910", "127.0.0.3:6911", "127.0.0.4:6912")},
	"announce-no-compact":         {reason: notYourself, want: peersHTTP(0, 0, 4, "127.0.0.2:6913", "127.0.0.3:6911", "127.0.0.4:6912")},

	// Torrent 1 sorts before torrent 0.
	"scrape-two":          {reason: sortedKeys, want: okHTTP(files(file(1, 1, 1, 0), file(0, 2, 1, 1)))},
	"scrape-with-unknown": {reason: sortedKeys, want: okHTTP(files(file(1, 1, 1, 0), file(0, 2, 1, 1)))},
	"scrape-duplicate":    {reason: onceEach, want: okHTTP(files(file(0, 2, 1, 1)))},
	"scrape-65":           {reason: onceEach, want: okHTTP(files(file(0, 2, 1, 1)))},

	"udp-announce-bad-connid":         {reason: noNUL, want: errorUDP(0x01020304, connIDText)},
	"udp-announce-connid-of-other-ip": {reason: noNUL, want: errorUDP(0x01020304, connIDText)},
	"udp-scrape-bad-connid":           {reason: noNUL, want: errorUDP(9, connIDText)},

	// Torrent 4.
	"udp-announce-first-leecher":      {reason: notYourself, want: peersUDP(1, 0)},
	"udp-announce-seeder":             {reason: noSeeders, want: peersUDP(1, 1, "127.0.0.2:7001")},
	"udp-announce-renew":              {reason: notYourself, want: peersUDP(1, 1, "127.0.0.3:7002")},
	"udp-announce-ip-field":           {reason: notYourself, want: peersUDP(2, 1, "127.0.0.2:7001", "127.0.0.3:7002")},
	"udp-announce-completed":          {reason: noSeeders, want: peersUDP(1, 2, "127.0.0.4:7003")},
	"udp-announce-completed-but-left": {reason: notYourself, want: peersUDP(1, 2, "127.0.0.2:7001", "127.0.0.3:7002")},
	"udp-announce-100-bytes":          {reason: notYourself, want: peersUDP(2, 1, "127.0.0.3:7002", "127.0.0.4:7003")},
	"udp-announce-bep41":              {reason: notYourself, want: peersUDP(2, 1, "127.0.0.3:7002", "127.0.0.4:7003")},
	"udp-announce-event-7":            {reason: notYourself, want: peersUDP(2, 1, "127.0.0.3:7002", "127.0.0.4:7003")},
	"udp-announce-port-0":             {reason: noPort, want: errorUDP(0x01020304, portText)},
	"udp-announce-not-listed":         {reason: notYourself, want: peersUDP(1, 0)},
	"udp-announce-stopped":            {reason: noPortBefore, want: peersUDP(1, 1)},
	"udp-scrape-one":                  {reason: noPortBefore, want: scrapeUDP([3]int{1, 1, 1})},
	"udp-scrape-three":                {reason: noPortBefore, want: scrapeUDP([3]int{2, 1, 1}, [3]int{}, [3]int{1, 1, 1})},
	"udp-scrape-partial":              {reason: noPartial + "; " + noPortBefore, want: scrapeUDP([3]int{1, 1, 1})},
	"udp-scrape-74":                   {reason: noPortBefore, want: scrapeUDP(times(74, [3]int{1, 1, 1})...)},
	"udp-scrape-75":                   {reason: noPortBefore, want: scrapeUDP(times(75, [3]int{1, 1, 1})...)},
	"udp-scrape-76":                   {reason: noPortBefore, want: scrapeUDP(times(75, [3]int{1, 1, 1})...)},
}

// whitelistDifferences are those of a tracker with a white list, where they are
// not the same as above.
var whitelistDifferences = map[string]difference{
	"announce-not-listed":     {reason: worthRetry, want: retryHTTP(unlistedText)},
	"scrape-not-listed":       asCaptured,
	"udp-announce-not-listed": {reason: refusedByUDP, want: errorUDP(0x01020304, unlistedText)},
}

// summary is the page as text, before anybody has announced.
const summary = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n" +
	"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nContent-Length: <n>\r\n\r\n" +
	"tracker <text>, up <time>\n0 torrents, 0 peers, 0 seeders\n\n" +
	"/stats.html  this, with plots, for a browser\n" +
	"/stats.json  all numbers, for programs; ?history=hour, ?history=day, ?top=10\n" +
	"/metrics  the same for Prometheus\n" + summaryEnd

const summaryEnd = "/stats?mode=everything  the same as opentracker has it\n"

// okHTTP is a good answer with that body.
func okHTTP(body string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: <n>\r\n\r\n" + body
}

// failHTTP is a refusal.
func failHTTP(reason string) string {
	return okHTTP(fmt.Sprintf("d14:failure reason%d:%se", len(reason), reason))
}

// retryHTTP is a refusal of what may be answered otherwise soon.
func retryHTTP(reason string) string {
	return okHTTP(fmt.Sprintf("d14:failure reason%d:%s8:retry ini<soon>ee", len(reason), reason))
}

// counted is the beginning of the body of an announce answer.
func counted(complete, downloaded, incomplete int) string {
	return fmt.Sprintf("d8:completei%de10:downloadedi%de10:incompletei%de8:intervali<ok>e12:min intervali<half>e",
		complete, downloaded, incomplete)
}

// peersHTTP is an announce answer to an IPv4 client that wants peers.
func peersHTTP(complete, downloaded, incomplete int, peers ...string) string {
	return okHTTP(counted(complete, downloaded, incomplete) + "5:peers[" + strings.Join(peers, " ") + "]e")
}

// files is the body of a scrape answer.
func files(entries ...string) string {
	return "d5:filesd" + strings.Join(entries, "") + "ee"
}

// file is the entry of one torrent of the captures in it.
func file(torrent, complete, downloaded, incomplete int) string {
	ih := captureHash(torrent)
	return fmt.Sprintf("20:%sd8:completei%de10:downloadedi%de10:incompletei%dee", ih[:], complete, downloaded, incomplete)
}

// peersUDP is a UDP announce answer.
func peersUDP(leechers, seeders int, peers ...string) string {
	return fmt.Sprintf("action 1, transaction 01020304, interval <ok>, %d leechers, %d seeders, peers [%s]",
		leechers, seeders, strings.Join(peers, " "))
}

// scrapeUDP is a UDP scrape answer; each entry is seeders, completed, leechers.
func scrapeUDP(entries ...[3]int) string {
	text := "action 2, transaction 0a0b0c0d"
	for _, e := range entries {
		text += fmt.Sprintf("; %d seeders, %d completed, %d leechers", e[0], e[1], e[2])
	}
	return text
}

// errorUDP is a UDP error packet.
func errorUDP(tid uint32, text string) string {
	return fmt.Sprintf("action 3, transaction %08x, %q", tid, text)
}

func times(n int, entry [3]int) [][3]int {
	var all [][3]int
	for range n {
		all = append(all, entry)
	}
	return all
}
