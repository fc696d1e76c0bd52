//go:build linux

package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestMalformedLikeOpentracker puts every byte into every part of a request,
// as it is and escaped, and asks opentracker and ours. Both must agree on what
// is an announce, what is invalid and what is not there.
func TestMalformedLikeOpentracker(t *testing.T) {
	t.Parallel()
	opentracker := need(t, "opentracker", "opentracker")
	list := writeWhitelist(t)
	theirs := startServer(t, opentracker, "-d", workDir, "-u", "nobody", "-w", filepath.Base(list))
	ours := startTracker(t, "-w", list)
	for _, place := range places {
		for b := range 256 {
			for _, written := range []string{string([]byte{byte(b)}), fmt.Sprintf("%%%02x", b)} {
				request := []byte("GET /" + strings.Replace(place, "X", written, 1) + " HTTP/1.1\r\nHost: x\r\n\r\n")
				want, _ := theirs.http(t, local, answerLimit, request)
				got, _ := ours.http(t, local, answerLimit, request)
				if place[0] == 'X' && written == "%3f" {
					// opentracker skips it, so that /%3fannounce is an announce; to us it is a letter of a path that does not exist.
					want = []byte(notFoundAnswer)
				}
				if strings.HasPrefix(string(want), "HTTP/1.0 404") && strings.HasSuffix(string(got), summaryEnd) {
					continue // ours has something to say at /
				}
				if verdict(got) != verdict(want) {
					t.Errorf("%q in %q:\n got %q\nwant %q", written, place, got, want)
				}
			}
		}
	}
	if ours.ended() {
		t.Errorf("ours is gone: %v", ours.err)
	}
}

// places are requests for a torrent on the white list, with an X where a byte
// goes.
var places = func() []string {
	ih := captureHash(9)
	hash := percent(ih[:])
	return []string{
		"X",
		"Xannounce?info_hash=" + hash + "&port=1",
		"annXunce?info_hash=" + hash + "&port=1",
		"announceX?info_hash=" + hash + "&port=1",
		"scrapeX?info_hash=" + hash,
		"scrape?info_hash=" + hash + "X",
		"scrape?info_hash=" + hash + "&infoXhash=" + hash,
		"announce?X&info_hash=" + hash + "&port=1",
		"announce?Xinfo_hash=" + hash + "&port=1",
		"announce?port=1&info_hash=" + hash + "X",
		"announce?port=1&info_hash=" + hash[3:] + "X",
		"announce?info_hash=" + hash + "&port=1X",
		"announce?info_hash=" + hash + "&port=1&numwant=X1",
		"announce?info_hash=" + hash + "&port=1&compact=1X",
		"announce?info_hash=" + hash + "&port=1&event=staXrted",
		"announce?info_hash=" + hash + "&port=1&peer_id=-XX0001-00000000000X",
		"announce?info_hash=" + hash + "&port=1&kXey=1",
		"announce?info_hash=" + hash + "&port=1&key=aXb",
		"announce?info_hash=" + hash + "&port=1&key=a%X1",
	}
}()

// verdict says what a tracker took a request for: the whole answer if that is
// an error or a failure reason other than that the torrent is not listed, else
// only the kind of request.
func verdict(answer []byte) string {
	text := string(answer)
	switch {
	case !strings.HasPrefix(text, "HTTP/1.1 200 OK"):
		return text
	case strings.Contains(text, unlistedText):
		return "announce of a torrent not listed" // ours adds when to retry
	case strings.Contains(text, "failure reason"):
		return text
	case strings.Contains(text, "5:files"):
		return "scrape"
	}
	return "announce"
}
