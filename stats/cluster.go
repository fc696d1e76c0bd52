package stats

import "time"

// A Cluster is what several trackers that share their announces are to one of
// them. Numbers only grow, from the start of the process.
type Cluster struct {
	Name      string   // of this one
	Connected bool     // to a broker
	Complete  bool     // joining is over
	Joined    uint64   // peers taken over while joining
	Members   []Member // others heard of within the last 10 s or so, sorted by name

	BatchesSent, BatchesReceived, BytesSent, BytesReceived uint64

	RecordsSent, RecordsReceived, RecordsApplied uint64

	Dropped   uint64 // records that were not sent because a queue was full or no broker was there
	Rejected  uint64 // messages that could not be right
	Stale     uint64 // records older than what we have, or undone by a stop
	Conflicts uint64 // records of the same minute that say other things
	Refused   uint64 // records not stored because of limits or memory
	Repaired  uint64 // records that came by reconciling
	Lost      uint64 // batches missing in a sender's numbering
}

// A Member is another tracker of the cluster.
type Member struct {
	Name           string
	Lag            time.Duration // of its last batch, from when it was sent until it was taken in
	Seen           time.Duration // since it was heard of
	Received, Lost uint64        // batches
	Differing      int           // buckets whose digests differed in the last round
}
