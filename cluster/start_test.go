package cluster

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"tracker/store"
)

// TestStart: what can never work is an error at once.
func TestStart(t *testing.T) {
	there := []*url.URL{{Scheme: "nats", Host: "127.0.0.1:1"}}
	st := store.New(store.Options{Shards: 1})
	tests := []struct {
		name string
		c    Config
		want string
	}{
		{"no broker", Config{}, "no broker"},
		{"a name with a blank", Config{URLs: there, Name: "a b"}, `"a b" cannot be a name`},
		{"a long name", Config{URLs: there, Name: strings.Repeat("x", maxName+1)}, "cannot be a name"},
		{"credentials that are none", Config{URLs: there, Name: "x", Credentials: []byte("secret")}, "credentials: "},
	}
	for _, test := range tests {
		test.c.Store, test.c.Minute = st, wallMinute
		n, err := Start(test.c)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if n != nil {
			n.Stop()
		}
	}
	if used := st.Bytes(); used != 0 {
		t.Errorf("%d bytes are charged", used)
	}
}

// TestNoBroker: a node starts without a broker, counts what it does not send,
// finds the broker when it comes, and the others when that was away.
func TestNoBroker(t *testing.T) {
	b := startBrokers(t, 1)
	b.kill(0)
	begin := time.Now()
	x := startNode(t, "x", b.urls(0), nil)
	y := startNode(t, "y", b.urls(0), nil)
	if took := time.Since(begin); took > time.Second {
		t.Errorf("starting took %v", took)
	}
	for i := range 3 * recorderLen {
		x.announce(&store.Query{Infohash: torrent(i), Peer: peer4(i)})
	}
	waitFor(t, 5*time.Second, "all are counted", func() bool { return x.Status().Dropped == 3*recorderLen })
	if s := x.Status(); s.Connected || s.Complete || s.RecordsSent != 0 {
		t.Errorf("without a broker the status is %+v", s)
	}
	b.start(0)
	x.ready()
	y.ready()
	sameContent(t, x, y)
	bytes := x.store.Bytes()
	x.Stop()
	if freed := bytes - x.store.Bytes(); freed != stopsBytes+digestBytes+recorderBytes+x.waitingBytes() {
		t.Errorf("%d bytes were given back, want %d", freed, stopsBytes+digestBytes+recorderBytes+x.waitingBytes())
	}
}
