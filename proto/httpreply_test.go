package proto

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestAppendHTTPAnnounce(t *testing.T) {
	const (
		p4  = "\x7f\x00\x00\x02\x1a\xe1"
		p4b = "\xc0\x00\x02\x01\xff\xff"
		p6  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe1"
		p6b = "\x20\x01\x0d\xb8\x11\x11\x22\x22\x33\x33\x44\x44\x55\x55\x66\x66\x00\x01"
	)
	const start = "d8:completei1e10:downloadedi2e10:incompletei3e8:intervali1801e12:min intervali900e"
	tests := []struct {
		name   string
		form   Form
		asker6 bool
		p4, p6 string
		want   string
	}{
		{"IPv4", FormCompact, false, p4 + p4b, "", start + "5:peers12:" + p4 + p4b + "e"},
		{"IPv6", FormCompact, false, "", p6, start + "6:peers618:" + p6 + "e"},
		{"both", FormCompact, true, p4, p6 + p6b, start + "5:peers6:" + p4 + "6:peers636:" + p6 + p6b + "e"},
		{"none for IPv4", FormCompact, false, "", "", start + "5:peers0:e"},
		{"none for IPv6", FormCompact, true, "", "", start + "6:peers60:e"},
		{"none wanted", FormNoPeers, false, "", "", start + "e"},
		{"none wanted, IPv6", FormNoPeers, true, "", "", start + "e"},
		{"stopped", FormStopped, false, "", "", "d8:completei1e10:incompletei3e8:intervali1801e12:min intervali900e5:peers0:e"},
		{"stopped, IPv6", FormStopped, true, "", "", "d8:completei1e10:incompletei3e8:intervali1801e12:min intervali900e6:peers60:e"},
		{"empty list", FormList, false, "", "", start + "5:peerslee"},
		{
			"list", FormList, false, p4 + p4b, p6 + p6b, start + "5:peersl" +
				"d2:ip9:127.0.0.24:porti6881ee" + "d2:ip9:192.0.2.14:porti65535ee" +
				"d2:ip11:2001:db8::14:porti6881ee" + "d2:ip38:2001:db8:1111:2222:3333:4444:5555:66664:porti1ee" + "ee",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := AppendHTTPAnnounce([]byte("x"), &AnnounceReply{
				Form: test.form, Asker6: test.asker6, Interval: 1801, Counts: Counts{1, 2, 3},
				Peers4: []byte(test.p4), Peers6: []byte(test.p6),
			})
			if string(got) != "x"+test.want {
				t.Errorf("got  %q\nwant %q", got[1:], test.want)
			}
		})
	}
}

func TestForm(t *testing.T) {
	tests := []struct {
		a    Announce
		want Form
	}{
		{Announce{NumWant: 50}, FormCompact},
		{Announce{NumWant: 50, List: true}, FormList},
		{Announce{NumWant: 0}, FormNoPeers},
		{Announce{NumWant: 0, List: true}, FormNoPeers},
		{Announce{NumWant: 50, Event: EventStopped}, FormStopped},
		{Announce{NumWant: 0, Event: EventStopped, List: true}, FormStopped},
	}
	for _, test := range tests {
		if got := test.a.Form(); got != test.want {
			t.Errorf("%+v: Form() = %d, want %d", test.a, got, test.want)
		}
	}
}

func TestAppendHTTPScrape(t *testing.T) {
	b := AppendHTTPScrapeHead(nil)
	b = AppendHTTPScrapeEntry(b, &ih, Counts{0, math.MaxUint32, 1})
	b = AppendHTTPScrapeTail(b)
	want := "d5:filesd20:" + string(ih[:]) + "d8:completei0e10:downloadedi4294967295e10:incompletei1eeee"
	if string(b) != want {
		t.Errorf("got %q, want %q", b, want)
	}
	if got := AppendHTTPScrapeTail(AppendHTTPScrapeHead(nil)); string(got) != "d5:filesdee" {
		t.Errorf("got %q, want d5:filesdee", got)
	}
}

func TestAppendHTTPRetry(t *testing.T) {
	got := AppendHTTPRetry(nil, RefuseUnlisted, 30)
	if want := "d14:failure reason63:" + string(RefuseUnlisted) + "8:retry ini30ee"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAppendHTTPHead(t *testing.T) {
	const start = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1200\r\n"
	if got := AppendHTTPHead(nil, 1200, false); string(got) != start+"\r\n" {
		t.Errorf("got %q", got)
	}
	if got := AppendHTTPHead(nil, 1200, true); string(got) != start+"Connection: keep-alive\r\n\r\n" {
		t.Errorf("keep-alive: got %q", got)
	}
}

// TestFixedAnswerLengths checks that each of them is as long as it says.
func TestFixedAnswerLengths(t *testing.T) {
	for _, answer := range []string{HTTP400, HTTP402, HTTP403, HTTP404, HTTP500} {
		_, body, _ := strings.Cut(answer, "\r\n\r\n")
		if length, ok := Header([]byte(answer), "Content-Length"); !ok || string(length) != strconv.Itoa(len(body)) {
			t.Errorf("%q: Content-Length is %s", answer, length)
		}
	}
}
