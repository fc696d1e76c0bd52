package proto

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// parseQuery is ParseHTTP of an announce with that query.
func parseQuery(query string) (Announce, error) {
	var q HTTPRequest
	err := ParseHTTP([]byte("GET /announce?"+query+" HTTP/1.1\r\nHost: x\r\n\r\n"), &q)
	return q.Announce, err
}

// TestAnnounceQuery bends one valid query. Rows that say so differ from
// opentracker on purpose.
func TestAnnounceQuery(t *testing.T) {
	const valid = "info_hash=" + ihText + "&port=5&left=5"
	type want = func(a *Announce)
	left := func(v uint64) want { return func(a *Announce) { a.Left = v } }
	numWant := func(n int) want { return func(a *Announce) { a.NumWant = n } }
	port := func(p uint16) want { return func(a *Announce) { a.Port = p } }
	event := func(e Event) want { return func(a *Announce) { a.Event = e } }
	stopped := func(a *Announce) { a.Port, a.Event = 0, EventStopped }
	list := func(a *Announce) { a.List = true }
	tests := []struct {
		more string // behind the valid query; the last of a parameter counts
		want want
		err  error
	}{
		{more: ""},
		{more: "&&&"},
		{more: "&supportcrypto&no_peer_id"},
		{more: "&=5&="},
		{more: "&kk=%zz"},
		{more: "&kk=%"},
		{more: "&kk=a?b=c@d"},
		{more: "&k?k=a"},
		{more: "&PORT=x"},
		{more: "&amp;port=77"},
		{more: ";port=77", err: RefuseLeft}, // left is "5;port=77"; opentracker takes that for 0
		{more: " &port=77"},
		{more: "\x00&port=77"},
		{more: "&kk=\x80port=77", want: port(77)}, // a byte of no class is a separator here
		{more: "&k@k=a", err: ErrInvalid},
		{more: "&%zz=1", err: ErrInvalid},
		{more: "&k=a\"b", err: ErrInvalid},
		{more: "#frag", err: ErrInvalid},

		{more: "&info_hash=" + ihText, err: ErrInvalid},
		{more: "&info_hash=", err: ErrInvalid},
		{more: "&info_hash", err: ErrInvalid},
		{more: "&%69nfo_hash=" + ihText, err: ErrInvalid},
		{more: "&INFO_HASH=x"},

		{more: "&port=1", want: port(1)},
		{more: "&port=65535", want: port(65535)},
		{more: "&port=0005", want: port(5)},
		{more: "&port=%35", want: port(5)},
		{more: "&p%6frt=6", want: port(6)},
		{more: "&port=00000000000000000000006", want: port(6)},
		{more: "&port=65536", err: ErrInvalid},
		{more: "&port=4294967297", err: ErrInvalid}, // opentracker: 1
		{more: "&port=99999999999999999999999", err: ErrInvalid},
		{more: "&port=+5", err: ErrInvalid},
		{more: "&port=abc", err: ErrInvalid},
		{more: "&port=12x", err: ErrInvalid},
		{more: "&port=--1", err: ErrInvalid},
		{more: "&port==1", err: ErrInvalid}, // one equals sign too many was passed over
		{more: "&port=-5x", err: ErrInvalid},
		{more: "&port=-", err: ErrInvalid}, // opentracker: 0
		{more: "&port=", err: ErrInvalid},
		{more: "&port", err: ErrInvalid},
		{more: "&port=0", err: RefusePort},      // opentracker hands it out
		{more: "&port=-1", err: RefusePort},     // opentracker: 65535
		{more: "&port=-99999", err: RefusePort}, // opentracker wraps it around
		{more: "&port=-0", err: RefusePort},
		{more: "&port=0&event=stopped", want: stopped},
		{more: "&port=-1&event=stopped", want: stopped},
		{more: "&event=stopped&port=0", want: stopped},
		{more: "&port=65536&event=stopped", err: ErrInvalid},

		{more: "&left=0", want: left(0)},
		{more: "&left=-0", want: left(0)},
		{more: "&left=4294967296", want: left(1 << 32)}, // opentracker: 0
		{more: "&left=2147483648", want: left(1 << 31)},
		{more: "&left=9999999999999999999", want: left(9999999999999999999)},
		{more: "&left=18446744073709551615", want: left(math.MaxUint64)},
		{more: "&left=-5", want: left(math.MaxUint64)},
		{more: "&left=-99999999999999999999", want: left(math.MaxUint64)},
		{more: "&left=18446744073709551616", err: RefuseLeft}, // opentracker: 0
		{more: "&left=1" + strings.Repeat("0", 40), err: RefuseLeft},
		{more: "&left=abc", err: RefuseLeft}, // opentracker: 0, a seeder
		{more: "&left=5x", err: RefuseLeft},
		{more: "&left=+5", err: RefuseLeft},
		{more: "&left=-", err: RefuseLeft},
		{more: "&left=-x", err: RefuseLeft},
		{more: "&left==0", err: RefuseLeft},
		{more: "&left=abc&left=7", want: left(7)},
		{more: "&left=abc&event=stopped", err: RefuseLeft},
		{more: "&left=", err: ErrInvalid},
		{more: "&left", err: ErrInvalid},
		{more: "&left=abc&port=x", err: ErrInvalid},
		{more: "&left=abc&port=0", err: RefusePort},
		{more: "&left=a\x80", err: ErrInvalid},

		{more: "&event=completed", want: event(EventCompleted)},
		{more: "&event=started", want: event(EventStarted)},
		{more: "&event=stopped", want: event(EventStopped)},
		{more: "&event=st%6fpped", want: event(EventStopped)},
		{more: "&event=stopped&event=x", want: event(EventStopped)},
		{more: "&event=Stopped"},
		{more: "&event=stoppedx"},
		{more: "&event=stopped%00"},
		{more: "&event=completedcompleted"},
		{more: "&event=paused"},
		{more: "&event="},
		{more: "&event"},
		{more: "&event=stopped\x80", err: ErrInvalid},
		{more: "&event=%zz", err: ErrInvalid},

		{more: "&numwant=0", want: numWant(0)},
		{more: "&numwant=1", want: numWant(1)},
		{more: "&numwant=200", want: numWant(200)},
		{more: "&numwant=201", want: numWant(200)},
		{more: "&numwant=99999999999999999999", want: numWant(200)},
		{more: "&numwant=-1", want: numWant(50)},
		{more: "&numwant=-99999999999999999999", want: numWant(50)},
		{more: "&numwant=many", err: ErrInvalid},
		{more: "&numwant=5x", err: ErrInvalid},
		{more: "&numwant=+5", err: ErrInvalid},
		{more: "&numwant=-", err: ErrInvalid}, // opentracker: 0
		{more: "&numwant=", err: ErrInvalid},
		{more: "&numwant", err: ErrInvalid},

		{more: "&compact=1"},
		{more: "&compact=2"},
		{more: "&compact=-1"},
		{more: "&compact=0", want: list}, // opentracker: invalid
		{more: "&compact=00", want: list},
		{more: "&compact=0&compact=1"},
		{more: "&compact=y", err: ErrInvalid},
		{more: "&compact=1x", err: ErrInvalid},
		{more: "&compact==0", err: ErrInvalid},
		{more: "&compact=", err: ErrInvalid},
		{more: "&compact", err: ErrInvalid},
		{more: "&compact6=1"},
		{more: "&compact6=0", err: ErrCompact},
		{more: "&compact6=0&port=x", err: ErrInvalid},
		{more: "&compact6=x", err: ErrInvalid},

		{more: "&peer_id=-TR4050-0a1b2c3d4e5f", want: func(a *Announce) { a.PeerID = peerID }},
		{more: "&peer_id=-TR4050-0a1b2c3d4e%3%35f", err: ErrInvalid},
		{more: "&peer_id=%2DTR4050-0a1b2c3d4e5%66", want: func(a *Announce) { a.PeerID = peerID }},
		{more: "&peer_id=short", err: ErrInvalid},
		{more: "&peer_id=aaaaaaaaaaaaaaaaaaaaa", err: ErrInvalid},
		{more: "&peer_id=", err: ErrInvalid},
		{more: "&peer_id", err: ErrInvalid},
		{more: "&ip=10.1.2.3"},
	}
	for _, test := range tests {
		t.Run(test.more, func(t *testing.T) {
			want := Announce{Infohash: ih, Left: 5, NumWant: DefaultNumWant, Port: 5}
			if test.want != nil {
				test.want(&want)
			}
			got, err := parseQuery(valid + test.more)
			if err != test.err {
				t.Fatalf("err = %v, want %v", err, test.err)
			}
			if err == nil && got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestAnnouncedIP reads the parameter ip where it is to be read.
func TestAnnouncedIP(t *testing.T) {
	tests := []struct{ value, want string }{
		{"192.0.2.7", "192.0.2.7"},
		{"%31%39%32.0.2.7", "192.0.2.7"},
		{"2001:db8::7", "2001:db8::7"},
		{"2001%3Adb8%3a%3A7", "2001:db8::7"},
		{"::ffff:192.0.2.7", "192.0.2.7"},
		{"192.0.2.7&ip=192.0.2.8", "192.0.2.8"},
		{"", ""},
		{"0.0.0.0", ""},
		{"::", ""},
		{"tracker.example", ""},
		{"192.0.2.7:80", ""},
		{"%5b2001:db8::7%5d", ""},
		{"fe80::1%25eth0", ""},
		{"192.0.2.7%00", ""},
		{"0000:1111:2222:3333:4444:5555:255.255.255.2555", ""},
		{"192.0.2.7%2", ""},
	}
	for _, tt := range tests {
		q := HTTPRequest{ReadIP: true}
		err := ParseHTTP([]byte("GET /a?port=5&info_hash="+ihText+"&ip="+tt.value), &q)
		if tt.want == "" && err != ErrInvalid || tt.want != "" && (err != nil || q.Announce.IP.String() != tt.want) {
			t.Errorf("%q: got %v, %v, want %q", tt.value, q.Announce.IP, err, tt.want)
		}
		q.ReadIP = false
		if err := ParseHTTP([]byte("GET /a?port=5&info_hash="+ihText+"&ip="+tt.value), &q); err != nil || q.Announce.IP.IsValid() {
			t.Errorf("%q, not to be read: got %v, %v", tt.value, q.Announce.IP, err)
		}
	}
}

func TestAnnounceDefaults(t *testing.T) {
	got, err := parseQuery("port=5&info_hash=" + ihText)
	want := Announce{Infohash: ih, Left: math.MaxUint64, NumWant: DefaultNumWant, Port: 5}
	if got != want || err != nil {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for query, want := range map[string]error{
		"":                                  RefuseNoInfohash,
		"port=5&left=0":                     RefuseNoInfohash,
		"port=0&left=x":                     RefuseNoInfohash,
		"info_hash=" + ihText:               RefusePort,
		"event=stopped&info_hash=" + ihText: nil,
		"port=5&info_hash=" + ihText[:len(ihText)-3]:                        ErrInvalid,
		"port=5&info_hash=" + ihText + "a":                                  ErrInvalid,
		"port=5&info_hash=%zz" + ihText[3:]:                                 ErrInvalid,
		"port=5&info_hash=" + ihText + strings.Repeat("a", 11):              ErrInvalid,
		"port=5&info_hash=" + ihText + strings.Repeat("a", 13):              ErrInvalid,
		"port=5&info_hash=1ff81e2b1c42c89a9a65e98f76b4b658cfdc1686":         ErrInvalid,
		"port=5&info_hash=" + ihText + "%00%01%02%03%04%05%06%07%08%09%0a~": nil, // BEP 52
	} {
		got, err := parseQuery(query)
		if err != want {
			t.Errorf("%q: err = %v, want %v", query, err, want)
		}
		if err == nil && got.Infohash != ih {
			t.Errorf("%q: infohash %x, want %x", query, got.Infohash, ih)
		}
	}
}

// TestEveryInfohashByte sends each of the 256 values at each of the 20 places,
// escaped with either case, and bare where opentracker takes it bare.
func TestEveryInfohashByte(t *testing.T) {
	const bare = "!'()*+,-./:;<=>?@_~" +
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for c := range 256 {
		for place := range 20 {
			want := ih
			want[place] = byte(c)
			for _, format := range []string{"%%%02x", "%%%02X"} {
				query := "port=1&info_hash="
				for _, c := range want {
					query += fmt.Sprintf(format, c)
				}
				if got, err := parseQuery(query); err != nil || got.Infohash != want {
					t.Fatalf("%q: got %x, %v", query, got.Infohash, err)
				}
			}
		}
		want, err := ih, error(nil)
		want[19] = byte(c)
		if !strings.Contains(bare, string(rune(c))) || c > 0x7f {
			err = ErrInvalid
		}
		query := "port=1&info_hash=" + ihText[:len(ihText)-3] + string([]byte{byte(c)})
		if got, gotErr := parseQuery(query); gotErr != err || err == nil && got.Infohash != want {
			t.Errorf("bare %#02x: got %x, %v, want %x, %v", c, got.Infohash, gotErr, want, err)
		}
	}
}

// TestEveryByte puts each of the 256 values in each part of a request, and
// compares with the sets that opentracker was seen to take.
func TestEveryByte(t *testing.T) {
	const (
		plain = "!'()*+,-./:;<>_~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		end   = "\x00\n\r "
		good  = "info_hash=" + ihText + "&port=1"
	)
	var others string // bytes that end a value nobody reads
	for c := range 256 {
		if c < ' ' || c >= 0x7f {
			others += string([]byte{byte(c)})
		}
	}
	tests := []struct {
		name          string
		before, after string
		accepted      string // parses
		noInfohash    string // ends the query before the infohash
		otherwise     error
	}{
		{"path", "/a", "x?" + good, plain + "\x00\r ", "?", ErrNotFound},
		{"name", "/announce?k", "k=1&" + good, plain + "?=&", end, ErrInvalid},
		{"value nobody reads", "/announce?kk=a", "b&" + good, plain + "?=@&%" + others, end, ErrInvalid},
		{"value somebody reads", "/announce?event=a", "a&" + good, plain + "?=@&", end, ErrInvalid},
		{"number", "/announce?" + good + "2", "", "0123456789&" + end, "", ErrInvalid},
	}
	for _, test := range tests {
		for c := range 256 {
			b := string([]byte{byte(c)})
			want := test.otherwise
			switch {
			case test.name == "path" && b == "\n":
				want = ErrInvalid // the line ends before the question mark
			case strings.Contains(test.noInfohash, b):
				want = RefuseNoInfohash
			case strings.Contains(test.accepted, b):
				want = nil
			}
			var q HTTPRequest
			err := ParseHTTP([]byte("GET "+test.before+b+test.after+" HTTP/1.1\r\nHost: x\r\n\r\n"), &q)
			if err != want {
				t.Errorf("%s with %#02x: err = %v, want %v", test.name, c, err, want)
			}
		}
	}
}
