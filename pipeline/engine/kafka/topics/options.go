package topics

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Limits and defaults of Options.
const (
	DefaultPartitions  = 12
	DefaultReplication = 3
	// DefaultMaxMessageBytes lets a record hold an event of 1 MiB, or an alert
	// with 64 KiB of evidence and 4,096 event IDs, in a batch of their own.
	DefaultMaxMessageBytes = 4 << 20
	// MinAlertRetention is how long a sink may stay away without losing alerts.
	MinAlertRetention = 7 * day

	day = 24 * time.Hour

	maxPartitions      = 10_000
	maxAlertPartitions = 1_000
	maxName            = 249 // Kafka's limit of a topic's name
	segmentBytes       = 16 << 20
)

// Retention is how long topics keep their records.
type Retention struct {
	// Repartition bounds how long the alert stage may stand still without losing
	// matches, and how far back the raw events of an alert are found. Default 7 d.
	Repartition time.Duration `yaml:"repartition"`
	// Alerts bounds how long a sink may stay away. Default 7 d, which is the least, too.
	Alerts time.Duration `yaml:"alerts"`
	// Dead is for dead letters: alerts of a sink, and invalid events. Default 30 d.
	Dead time.Duration `yaml:"dead"`
}

// Source is what a fleet reads from Kafka; it matters for the ACLs only.
type Source struct {
	Topics []string
	// Prefix is what all topics begin with, where a regular expression names them.
	Prefix string
	Group  string
}

// Options say which topics a fleet has, and what they must be like. The zero
// value of a field is its default.
type Options struct {
	Names
	// Partitions of the repartition and the changelog topic. Default 12. It cannot
	// be changed later: which partition counts a key depends on it.
	Partitions int
	// AlertPartitions of the alerts topic. Default 1: one order for everybody.
	AlertPartitions int
	// Replication of every topic. Default 3, or as many brokers as there are.
	Replication int
	Retention   Retention
	// MaxMessageBytes is what every topic takes as one batch, compressed. Default
	// 4 MiB. A producer's batches must not be larger.
	MaxMessageBytes int
	// Sinks by name: each has a topic of dead letters and a group.
	Sinks []string
	// Positions: the source is not Kafka, and its positions need a topic.
	Positions bool
	// Store: a worker keeps the alert store.
	Store  bool
	Source Source
}

// withDefaults returns o with every default filled in, replication apart: that
// depends on the cluster.
func (o Options) withDefaults() Options {
	def(&o.Prefix, DefaultPrefix)
	def(&o.Partitions, DefaultPartitions)
	def(&o.AlertPartitions, 1)
	def(&o.Retention.Repartition, 7*day)
	def(&o.Retention.Alerts, MinAlertRetention)
	def(&o.Retention.Dead, 30*day)
	def(&o.MaxMessageBytes, DefaultMaxMessageBytes)
	return o
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var legal = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// Validate reports every problem at once. Fields are called as in the
// configuration file's section kafka.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !legal.MatchString(o.Prefix) {
		bad("prefix: %q: topics are called by letters, digits, '.', '_' and '-'", o.Prefix)
	}
	between := func(field string, n, least, most int) {
		if n < least || n > most {
			bad("%s: must be from %d to %d", field, least, most)
		}
	}
	between("partitions", o.Partitions, 1, maxPartitions)
	between("alert_partitions", o.AlertPartitions, 1, maxAlertPartitions)
	if o.Replication < 0 || o.Replication > 1<<15-1 {
		bad("replication: must be from 1 to the number of brokers")
	}
	if o.MaxMessageBytes < 1<<20 || o.MaxMessageBytes > 1<<30 {
		bad("the topics' largest message must be from 1 MiB to 1 GiB")
	}
	if o.Retention.Repartition < time.Hour {
		bad("retention.repartition: must be 1h at least")
	}
	if o.Retention.Alerts < MinAlertRetention {
		bad("retention.alerts: must be %s at least, so that a sink may stay away for that long", duration(MinAlertRetention))
	}
	if o.Retention.Dead < time.Hour {
		bad("retention.dead: must be 1h at least")
	}
	for _, sink := range o.Sinks {
		if !legal.MatchString(sink) {
			bad("sink %q: its name becomes part of a topic's: letters, digits, '.', '_' and '-'", sink)
		}
	}
	// Kafka refuses names that differ in '.' and '_' only: its metrics confuse them.
	seen := make(map[string]string)
	for _, s := range o.specs() {
		if len(s.name) > maxName {
			bad("%s: a topic's name has at most %d characters", s.name, maxName)
		}
		key := strings.ReplaceAll(s.name, ".", "_")
		if other, ok := seen[key]; ok {
			bad("topics %s and %s: Kafka takes no two that are the same but for '.' and '_'", other, s.name)
		}
		seen[key] = s.name
	}
	return errors.Join(errs...)
}

// Topics are the names of all topics of the fleet.
func (o Options) Topics() []string {
	var names []string
	for _, s := range o.withDefaults().specs() {
		names = append(names, s.name)
	}
	return names
}

// duration writes whole days as people do.
func duration(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.String()
}
