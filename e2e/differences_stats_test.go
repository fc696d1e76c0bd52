//go:build linux

package e2e

import (
	"encoding/binary"
	"fmt"
	"maps"
	"strings"
)

// Why our statistics differ.
const (
	otherSwarm  = "two peers without a usable port and two bad values of left are not in the swarms"
	oneApart    = "compact=0 was asked of a tracker of its own"
	secondToo   = "the second request of a pipeline is answered, and counted"
	trueScrapes = "full scrapes are counted; opentracker's count is always 0"
	trueErrors  = "the last three lines are what their labels say; opentracker shows other counters there"
	dotted      = "IPv4 networks are dotted quads, not printed as if they were IPv6"
	alwaysThere = "a page of which opentracker has to be built with is always there"
	rootThere   = "there is a page at /, which is not an answer 404"
	noSilence   = "a listing in no format is invalid, and answered"
)

// A recounted torrent of the captures has other counts here than in
// opentracker when statistics are asked for.
type recounted struct {
	torrent, downloaded          int
	complete, incomplete         int // in opentracker
	completeHere, incompleteHere int
}

// changed are the torrents whose counts differ.
var changed = []recounted{
	{torrent: 2, complete: 2, incomplete: 5, incompleteHere: 6},
	{torrent: 8, incomplete: 3, incompleteHere: 1},
	{torrent: 4, complete: 1, downloaded: 1, incomplete: 2, completeHere: 1, incompleteHere: 1},
}

// listed returns the edits of a listing whose entries are what entry makes of
// an infohash and counts.
func listed(torrents []recounted, entry func(ih [20]byte, complete, downloaded, incomplete int) string) (edits []string) {
	for _, c := range torrents {
		ih := captureHash(c.torrent)
		edits = append(edits, entry(ih, c.complete, c.downloaded, c.incomplete), entry(ih, c.completeHere, c.downloaded, c.incompleteHere))
	}
	return edits
}

func txtEntry(ih [20]byte, complete, _, incomplete int) string {
	return fmt.Sprintf("%X:%d:%d\n", ih, complete, incomplete)
}

func txtpEntry(ih [20]byte, complete, downloaded, incomplete int) string {
	return fmt.Sprintf("%X:%d:%d:%d\n", ih, complete, incomplete, downloaded)
}

func benEntry(ih [20]byte, complete, downloaded, incomplete int) string {
	return fmt.Sprintf("20:%sd8:completei%de10:downloadedi%de10:incompletei%dee", ih[:], complete, downloaded, incomplete)
}

func binEntry(ih [20]byte, complete, _, incomplete int) string {
	return string(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(ih[:], uint32(complete)), uint32(incomplete)))
}

// urlEntry needs only the end of the infohash, which has no escapes in these.
func urlEntry(ih [20]byte, complete, _, incomplete int) string {
	end := map[byte]string{0x31: "qGt%cf61", 0x86: "X%cf%dc%16%86", 0x2f: "%ea%b6%bc/"}[ih[19]]
	return fmt.Sprintf("%s:%d:%d\n", end, complete, incomplete)
}

// unlisted is the torrent of the captures that is not on their white list, and
// one of those on the lists of an open tracker.
var unlisted = [20]byte{0xdd, 0xf2, 0x82, 0x1d, 0x29, 0x9f, 0xf8, 0xd1, 0x2b, 0xef, 0x36, 0xa0, 0xdc, 0x6a, 0x36, 0xf0, 0xcc, 0xf4, 0x51, 0xd8}

// topPage is the page of the n largest torrents, more than there are.
func topPage(n int, open bool) string {
	type row struct {
		size int
		ih   [20]byte
	}
	row1 := func(torrent, size int) row { return row{size, captureHash(torrent)} }
	leechers := []row{row1(5, 200), row1(2, 6), row1(3, 4), row1(4, 1), row1(0, 1), {1, unlisted}, row1(8, 1)}
	peers := []row{row1(5, 300), row1(2, 6), row1(3, 4), row1(0, 3), row1(4, 2), {1, unlisted}, row1(1, 1), row1(8, 1)}
	seeders := []row{row1(5, 100), row1(0, 2), row1(4, 1), row1(1, 1)}
	var page strings.Builder
	for i, rows := range [][]row{peers, seeders, leechers} {
		fmt.Fprintf(&page, "Top %d torrents by %s:\n", n, []string{"peers", "seeds", "leechers"}[i])
		for _, r := range rows {
			if open || r.ih != unlisted {
				fmt.Fprintf(&page, "\t%d\t%X\n", r.size, r.ih)
			}
		}
	}
	return okHTTP(page.String())
}

// numWantsPage is the page of numwant: of the announces that were not refused and did not stop,
// the 300 of "many" want none, and others what their names say.
func numWantsPage(open bool) string {
	n := map[int]int{0: 313, 1: 4, 10: 1, 49: 1, 50: 27, 51: 1, 199: 2, 200: 17}
	if open { // one of each wire that is refused otherwise
		n[50]++
		n[200]++
	}
	var page strings.Builder
	for i := range 201 {
		fmt.Fprintf(&page, "%03d => %d\n", i, n[i])
	}
	return okHTTP(page.String())
}

// statisticsDifferences are those of the statistics of a tracker that is open,
// or has a white list.
func statisticsDifferences(open bool) map[string]difference {
	// opentracker's peers, seeders, those in the first /28, and ours.
	peers, peersHere, narrow, narrowHere := "321", "317", "00000039", "00000035"
	denied := "1"
	if open {
		peers, peersHere, narrow, narrowHere = "322", "318", "00000040", "00000036"
		denied = "0"
	}
	serving := []string{peers + "\n106\n", peersHere + "\n104\n"}
	scrapes := listed(changed[:2], benEntry)
	if open { // one that nobody completed
		scrapes = append(scrapes, benEntry(unlisted, 0, 0, 0), "")
	}
	d := map[string]difference{
		"stats-mode-peer":      {reason: otherSwarm, edits: serving},
		"stats-format-ignored": {reason: otherSwarm, edits: serving},
		"stats-unknown-param":  {reason: otherSwarm, edits: serving},
		"stats-after":          {reason: otherSwarm, edits: serving},
		"stats-mode-conn":      {reason: oneApart, edits: []string{"489\n411\n", "488\n411\n"}},
		"stats-mode-twice":     {reason: oneApart, edits: []string{"529\n411\n", "528\n411\n"}},
		"stats-mode-tcp4":      {reason: oneApart, edits: []string{"423\n358\n", "422\n358\n"}},
		"stats-mode-scrp":      {reason: secondToo, edits: []string{"11\n8\n", "12\n8\n"}},
		"stats-mode-renew":     {reason: otherSwarm, edits: []string{"00 49\n", "00 47\n"}},
		"stats-mode-herr": {reason: trueErrors + "; " + oneApart + "; " + rootThere, edits: []string{
			"COM 2\n", "COM 1\n", "403 IP  0\n", "403 IP  " + denied + "\n", "INV 0\n", "INV 6\n",
			"500 SRV " + denied + "\n", "500 SRV 2\n", // opentracker's is that of 403
		}},
		"stats-mode-s24s": {reason: dotted + "; " + otherSwarm, edits: []string{
			"7f00:10::", "127.0.0.16", "7f00:20::", "127.0.0.32", "7f00:30::", "127.0.0.48", "7f00:40::", "127.0.0.64",
			"7f00:50::", "127.0.0.80", "7f00:60::", "127.0.0.96", narrow + ": 7f00::", narrowHere + ": 127.0.0.0",
			"00000" + peers + ": 7f00::", "00000" + peersHere + ": 127.0.0.0",
		}},
		"stats-mode-everything": {reason: otherSwarm + "; " + oneApart + "; " + secondToo + "; " + rootThere, edits: []string{
			"<count>" + peers + "<", "<count>" + peersHere + "<", "<count>106<", "<count>104<", "<accept>435<", "<accept>434<",
			"<scrape>11<", "<scrape>12<", "\"00\">49<", "\"00\">47<", "404 Not found\">7<", "404 Not found\">6<", "(compact=0)\">2<", "(compact=0)\">1<",
		}},
		"stats-mode-fscr":        {reason: trueScrapes, edits: []string{"0\n0\n", "4\n<bytes>\n"}},
		"stats-mode-top10":       {reason: otherSwarm, want: topPage(10, open)},
		"stats-mode-top100":      {reason: otherSwarm, want: topPage(100, open)},
		"stats-mode-woodpeckers": {reason: alwaysThere, want: okHTTP("Networks, limit /28:\n\n")},
		"stats-mode-numwants":    {reason: alwaysThere, want: numWantsPage(open)},
		"stats-mode-tpbs-noformat": {
			reason: noSilence,
			want:   "HTTP/1.0 400 Invalid Request\r\nContent-Type: text/html\r\nContent-Length: <n>\r\n\r\n<title>Invalid Request</title>\n",
		},
		"stats-format-first": {reason: otherSwarm, edits: listed(changed, txtEntry)},
		"scrape-full-http10": {reason: otherSwarm, edits: scrapes},
	}
	for format, entry := range map[string]func([20]byte, int, int, int) string{
		"txt": txtEntry, "txtp": txtpEntry, "ben": benEntry, "bin": binEntry, "url": urlEntry,
	} {
		d["stats-tpbs-"+format] = difference{reason: otherSwarm, edits: listed(changed, entry)}
		d["stats-tpbs-"+format+"-gzip"] = d["stats-tpbs-"+format]
	}
	d["scrape-full"], d["scrape-full-gzip"] = d["scrape-full-http10"], d["scrape-full-http10"]
	if open {
		for _, name := range []string{"stats-empty", "stats-not-blessed"} {
			d[name] = difference{reason: emptyFreed, edits: []string{"serving 1 torrents", "serving 0 torrents"}}
		}
		d["scrape-full-empty"] = difference{reason: emptyFreed, edits: []string{benEntry(unlisted, 0, 0, 0), ""}}
	}
	return d
}

// withStatistics returns what is in d, and the differences of the statistics.
func withStatistics(d map[string]difference, open bool) map[string]difference {
	all := maps.Clone(d)
	maps.Copy(all, statisticsDifferences(open))
	return all
}

// edited returns what is captured with each first of edits, which has to stand
// there once, replaced by the second.
func edited(captured string, edits []string) (string, error) {
	for i := 0; i < len(edits); i += 2 {
		if n := strings.Count(captured, edits[i]); n != 1 {
			return "", fmt.Errorf("%q stands there %d times", edits[i], n)
		}
		captured = strings.Replace(captured, edits[i], edits[i+1], 1)
	}
	return captured, nil
}
