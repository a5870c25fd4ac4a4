// Package kafka is the Source that reads CloudTrail records from Kafka topics
// as a member of a consumer group. Source reads all of them, for an engine that
// keeps the positions itself; Shared is one of many workers that share them, and
// the group's offsets, committed in somebody's transaction, are the positions.
//
// For a Source the engine's positions decide where reading starts; the group's offsets are
// only written, so that other tools can see the lag. A partition that was
// taken away and came back goes on after the last record that was handed out,
// since that record is on its way to a commit of this process.
package kafka

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// Words of Options.Start and Options.Isolation.
const (
	startEarliest   = "earliest"
	startLatest     = "latest"
	readCommitted   = "read_committed"
	readUncommitted = "read_uncommitted"
)

// maxFetchBytes is where the client's limit of one answer (100 MiB) lies.
const maxFetchBytes = 100 << 20

// rewind is how much is read again of a log that has lost data at its end.
const rewind = 15 * time.Minute

// Options of a Source or a Shared. The zero value of a field is its default.
type Options struct {
	Client client.Options `yaml:",inline"`
	// Topics to read, or one regular expression that topics' names must match as a whole.
	Topics     []string `yaml:"topics"`
	TopicRegex string   `yaml:"topic_regex"`
	// Group is the consumer group. Default "trailtide".
	Group string `yaml:"group"`
	// InstanceID makes the member static (KIP-345): a restart within the session
	// timeout causes no rebalance. Default: dynamic.
	InstanceID string `yaml:"instance_id"`
	// Start is where topics begin that were never read: "earliest" (default),
	// "latest", or an RFC 3339 time: the first record stamped then or later. What
	// is made while the source runs, a partition or a topic, begins at its start.
	Start string `yaml:"start"`
	// Isolation is "read_committed" (default) or "read_uncommitted".
	Isolation string `yaml:"isolation"`
	// IdleAfter is how long a partition's reader must stand at its end before
	// the wall clock counts as its time. Default 1 m.
	IdleAfter time.Duration `yaml:"idle_after"`
	// SessionTimeout of the group membership, 100 ms at least; brokers have bounds
	// of their own. Default 45 s.
	SessionTimeout time.Duration `yaml:"session_timeout"`
	// DrainWithin is how long a partition that goes to another worker may wait for
	// the commit of what was read of it; what is not committed by then is read
	// again there. Less than SessionTimeout; default 10 s, or half of
	// SessionTimeout if that is less. Only of shared partitions (the fleet).
	DrainWithin time.Duration `yaml:"drain_within"`
	// MaxPollRecords bounds one batch. Default 1,000.
	MaxPollRecords int `yaml:"max_poll_records"`
	// FetchMaxBytes bounds what one fetch from one broker may bring, compressed.
	// One fetch a broker is kept in waiting. Default 8 MiB.
	FetchMaxBytes int `yaml:"fetch_max_bytes"`
	// LagInterval is how often the ends of the partitions are asked for: lag,
	// idleness and whether everything is read depend on it. Default 1 s.
	LagInterval time.Duration `yaml:"lag_interval"`
	// MetadataMinAge is how soon the client asks for metadata again. Default 1 s.
	MetadataMinAge time.Duration `yaml:"metadata_min_age"`

	Log        *zap.Logger           `yaml:"-"` // nil: none
	Registerer prometheus.Registerer `yaml:"-"` // nil: metrics are not exposed
	Now        func() time.Time      `yaml:"-"` // nil: time.Now
}

func (o *Options) setDefaults() {
	def(&o.Group, "trailtide")
	def(&o.Start, startEarliest)
	def(&o.Isolation, readCommitted)
	def(&o.IdleAfter, time.Minute)
	def(&o.SessionTimeout, 45*time.Second)
	def(&o.DrainWithin, min(10*time.Second, o.SessionTimeout/2))
	def(&o.MaxPollRecords, 1000)
	def(&o.FetchMaxBytes, 8<<20)
	def(&o.LagInterval, time.Second)
	def(&o.MetadataMinAge, time.Second)
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports every problem at once. It opens no connection.
func (o *Options) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := o.Client.Validate(); err != nil {
		errs = append(errs, err)
	}
	switch {
	case len(o.Topics) == 0 && o.TopicRegex == "":
		bad("topics: name at least one topic, or set topic_regex")
	case len(o.Topics) > 0 && o.TopicRegex != "":
		bad("topics and topic_regex: set one of them")
	}
	for _, topic := range o.Topics {
		if topic == "" {
			bad("topics: a name is empty")
		}
	}
	if _, err := regexp.Compile(o.wholeRegex()); err != nil {
		bad("topic_regex: %w", err)
	}
	if err := o.validateStart(); err != nil {
		errs = append(errs, err)
	}
	switch o.Isolation {
	case "", readCommitted, readUncommitted:
	default:
		bad("isolation: %q is not read_committed or read_uncommitted", o.Isolation)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"idle_after", o.IdleAfter},
		{"session_timeout", o.SessionTimeout},
		{"drain_within", o.DrainWithin},
		{"lag_interval", o.LagInterval},
		{"metadata_min_age", o.MetadataMinAge},
	} {
		if d.value < 0 {
			bad("%s: must not be negative", d.name)
		}
	}
	if o.SessionTimeout > 0 && o.SessionTimeout < 100*time.Millisecond {
		bad("session_timeout: must be 100ms at least")
	}
	session := o.SessionTimeout
	def(&session, 45*time.Second)
	if o.DrainWithin >= session {
		bad("drain_within: must be less than session_timeout, %v", session)
	}
	if o.LagInterval > 0 && o.LagInterval < time.Millisecond {
		bad("lag_interval: must be 1ms at least")
	}
	if o.MaxPollRecords < 0 {
		bad("max_poll_records: must not be negative")
	}
	if o.FetchMaxBytes < 0 || o.FetchMaxBytes > maxFetchBytes {
		bad("fetch_max_bytes: must be from 1 to %d", maxFetchBytes)
	}
	return errors.Join(errs...)
}

func (o *Options) validateStart() error {
	switch o.Start {
	case "", startEarliest, startLatest:
		return nil
	}
	if _, err := time.Parse(time.RFC3339, o.Start); err != nil {
		return fmt.Errorf("start: %q is not earliest, latest or a time like 2026-01-02T15:04:05Z", o.Start)
	}
	return nil
}

// wholeRegex is TopicRegex for whole names.
func (o *Options) wholeRegex() string { return "^(?:" + o.TopicRegex + ")$" }

func (o *Options) clientOpts() ([]kgo.Opt, error) {
	opts, err := o.Client.KgoOpts()
	if err != nil {
		return nil, err
	}
	isolation := kgo.ReadCommitted()
	if o.Isolation == readUncommitted {
		isolation = kgo.ReadUncommitted()
	}
	opts = append(opts,
		kgo.ConsumerGroup(o.Group),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(o.SessionTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, o.SessionTimeout/3)),
		kgo.DisableAutoCommit(),
		// A position that has fallen off the log goes on at the log's start. Where
		// the log has lost what was read already and nobody knows from where on,
		// the last minutes are read again: what was seen is known by its identity.
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.RewindOffset(rewind)),
		kgo.FetchIsolationLevel(isolation),
		kgo.FetchMaxBytes(int32(o.FetchMaxBytes)), //nolint:gosec // validated
		// A partition that is new to a broker's fetches waits for the one under way.
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.MetadataMinAge(o.MetadataMinAge),
	)
	if o.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(o.InstanceID))
	}
	if o.TopicRegex != "" {
		return append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics(o.wholeRegex())), nil
	}
	return append(opts, kgo.ConsumeTopics(o.Topics...)), nil
}
