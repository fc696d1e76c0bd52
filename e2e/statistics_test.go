//go:build linux

package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// What in statistics may differ between two correct answers, and what it reads
// as.
var timely = []struct {
	*regexp.Regexp
	as string
}{
	{regexp.MustCompile(`\n\d+ seconds \(\d+ hours\)\n`), "\n<n> seconds (<n> hours)\n"},
	{regexp.MustCompile(`\b\d+ (conns|success|scrape|bytes)/s`), "<n> $1/s"},
	// A minute may have begun since a peer's last announce.
	{regexp.MustCompile(`^(Networks, limit /28:\n)\d{8}: 127\.0\.0\.0\n\n$`), "$1\n"},
	// The size of compressed ones is a matter of taste.
	{regexp.MustCompile(`^(4\n)[1-9]\d+(\n<n> seconds)`), "$1<bytes>$2"},
	{regexp.MustCompile(`<uptime>\d+<`), "<uptime><n><"},
	{regexp.MustCompile(`<tracker_id>\d+<`), "<tracker_id><n><"},
	{regexp.MustCompile(`(?s)<version>\n.*\n  </version>`), "<version>\n<text>\n  </version>"},
}

// renewals are the first two numbers of that histogram, which are one number
// here: a minute may have begun since a peer's last announce.
var renewals = regexp.MustCompile(`(\A00 |interval="00">)(\d+)(\n01 |</count>\n +<count interval="01">)(\d+)`)

// recordedMinute is when the last of the captures was made, since 1970.
const recordedMinute = 29922680

// summaryBegin is the first line of the page, for who cannot read the page.
var summaryBegin = regexp.MustCompile(`\Atracker .*, up .* (s|min)\n`)

var stateMinute = regexp.MustCompile(`(?m)^([0-9A-F]{40}):(\d{8}):`)

// readableStatistics takes what depends on the moment out of the body of an
// answer to q. Minutes of use read <recent> if they are, or were when the
// answer was recorded.
func readableStatistics(q question, body []byte) []byte {
	if q.Name == "root" {
		return summaryBegin.ReplaceAll(body, []byte("tracker <text>, up <time>\n"))
	}
	if !strings.HasPrefix(q.Name, "stats-") {
		return body
	}
	if q.Name == "stats-mode-version" && bytes.HasSuffix(body, []byte("\n")) {
		return []byte("<text>\n")
	}
	for _, t := range timely {
		body = t.ReplaceAll(body, []byte(t.as))
	}
	body = renewals.ReplaceAllFunc(body, func(lines []byte) []byte {
		m := renewals.FindSubmatch(lines)
		first, _ := strconv.Atoi(string(m[2]))
		second, _ := strconv.Atoi(string(m[4]))
		return fmt.Appendf(nil, "%s%d%s0", m[1], first+second, m[3])
	})
	return stateMinute.ReplaceAllFunc(body, func(line []byte) []byte {
		m := stateMinute.FindSubmatch(line)
		minute, _ := strconv.ParseInt(string(m[2]), 10, 64)
		for _, now := range []int64{time.Now().Unix() / 60, recordedMinute} {
			if minute >= now-10 && minute <= now {
				return append(m[1], ":<recent>:"...)
			}
		}
		return line
	})
}

// unwrap takes chunks and compression off a body. What is wrong with either is
// what it returns then.
func unwrap(head, body []byte) []byte {
	var err error
	if bytes.Contains(head, []byte("\r\nTransfer-Encoding: chunked")) {
		if body, err = dechunk(body); err != nil {
			return []byte(err.Error())
		}
	}
	if bytes.Contains(head, []byte("\r\nContent-Encoding: gzip")) {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(z)
		}
		if err != nil {
			return fmt.Appendf(nil, "<gzip: %v>", err)
		}
	}
	return body
}

// dechunk returns what is in the chunks of b, which must be nothing else.
func dechunk(b []byte) (body []byte, err error) {
	for {
		digits, rest, _ := bytes.Cut(b, []byte("\r\n"))
		n, err := strconv.ParseUint(string(digits), 16, 31)
		if err != nil || uint64(len(rest)) < n+2 || string(rest[n:n+2]) != "\r\n" {
			return nil, fmt.Errorf("<no chunk: %.20q>", b)
		}
		body, b = append(body, rest[:n]...), rest[n+2:]
		if n == 0 {
			if len(b) > 0 {
				return nil, fmt.Errorf("<behind the last chunk: %.20q>", b)
			}
			return body, nil
		}
	}
}
