package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
)

func parseFleet(t *testing.T, src string) *Config {
	t.Helper()
	c, err := parseConfig("/etc/trailtide/c.yaml", []byte(src), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFleetExample: the commented part of the example is valid, too.
func TestFleetExample(t *testing.T) {
	src := string(example(t))
	embedded := regexp.MustCompile(`(?m)^engine: sqlite.*\n^sqlite:.*\n(^  .*\n)+`)
	fleet := regexp.MustCompile(`(?m)^# kafka:.*\n(^#   .*\n)+^# store:.*\n(^#   .*\n)+`)
	if !embedded.MatchString(src) || !fleet.MatchString(src) {
		t.Fatal("the example's engines are not where they are expected")
	}
	src = fleet.ReplaceAllStringFunc(src, func(s string) string {
		return "engine: kafka\n" + strings.TrimPrefix(strings.ReplaceAll("\n"+s, "\n# ", "\n"), "\n")
	})
	src = embedded.ReplaceAllString(src, "")
	c, err := parseConfig("/etc/trailtide/trailtide.yaml", []byte(src), env(map[string]string{
		"TRAILTIDE_KAFKA_PASSWORD": "p", "TRAILTIDE_WEBHOOK_SECRET": "0123456789abcdef0123456789abcdef",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Store.Path != "/etc/trailtide/alerts.db" || c.Store.MaxAlerts != 1000000 || c.alertsPath() != c.Store.Path {
		t.Errorf("store %+v", c.Store)
	}
	// What the example says is the default is the default.
	plain := parseFleet(t, "engine: kafka\nsource: {kafka: {brokers: [b], topics: [t]}}\n")
	got, want := c.Kafka, plain.Kafka
	got.Client, got.inherited = want.Client, want.inherited
	if got.Replication != topics.DefaultReplication || got.Retention != (topics.Retention{Repartition: 168 * time.Hour, Alerts: 168 * time.Hour, Dead: 720 * time.Hour}) {
		t.Errorf("replication and retention %+v", got)
	}
	got.Replication, got.Retention = 0, topics.Retention{}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(KafkaEngineConfig{})); d != "" {
		t.Errorf("defaults (-want +got):\n%s", d)
	}
}

func TestFleetConfig(t *testing.T) {
	c := parseFleet(t, `
engine: kafka
source:
  kafka: {brokers: [a:1], tls: {enabled: true}, topics: [trail]}
store: alerts.db
sinks:
  - {name: soc, stdout: {}}
  - {name: a.b, stdout: {}}
limits: {max_event: 4194304}
`)
	if c.Kafka.Client.Brokers[0] != "a:1" || !c.Kafka.Client.TLS.Enabled {
		t.Errorf("the source's connection is not taken over: %+v", c.Kafka.Client)
	}
	if c.Kafka.SessionTimeout != 10*time.Second || c.Source.Kafka.SessionTimeout != 10*time.Second || !*c.Notify {
		t.Errorf("defaults %+v", c.Kafka)
	}
	if c.Store.Path != "/etc/trailtide/alerts.db" || c.SQLite != (SQLiteConfig{}) {
		t.Errorf("store %q, sqlite %+v", c.Store.Path, c.SQLite)
	}
	want := topics.Options{
		Names: topics.Names{Prefix: "trailtide"}, Partitions: 12, AlertPartitions: 1, MaxMessageBytes: 9 << 20,
		Sinks: []string{"soc", "a.b"}, Store: true, Source: topics.Source{Topics: []string{"trail"}, Group: "trailtide"},
	}
	if d := cmp.Diff(want, c.topics()); d != "" {
		t.Errorf("topics (-want +got):\n%s", d)
	}

	c = parseFleet(t, `
engine: kafka
notify: false
kafka: {brokers: [b:1], prefix: p, partitions: 3, session_timeout: 6s}
source: {kafka: {brokers: [b:2], topic_regex: "trail-.*", group: g, session_timeout: 20s}}
`)
	if c.Kafka.Client.Brokers[0] != "b:1" || c.Source.Kafka.SessionTimeout != 20*time.Second || *c.Notify || c.Store.Path != "" {
		t.Errorf("configuration %+v", c)
	}
	if o := c.topics(); o.Source.Prefix != "trail-" || o.Source.Group != "g" || o.Positions || o.MaxMessageBytes != topics.DefaultMaxMessageBytes {
		t.Errorf("topics %+v", o)
	}

	c = parseFleet(t, "engine: kafka\nkafka: {brokers: [b:1]}\nsource: {files: {paths: [x]}}\n")
	if o := c.topics(); !o.Positions || o.Source.Group != "" {
		t.Errorf("topics %+v", o)
	}
}

func TestFleetConfigProblems(t *testing.T) {
	for _, tt := range []struct {
		src  string
		want []string
	}{
		{
			`
engine: kafka
sqlite: {path: x.db}
store: {max_age: 1h, paht: x}
kafka:
  brokers: ["http://b"]
  prefix: "a b"
  partitions: -1
  alert_partitions: -1
  replication: -1
  retention: {alerts: 1h}
  session_timeout: 100ms
  transaction_timeout: 1h
  cache_bytes: -1
  metadata_min_age: -1s
source: {files: {paths: [x]}}
sinks: [{name: "my sink", stdout: {}}, {name: a.b, stdout: {}}, {name: a_b, stdout: {}}]
`,
			[]string{
				"sqlite: belongs to engine: sqlite; with engine: kafka a worker keeps the saved alerts in store: PATH", "line 4: field paht not found",
				"store.path: is needed", "kafka: brokers:", "kafka: prefix:", "kafka: partitions:", "kafka: alert_partitions:", "kafka: replication:",
				"kafka: retention.alerts: must be 7d", "kafka.session_timeout: must be from 1s to 30m", "kafka.transaction_timeout: must be from 1s to 15m",
				"kafka.cache_bytes", "kafka.metadata_min_age", `kafka: sink "my sink"`, "a b-dead-a.b and a b-dead-a_b",
			},
		},
		{
			"engine: kafka\nsource: {files: {paths: [x]}}\n",
			[]string{"kafka: brokers: at least one"},
		},
		{
			"engine: kafka\nkafka: {tls: {enabled: true}}\nsource: {kafka: {brokers: [b], topics: [t]}}\n",
			[]string{"kafka.brokers: are needed beside other settings"},
		},
		{
			"engine: kafka\ncommit_interval: 20s\nsource: {kafka: {brokers: [b], topics: [t]}}\n",
			[]string{"kafka.transaction_timeout: must be longer than commit_interval"},
		},
		{
			`
engine: kafka
source: {kafka: {brokers: [b], topics: [t, trailtide-alerts], group: trailtide-sink-s}}
sinks: [{name: s, kafka: {brokers: [c, b], topic: trailtide-alerts}}]
`,
			[]string{
				"source.kafka: trailtide-alerts is a topic of the fleet's own", "source.kafka.group: trailtide-sink-s is a group of the fleet's own",
				"sinks[0].kafka.topic: trailtide-alerts is a topic of the fleet's own",
			},
		},
		{
			"engine: kafka\nkafka: {brokers: [b], prefix: p}\nsource: {kafka: {brokers: [b], topic_regex: \".*\"}}\n",
			[]string{"source.kafka.group: is needed beside kafka.prefix", "source.kafka: p-repartition", "source.kafka: p-invalid"},
		},
		{
			"kafka: {brokers: [b]}\nstore: x.db\nsource: {files: {paths: [x]}}\n",
			[]string{"kafka: belongs to engine: kafka", "store: belongs to engine: kafka"},
		},
		{
			"engine: postgres\nsource: {files: {paths: [x]}}\n",
			[]string{`engine: "postgres" is not an engine: sqlite, kafka`},
		},
	} {
		_, err := parseConfig("c.yaml", []byte(tt.src), env(nil))
		if err == nil {
			t.Errorf("no error for %s", tt.src)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not say %q:\n%v", want, err)
			}
		}
	}
	// A sink may write to a topic of the same name on another cluster.
	parseFleet(t, `
engine: kafka
source: {kafka: {brokers: [b], topics: [t]}}
sinks: [{name: s, kafka: {brokers: [c], topic: trailtide-alerts}}]
`)
}

// TestFleetOffline: check connects nowhere, and alerts says where there are none.
func TestFleetOffline(t *testing.T) {
	path := fleetFile(t, "127.0.0.1:1", "")
	if code, out, errs := command(t, "check", "-c", path); code != exitOK {
		t.Errorf("check: %s%s", out, errs)
	}
	if code, _, errs := command(t, "check", "-c", fleetFile(t, "127.0.0.1:1", "sqlite: {path: x.db}")); code != exitUsage || !strings.Contains(errs, "store: PATH") {
		t.Errorf("check of both engines: %s", errs)
	}
	if code, _, errs := command(t, "alerts", "list", "-c", path); code != exitUsage || !strings.Contains(errs, "no store is configured") {
		t.Errorf("alerts without a store: %d %s", code, errs)
	}
}
