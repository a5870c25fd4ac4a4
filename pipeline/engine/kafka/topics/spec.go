package topics

import (
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Settings of a topic, by Kafka's names.
const (
	cleanupPolicy   = "cleanup.policy"
	retentionMs     = "retention.ms"
	retentionBytes  = "retention.bytes"
	maxMessageBytes = "max.message.bytes"
	minISR          = "min.insync.replicas"
	dirtyRatio      = "min.cleanable.dirty.ratio"
	deleteRetention = "delete.retention.ms"
	compactionLag   = "min.compaction.lag.ms"
	segmentSize     = "segment.bytes"
	segmentMs       = "segment.ms"
	uncleanElection = "unclean.leader.election.enable"

	compacted = "compact"
	deleted   = "delete"
)

// setting is one line of a topic's configuration.
type setting struct {
	key, value string
	// needed settings are what the fleet is built on; the others make it quick,
	// and a cluster that does not let them be set is no reason to refuse it.
	needed bool
}

// spec is what one topic must be like.
type spec struct {
	name       string
	partitions int // 0: any number; made with one
	policy     string
	retention  time.Duration // of deleted ones
	// tombstones is how long a deletion stays readable after compaction.
	tombstones time.Duration
	paired     bool // its number of partitions decides where keys are counted
	// worker is what a worker does with it.
	worker []kadm.ACLOperation
}

// specs lists the topics of ADR 4.
func (o Options) specs() []spec {
	both := []kadm.ACLOperation{kadm.OpRead, kadm.OpWrite}
	writes := []kadm.ACLOperation{kadm.OpWrite}
	list := []spec{
		{name: o.Repartition(), partitions: o.Partitions, policy: deleted, retention: o.Retention.Repartition, paired: true, worker: both},
		// Windows come and go all the time: deletions that stayed for Kafka's default
		// of a day would be most of what a restore reads. A restore takes seconds.
		{name: o.Changelog(), partitions: o.Partitions, policy: compacted, tombstones: 10 * time.Minute, paired: true, worker: both},
	}
	if o.Positions {
		list = append(list, spec{name: o.Names.Positions(), partitions: 1, policy: compacted, tombstones: time.Hour, worker: both})
	}
	list = append(
		list,
		spec{name: o.Alerts(), partitions: o.AlertPartitions, policy: deleted, retention: o.Retention.Alerts, worker: both},
		spec{name: o.Notify(), partitions: 1, policy: compacted, tombstones: time.Hour, worker: both},
		// A store that was away for weeks still has to learn what was taken back.
		spec{name: o.Control(), partitions: 1, policy: compacted, tombstones: 30 * day, worker: both},
		spec{name: o.Invalid(), policy: deleted, retention: o.Retention.Dead, worker: writes},
	)
	for _, sink := range o.Sinks {
		list = append(list, spec{name: o.Dead(sink), policy: deleted, retention: o.Retention.Dead, worker: writes})
	}
	return list
}

// settings of a topic that is made with so many replicas.
func (s *spec) settings(o Options, replication int) []setting {
	list := []setting{
		{cleanupPolicy, s.policy, true},
		{maxMessageBytes, strconv.Itoa(o.MaxMessageBytes), true},
		{minISR, strconv.Itoa(wantISR(replication)), false},
		{uncleanElection, "false", false},
	}
	if s.policy == deleted {
		return append(
			list,
			setting{retentionMs, millis(s.retention), true},
			setting{retentionBytes, "-1", false}, // time alone decides, whatever the broker's default
			setting{segmentMs, millis(day), false},
		)
	}
	// Kafka compacts closed segments only, and those only once enough of the log is
	// new: with its defaults (1 GiB or 7 d, half) a restore would read days of changes.
	return append(
		list,
		setting{segmentSize, strconv.Itoa(max(segmentBytes, 2*o.MaxMessageBytes)), false},
		setting{segmentMs, millis(10 * time.Minute), false},
		setting{dirtyRatio, "0.1", false},
		setting{deleteRetention, millis(s.tombstones), false},
		setting{compactionLag, "0", false},
	)
}

// wantISR is how many replicas must have a record before it counts: with three,
// one broker may be lost without losing a commit, and one may be down without
// stopping.
func wantISR(replication int) int {
	if replication >= 3 {
		return 2
	}
	return 1
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
