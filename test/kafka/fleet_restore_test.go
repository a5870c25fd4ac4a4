//go:build linux

package kafka

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/matcher/native"
	"github.com/trailtide/trailtide/pipeline/alerting"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
	"github.com/trailtide/trailtide/pipeline/engine"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/topics"
	"github.com/trailtide/trailtide/pipeline/repartition"
	connection "github.com/trailtide/trailtide/sinks/kafka/client"
	"github.com/trailtide/trailtide/test/harness"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

const countRules = `rules:
  - {id: many, title: m, severity: low, match: {eventName: GetObject}, threshold: {count: 1000, window: 1h, group_by: [userIdentity.arn]}}
`

// A worker that takes all partitions over restores their windows, out of a
// changelog that no compaction has been through.
func barRestore(t *testing.T, c *kafkabroker.Cluster) {
	t.Helper()
	keys, times := either(100_000, 1_000_000), 4
	path := filepath.Join(t.TempDir(), "count.yaml")
	harness.Write(t, filepath.Dir(path), "count.yaml", countRules)
	l := newLab(t, c, lab{name: "r", rules: fmt.Sprintf("builtin: false, paths: [%s]", path)})
	begun := time.Now()
	l.populate(t, keys, times)
	t.Logf("%d keys written %d times in %v", keys, times, time.Since(begun).Round(time.Millisecond))
	w := l.start(t, "a")
	l.settled(t)
	took, windows := w.takeovers(t)
	if got := int(w.metric(t.Context(), "trailtide_fleet_window_keys")); got != keys || windows != keys {
		t.Errorf("%d window keys were restored, and %d are there; want %d", windows, got, keys)
	}
	t.Logf("%d window keys (%d records of windows, as many of evidence) restored in %v with %v of CPU since the start, %.0f MiB", keys, keys*times,
		took.Round(time.Millisecond), processCPU(t, w.PID()), w.metric(t.Context(), "process_resident_memory_bytes")/(1<<20))
	if most := either(3*time.Second, 10*time.Second); took > most {
		t.Errorf("the restore took %v, want at most %v", took, most)
	}
}

// takeovers reads from the log how long the slowest partition took, and how many
// window keys all of them had.
func (w *labWorker) takeovers(t *testing.T) (slowest time.Duration, keys int) {
	t.Helper()
	harness.EachLine(t, w.Stderr(), func(line []byte) {
		var said struct {
			Msg  string  `json:"msg"`
			Keys int     `json:"window_keys"`
			Took float64 `json:"took"` // seconds
		}
		if err := json.Unmarshal(line, &said); err == nil && said.Msg == "partition taken over" {
			slowest = max(slowest, time.Duration(said.Took*float64(time.Second)))
			keys += said.Keys
		}
	})
	return slowest, keys
}

// populate makes the changelog that counting so many keys so many times leaves
// behind, with the stage and the engine of a worker.
func (l *lab) populate(t *testing.T, keys, times int) {
	t.Helper()
	list, err := native.Loader{}.Parse("count.yaml", []byte(countRules))
	if err != nil {
		t.Fatal(err)
	}
	set, err := matcher.Compile(list.Rules, matcher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rule := repartition.NewSpread(set).Rules[set.Rules()[0]]
	eng, err := enginekafka.New(enginekafka.Options{
		Client: connection.Options{Brokers: l.c.Brokers()}, Names: topics.Names{Prefix: l.name}, Partitions: l.partitions,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	}()
	var all sync.WaitGroup
	for p := range l.partitions {
		all.Go(func() {
			if err := fillPartition(t, eng, rule, set.Rules()[0].Threshold, p, (keys-p+l.partitions-1)/l.partitions, times); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func fillPartition(t *testing.T, eng engine.Engine, rule *alerting.Rule, threshold *matcher.Threshold, p, keys, times int) error {
	t.Helper()
	ctx := t.Context()
	stage, err := alerting.Open(ctx, eng, p, alerting.Options{})
	if err != nil {
		return err
	}
	now := time.Now()
	var ev cloudtrail.Event
	var key []byte
	n := 0
	const batch = 5_000
	for round := range times {
		for from := 0; from < keys; from += batch {
			if err := stage.Begin(ctx, now); err != nil {
				return err
			}
			for i := from; i < min(keys, from+batch); i++ {
				n++
				ev.Reset(fmt.Appendf(nil, `{"userIdentity":{"arn":"arn:aws:iam::123456789012:user/user-%d-%d"},"eventID":"%08x-%04d-4000-8000-00000000%04x"}`, p, i, i, round, p))
				key = threshold.AppendKey(nil, &ev)
				at := now.Add(-10*time.Minute + time.Duration(round)*time.Second).UnixNano()
				stage.Apply(&alerting.Event{
					Identity: ev.Identity(), Partition: "trail/0", Position: "trail/0@1", Time: at, Timed: true, HasTime: true, Reached: at,
					Archived: true, Offset: int64(n), Matches: []alerting.Match{{Rule: rule, Key: key}},
				})
			}
			if err := stage.Flush(ctx); err != nil {
				return err
			}
			if err := stage.Txn().Commit(ctx); err != nil {
				return err
			}
			stage.Committed()
		}
	}
	if got := stage.Windows().Keys; got != keys {
		return fmt.Errorf("partition %d has %d keys, want %d", p, got, keys)
	}
	return nil
}
