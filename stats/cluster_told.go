//go:build !router

package stats

// cluster appends what other trackers are to this one, if there are any.
func (j *object) cluster(c *Cluster) {
	if c == nil {
		return
	}
	j.open("cluster")
	j.text("name", c.Name)
	j.bool("connected", c.Connected)
	j.bool("complete", c.Complete)
	j.number("joined", c.Joined)
	j.key("members")
	j.b = append(j.b, '[')
	for i := range c.Members {
		j.member(&c.Members[i], i == 0)
	}
	j.b = append(j.b, ']')
	for _, group := range [...]struct {
		name    string
		members []number
	}{
		{"batches", []number{{"sent", c.BatchesSent}, {"received", c.BatchesReceived}, {"lost", c.Lost}}},
		{"bytes", []number{{"sent", c.BytesSent}, {"received", c.BytesReceived}}},
		{"records", []number{
			{"sent", c.RecordsSent},
			{"dropped", c.Dropped},
			{"received", c.RecordsReceived},
			{"applied", c.RecordsApplied},
			{"stale", c.Stale},
			{"conflicts", c.Conflicts},
			{"refused", c.Refused},
			{"repaired", c.Repaired},
		}},
	} {
		j.open(group.name)
		for _, m := range group.members {
			j.number(m.name, m.n)
		}
		j.close()
	}
	j.number("rejected", c.Rejected)
	j.close()
}

// A number has a name.
type number struct {
	name string
	n    uint64
}

// member appends one of several.
func (j *object) member(m *Member, first bool) {
	if !first {
		j.b = append(j.b, ',')
	}
	j.b = append(j.b, '{')
	j.text("name", m.Name)
	j.float("lag_seconds", m.Lag.Seconds())
	j.float("seen_seconds", m.Seen.Seconds())
	j.number("received", m.Received)
	j.number("lost", m.Lost)
	j.number("differing", uint64(max(0, m.Differing)))
	j.close()
}

func (j *object) bool(name string, v bool) {
	j.key(name)
	if v {
		j.b = append(j.b, "true"...)
		return
	}
	j.b = append(j.b, "false"...)
}

// cluster appends the same as metrics.
func (x *exposition) cluster(c *Cluster) {
	if c == nil {
		return
	}
	x.gauge("tracker_cluster_connected", "Whether a server to share announces by way of is connected, 1 or 0.", oneIf(c.Connected))
	x.gauge("tracker_cluster_complete", "Whether everything was taken over that other trackers knew at the start, 1 or 0.", oneIf(c.Complete))
	x.gauge("tracker_cluster_members", "Other trackers that were heard of lately.", uint64(len(c.Members)))
	x.members(c)
	for _, m := range [...]struct {
		name, help string
		rows       []number
	}{
		{"tracker_cluster_batches_total", "Batches of announces, and those missing in the numbers of their senders.", []number{{`outcome="sent"`, c.BatchesSent}, {`outcome="received"`, c.BatchesReceived}, {`outcome="lost"`, c.Lost}}},
		{"tracker_cluster_bytes_total", "Bytes said to other trackers and heard of them.", []number{{`direction="sent"`, c.BytesSent}, {`direction="received"`, c.BytesReceived}}},
		{"tracker_cluster_records_sent_total", "Announces told to other trackers.", []number{{"", c.RecordsSent}}},
		{"tracker_cluster_records_dropped_total", "Announces not told to others, because there were too many or no server was there.", []number{{"", c.Dropped}}},
		{"tracker_cluster_records_received_total", "Announces heard of other trackers.", []number{{"", c.RecordsReceived}}},
		{"tracker_cluster_records_total", "What became of those.", []number{
			{`outcome="applied"`, c.RecordsApplied},
			{`outcome="stale"`, c.Stale},
			{`outcome="conflict"`, c.Conflicts},
			{`outcome="refused"`, c.Refused},
		}},
		{"tracker_cluster_records_repaired_total", "Peers learnt by comparing what there is.", []number{{"", c.Repaired}}},
		{"tracker_cluster_peers_joined_total", "Peers taken over from another tracker at the start.", []number{{"", c.Joined}}},
		{"tracker_cluster_rejected_total", "Messages that could not be right.", []number{{"", c.Rejected}}},
	} {
		x.head(m.name, m.help, "counter")
		for _, row := range m.rows {
			x.labeled(m.name, row.name, row.n)
		}
	}
}

func oneIf(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// memberGauges are told of each of the others.
var memberGauges = [...]struct {
	name, help string
	of         func(*Member) float64
}{
	{"tracker_cluster_member_lag_seconds", "How long the last batch of another tracker was under way.", func(m *Member) float64 { return m.Lag.Seconds() }},
	{"tracker_cluster_member_seen_seconds", "Time since another tracker was heard of.", func(m *Member) float64 { return m.Seen.Seconds() }},
	{"tracker_cluster_member_differing", "Parts of what there is that differed when it was compared last.", func(m *Member) float64 { return float64(m.Differing) }},
}

// members appends what is known of each, which is a series of its own. Of those
// with one name, only the first is told: two of one name would make all of it
// invalid.
func (x *exposition) members(c *Cluster) {
	for _, g := range memberGauges {
		x.head(g.name, g.help, "gauge")
		for i := range c.Members {
			m := &c.Members[i]
			if i == 0 || m.Name != c.Members[i-1].Name {
				x.member(g.name, m.Name)
				x.seconds(g.of(m))
			}
		}
	}
}

// member appends the beginning of a line.
func (x *exposition) member(name, member string) {
	x.b = append(append(x.b, name...), `{member="`...)
	x.escaped(member)
	x.b = append(x.b, `"}`...)
}
