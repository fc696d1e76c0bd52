package stats

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseQuery(t *testing.T) {
	const invalid = "invalid"
	tests := []struct{ query, mode string }{
		{"", "peer"},
		{"mode=peer", "peer"},
		{"mode=conn", "conn"},
		{"mode=everything HTTP/1.1", "everything"},
		{"mode=conn\r\n", "conn"},
		{"mode=conn\x00mode=peer", "conn"},
		{"mode=peer&mode=conn", "conn"},
		{"mode=conn&foo=bar", "conn"},
		{"foo=bar&mode=conn", "conn"},
		{"foo&mode=conn", "conn"},
		{"&&mode=conn&&", "conn"},
		{"=&mode=conn", "conn"},
		{"=x&mode=conn", "conn"},
		{"a=%zz&mode=conn", "conn"}, // nobody reads it
		{"a=\x80mode=conn", "conn"}, // such a byte ends it
		{"a=?=@&mode=conn", "conn"}, // legal in values
		{"m?de=conn", "peer"},       // legal in names
		{"%6dod%65=%63onn", "conn"},
		{"%6Dode=conn", "conn"},
		{"Mode=conn", "peer"},
		{"amp;mode=conn", "peer"},
		{"modee=conn&mod=conn", "peer"},
		{"mode=peer&format=txt", "peer"},

		{"mode=", invalid},
		{"mode", invalid},
		{"mode&a=b", invalid},
		{"mode=nosuch", invalid},
		{"mode=PEER", invalid},
		{"mode=nosuch&mode=peer", invalid},
		{"mode=woodpeckersx", invalid},
		{"mode=peer%", invalid},
		{"mode=peer%0", invalid},
		{"mode=p%xxer", invalid},
		{"mo%dx=peer", invalid},
		{"mode=peer\x80", invalid},
		{"mo\x80de=peer", invalid},
		{"mode=pe\"er", invalid},
		{"a=\"&mode=peer", invalid},
		{"a=b#&mode=peer", invalid},
		{"a@=b", invalid},
		{"mode=conn&info_hash=aaaaaaaaaaaaaaaaaaaa", invalid},
		{"info_hash", invalid},
		{"mode=startstop", invalid},
		{"mode=toraddrem", invalid},
		{"mode=vdbg", invalid},
		{"mode=dmem", invalid},

		{"mode=tpbs&format=txt", "tpbs txt"},
		{"format=ben&mode=tpbs", "tpbs ben"},
		{"mode=tpbs&format=bin&format=url", "tpbs url"},
		{"mode=tpbs&format=txtp", "tpbs txtp"},
		{"mode=tpbs&format=bin", "tpbs bin"},
		{"mode=tpbs", invalid},
		{"mode=tpbs&format=", invalid},
		{"mode=tpbs&format=nosuch", invalid},
		{"mode=peer&format=nosuch", invalid},
		{"mode=statedump", "statedump"},
	}
	for _, test := range tests {
		got := describe(ParseQuery([]byte(test.query)))
		if got != test.mode {
			t.Errorf("%q: got %s, want %s", test.query, got, test.mode)
		}
	}
}

// describe returns what was understood, in the words of a query.
func describe(r Request, err error) string {
	switch {
	case err != nil:
		return "invalid"
	case r.Mode == modeTpbs:
		return "tpbs " + formatNames[r.Format]
	}
	return r.Mode.String()
}

// TestParseEveryByte compares the bytes that are legal in a query with
// opentracker's list of them.
func TestParseEveryByte(t *testing.T) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	const name, value = letters + "!'()*+,-./:;<>_~?", letters + "!'()*+,-./:;<>_~?=@"
	for c := range 256 {
		if c == '%' {
			continue
		}
		b := string([]byte{byte(c)})
		ends := strings.Contains(" \r\n\x00", b)
		_, err := ParseQuery([]byte("a" + b + "b=c"))
		if legal := strings.Contains(name+"&=", b) || ends; (err == nil) != legal {
			t.Errorf("%q in a name: %v", b, err)
		}
		var r Request
		r.Mode, _ = modeOf([]byte("conn"))
		got, err := ParseQuery([]byte("mode=conn" + b))
		if legal := b == "&" || ends; (err == nil && got == r) != legal {
			t.Errorf("%q behind a value: %v, %v", b, got, err)
		}
		_, err = ParseQuery([]byte("a=" + b))
		if bad := strings.Contains("\"#$[\\]^`{|}", b); (err != nil) != bad {
			t.Errorf("%q in a value nobody reads: %v", b, err)
		}
		if inValue(byte(c)) != strings.Contains(value, b) {
			t.Errorf("%q in a value: %v", b, inValue(byte(c)))
		}
	}
}

// TestCapturedQueries parses what opentracker was asked. It must be understood
// where opentracker answered, and only there.
func TestCapturedQueries(t *testing.T) {
	differs := map[string]string{
		"stats-mode-numwants":      "not in every build of opentracker",
		"stats-mode-woodpeckers":   "not in every build of opentracker",
		"stats-mode-tpbs-noformat": "opentracker never answers",
		"stats-trailing-slash":     "another path",
		"stats-uppercase":          "another path",
	}
	for _, c := range captures(t, "open") {
		if !strings.HasPrefix(c.Name, "stats-") || differs[c.Name] != "" {
			continue
		}
		r, err := ParseQuery([]byte(c.query))
		kind := r.Mode.Kind()
		switch {
		case strings.Contains(c.head, " 400 "):
			if err == nil {
				t.Errorf("%s: %q is understood", c.Name, c.query)
			}
		case err != nil:
			t.Errorf("%s: %q: %v", c.Name, c.query, err)
		case (len(c.answer) == 0) != (kind == KindSilence):
			t.Errorf("%s: kind %d, but opentracker answered %q", c.Name, kind, c.answer)
		case strings.Contains(c.head, " 500 ") != (kind == KindError):
			t.Errorf("%s: kind %d, but opentracker answered %q", c.Name, kind, c.answer)
		case strings.Contains(c.head, "chunked") != (kind == KindListing):
			t.Errorf("%s: kind %d, but opentracker answered %q", c.Name, kind, c.answer)
		}
	}
}

// TestModes checks that no row of the table is half a row.
func TestModes(t *testing.T) {
	for i := range modes {
		m := Mode(i)
		if got, ok := modeOf([]byte(m.String())); !ok || got != m {
			t.Errorf("%s: found as %s", m, got)
		}
		if (m.Kind() == KindPage) != (modes[i].page != nil) {
			t.Errorf("%s: kind %d and its page do not go together", m, m.Kind())
		}
		if len(m.String()) >= maxWord {
			t.Errorf("%s is too long to be read", m)
		}
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, c := range captures(f, "open") {
		f.Add([]byte(c.query))
	}
	for _, seed := range []string{"", "%", "%4", "mode=%", "mode", "=", "&", "mode=tpbs&format=txtp", "a=\x80mode=conn", "mode=\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, query []byte) {
		before := bytes.Clone(query)
		r, err := ParseQuery(query)
		if !bytes.Equal(query, before) {
			t.Fatalf("%q became %q", before, query)
		}
		if int(r.Mode) >= len(modes) || r.Format > FormatState {
			t.Fatalf("%q: %+v is out of range", query, r)
		}
		if err != nil {
			if err != ErrInvalid || r != (Request{}) {
				t.Fatalf("%q: %+v, %v", query, r, err)
			}
			return
		}
		if r.Mode.Kind() == KindListing && r.Format == FormatNone {
			t.Fatalf("%q: a listing in no format", query)
		}
		for _, more := range []string{"&", "&a=b", " \xff"} { // these change nothing
			if again, err := ParseQuery(append(query[:len(query):len(query)], more...)); err != nil || again != r {
				t.Fatalf("%q: %+v, but with %q behind it %+v, %v", query, r, more, again, err)
			}
		}
	})
}
