package stats

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// cluster is one in which every number is another.
func cluster() *Cluster {
	return &Cluster{
		Name: `a "b"`, Connected: true, Joined: 1,
		Members: []Member{
			{Name: "c", Lag: 1500 * time.Millisecond, Seen: 2 * time.Second, Received: 3, Lost: 4, Differing: 5},
			{Name: "c", Lag: time.Second},
			{Name: "d\\\n", Differing: 6},
		},
		BatchesSent: 11, BatchesReceived: 12, BytesSent: 13, BytesReceived: 14, RecordsSent: 15, RecordsReceived: 16,
		RecordsApplied: 17, Dropped: 18, Rejected: 19, Stale: 20, Conflicts: 21, Refused: 22, Repaired: 23, Lost: 24,
	}
}

// TestClusterJSON checks the names of what is told of a cluster, and that one
// alone has nothing of it.
func TestClusterJSON(t *testing.T) {
	r := fullReport()
	alone := parseJSON(t, AppendJSON(nil, r))
	r.Cluster = cluster()
	got := parseJSON(t, AppendJSON(nil, r))
	members, _ := json.Marshal(got["cluster.members"])
	for path, want := range map[string]any{
		"name": `a "b"`, "connected": true, "complete": false, "joined": 1.0, "rejected": 19.0,
		"batches.sent": 11.0, "batches.received": 12.0, "batches.lost": 24.0, "bytes.sent": 13.0, "bytes.received": 14.0,
		"records.sent": 15.0, "records.received": 16.0, "records.applied": 17.0, "records.dropped": 18.0, "records.stale": 20.0,
		"records.conflicts": 21.0, "records.refused": 22.0, "records.repaired": 23.0,
	} {
		if got["cluster."+path] != want {
			t.Errorf("%s is %v, want %v", path, got["cluster."+path], want)
		}
	}
	if len(got) != len(alone)+19 {
		t.Errorf("%d values, and %d alone", len(got), len(alone))
	}
	const first = `[{"differing":5,"lag_seconds":1.5,"lost":4,"name":"c","received":3,"seen_seconds":2},`
	if !strings.HasPrefix(string(members), first) {
		t.Errorf("members are %s", members)
	}
}

// TestClusterMetrics does the same for metrics, in which two of one name are one.
func TestClusterMetrics(t *testing.T) {
	r := fullReport()
	alone := parseMetrics(t, AppendMetrics(nil, r, new(Floor)))
	r.Cluster = cluster()
	got := parseMetrics(t, AppendMetrics(nil, r, new(Floor)))
	want := map[string]float64{
		"connected": 1, "complete": 0, "members": 3, `member_lag_seconds{member="c"}`: 1.5, `member_lag_seconds{member="d\\\n"}`: 0,
		`member_seen_seconds{member="c"}`: 2, `member_seen_seconds{member="d\\\n"}`: 0, `member_differing{member="c"}`: 5, `member_differing{member="d\\\n"}`: 6,
		`batches_total{outcome="sent"}`: 11, `batches_total{outcome="received"}`: 12, `batches_total{outcome="lost"}`: 24,
		`bytes_total{direction="sent"}`: 13, `bytes_total{direction="received"}`: 14,
		"records_sent_total": 15, "records_received_total": 16, "records_dropped_total": 18, "records_repaired_total": 23,
		`records_total{outcome="applied"}`: 17, `records_total{outcome="stale"}`: 20, `records_total{outcome="conflict"}`: 21,
		`records_total{outcome="refused"}`: 22, "peers_joined_total": 1, "rejected_total": 19,
	}
	for name, v := range want {
		if n, ok := got["tracker_cluster_"+name]; !ok || n != v {
			t.Errorf("%s is %v, %v, want %v", name, n, ok, v)
		}
	}
	if len(got) != len(alone)+len(want) {
		t.Errorf("%d series, and %d alone", len(got), len(alone))
	}
}
