package main

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/sinks/kafka/client"
)

// KafkaEngineConfig is the fleet's engine: many workers on one Kafka cluster.
type KafkaEngineConfig struct {
	// Client is how the cluster is reached. Default: as source.kafka says, where
	// there is one. A source of Kafka must be on the same cluster, since its
	// offsets are committed in the fleet's transactions.
	Client client.Options `yaml:",inline"`
	Prefix string         `yaml:"prefix"` // of all topics, groups and transactional IDs; default trailtide
	// Partitions of the repartition and changelog topics. Default 12. It bounds how
	// many workers can count at once, and cannot be changed later.
	Partitions      int              `yaml:"partitions"`
	AlertPartitions int              `yaml:"alert_partitions"` // default 1: one order for all
	Replication     int              `yaml:"replication"`      // default 3, or as many brokers as there are
	Retention       topics.Retention `yaml:"retention"`
	// InstanceID makes this worker a static member (KIP-345): a restart within the
	// session timeout moves no partition. Unique in the fleet. Default: dynamic.
	InstanceID string `yaml:"instance_id"`
	// SessionTimeout is when a worker that is not heard of any more loses its
	// partitions. Default 10 s, from 1 s to 30 m; brokers have bounds of their own,
	// 6 s and 30 m unless changed. It is the better part of what a takeover costs: a
	// killed worker's partitions stand still for so long, and with them their alerts.
	// So it is shorter than Kafka's 45 s; a garbage collection or a slow disk takes
	// no 10 s, and what a worker loses by mistake it only has to restore.
	SessionTimeout time.Duration `yaml:"session_timeout"`
	// TransactionTimeout is when the broker gives up on the open transaction of a
	// worker that is gone and nobody fences; until then readers of what is committed
	// wait behind it. Default 10 s, from 1 s to 15 m.
	TransactionTimeout time.Duration `yaml:"transaction_timeout"`
	CacheBytes         int64         `yaml:"cache_bytes"`      // recent events kept for alerts; default 32 MiB
	MetadataMinAge     time.Duration `yaml:"metadata_min_age"` // how soon the client asks for metadata again; default 1s

	inherited bool // Client is source.kafka's
}

// StoreConfig is the alert store that one worker of a fleet keeps, a SQLite
// file. In the file it is "store: PATH", or a map.
type StoreConfig struct {
	Path      string        `yaml:"path"`       // default: this worker keeps none
	MaxAge    time.Duration `yaml:"max_age"`    // alerts older than this are deleted; default: none
	MaxAlerts int           `yaml:"max_alerts"` // the oldest alerts beyond this are deleted; default: none
}

// UnmarshalYAML reads a path or a map.
func (s *StoreConfig) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&s.Path)
	}
	type plain StoreConfig
	if err := n.Decode((*plain)(s)); err != nil {
		return err
	}
	known := []string{"path", "max_age", "max_alerts"}
	for i := 0; i < len(n.Content); i += 2 { // Decode forgets that keys must be known
		if key := n.Content[i]; !slices.Contains(known, key.Value) {
			return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: field %s not found in type main.StoreConfig", key.Line, key.Value)}}
		}
	}
	return nil
}

// The engines.
const (
	engineSQLite = "sqlite"
	engineKafka  = "kafka"
)

// setFleetDefaults fills in what belongs to the engine that was chosen, and
// nothing of the other one: what stands there was written by somebody.
func (c *Config) setFleetDefaults(dir string) {
	if c.Notify == nil {
		yes := true
		c.Notify = &yes
	}
	if c.Engine != engineKafka {
		def(&c.SQLite.Path, "trailtide.db")
		c.SQLite.Path = relativeTo(dir, c.SQLite.Path)
		return
	}
	c.Store.Path = relativeTo(dir, c.Store.Path)
	k := &c.Kafka
	if src := c.Source.Kafka; src != nil && isZero(k.Client) {
		k.Client, k.inherited = src.Client, true
	}
	def(&k.Prefix, topics.DefaultPrefix)
	def(&k.Partitions, topics.DefaultPartitions)
	def(&k.AlertPartitions, 1)
	def(&k.SessionTimeout, 10*time.Second)
	def(&k.TransactionTimeout, 10*time.Second)
	def(&k.CacheBytes, 32<<20)
	def(&k.MetadataMinAge, time.Second)
	if c.Source.Kafka != nil {
		def(&c.Source.Kafka.SessionTimeout, k.SessionTimeout) // its partitions stand still for as long
	}
}

func isZero(v any) bool { return reflect.ValueOf(v).IsZero() }

// validateFleet reports what is wrong with the engine's settings.
func (c *Config) validateFleet() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch c.Engine {
	case engineSQLite:
		if !isZero(c.Kafka) {
			bad("kafka: belongs to engine: kafka (of sources and sinks the connection is in their own sections)")
		}
		if c.Store != (StoreConfig{}) {
			bad("store: belongs to engine: kafka; with engine: sqlite the alerts are in sqlite.path")
		}
		return errs
	case engineKafka:
	default:
		return []error{fmt.Errorf("engine: %q is not an engine: sqlite, kafka", c.Engine)}
	}
	if c.SQLite != (SQLiteConfig{}) {
		bad("sqlite: belongs to engine: sqlite; with engine: kafka a worker keeps the saved alerts in store: PATH")
	}
	if c.Store.Path == "" && c.Store != (StoreConfig{}) {
		bad("store.path: is needed")
	}
	if c.Store.MaxAge < 0 || c.Store.MaxAlerts < 0 {
		bad("store: max_age and max_alerts must not be negative")
	}
	k := &c.Kafka
	if !k.inherited {
		if len(k.Client.Brokers) == 0 && c.Source.Kafka != nil {
			bad("kafka.brokers: are needed beside other settings of the connection (without any of them those of source.kafka are used)")
		} else {
			errs = append(errs, prefixed("kafka", k.Client.Validate())...)
		}
	}
	errs = append(errs, prefixed("kafka", c.topics().Validate())...)
	within := func(field string, d, least, most time.Duration) {
		if d < least || d > most {
			bad("kafka.%s: must be from %v to %v", field, least, most)
		}
	}
	within("session_timeout", k.SessionTimeout, time.Second, 30*time.Minute)
	within("transaction_timeout", k.TransactionTimeout, time.Second, 15*time.Minute)
	if k.TransactionTimeout <= c.CommitInterval {
		bad("kafka.transaction_timeout: must be longer than commit_interval, %v", c.CommitInterval)
	}
	if k.CacheBytes < 0 {
		bad("kafka.cache_bytes: must not be negative")
	}
	if k.MetadataMinAge < 0 {
		bad("kafka.metadata_min_age: must not be negative")
	}
	return append(errs, c.validateLoops()...)
}

// validateLoops finds a source or a sink that meets the fleet's own topics and
// groups.
func (c *Config) validateLoops() []error {
	var errs []error
	o := c.topics()
	own := o.Topics()
	if src := c.Source.Kafka; src != nil {
		if src.Group == "" && c.Kafka.Prefix != topics.DefaultPrefix {
			errs = append(errs, errors.New("source.kafka.group: is needed beside kafka.prefix: "+
				"with the group of another fleet this one goes on where that stopped, and takes events away from it if it runs"))
		}
		whole, err := regexp.Compile("^(?:" + src.TopicRegex + ")$")
		for _, topic := range own {
			if slices.Contains(src.Topics, topic) || err == nil && src.TopicRegex != "" && whole.MatchString(topic) {
				errs = append(errs, fmt.Errorf("source.kafka: %s is a topic of the fleet's own", topic))
			}
		}
		groups := []string{o.AlertGroup(), o.StoreGroup()}
		for _, sink := range o.Sinks {
			groups = append(groups, o.SinkGroup(sink))
		}
		if slices.Contains(groups, src.Group) {
			errs = append(errs, fmt.Errorf("source.kafka.group: %s is a group of the fleet's own", src.Group))
		}
	}
	for i := range c.Sinks {
		s := &c.Sinks[i]
		if s.Kafka != nil && slices.Contains(own, s.Kafka.Topic) && sharesBroker(s.Kafka.Brokers, c.Kafka.Client.Brokers) {
			errs = append(errs, fmt.Errorf("sinks[%d].kafka.topic: %s is a topic of the fleet's own", i, s.Kafka.Topic))
		}
	}
	return errs
}

func sharesBroker(a, b []string) bool {
	return slices.ContainsFunc(a, func(broker string) bool { return slices.Contains(b, broker) })
}

// topics are what the fleet of this configuration needs on its cluster.
func (c *Config) topics() topics.Options {
	k := &c.Kafka
	o := topics.Options{
		Names: topics.Names{Prefix: k.Prefix}, Partitions: k.Partitions, AlertPartitions: k.AlertPartitions,
		Replication: k.Replication, Retention: k.Retention,
		// A record holds an event and what was found out about it.
		MaxMessageBytes: max(topics.DefaultMaxMessageBytes, 2*c.Limits.MaxEvent+1<<20),
		Positions:       c.Source.Kafka == nil,
		Store:           c.Store.Path != "",
	}
	for i := range c.Sinks {
		if name := c.Sinks[i].Name; name != "" && !slices.Contains(o.Sinks, name) { // both are told elsewhere
			o.Sinks = append(o.Sinks, name)
		}
	}
	if src := c.Source.Kafka; src != nil {
		o.Source = topics.Source{Topics: src.Topics, Group: cmp.Or(src.Group, "trailtide")}
		if re, err := regexp.Compile(strings.TrimPrefix(src.TopicRegex, "^")); err == nil {
			o.Source.Prefix, _ = re.LiteralPrefix()
		}
	}
	return o
}

// alertsPath is the SQLite file that holds the saved alerts; empty: this
// configuration keeps none.
func (c *Config) alertsPath() string {
	if c.Engine == engineKafka {
		return c.Store.Path
	}
	return c.SQLite.Path
}
