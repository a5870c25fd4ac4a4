//go:build unix

package txn_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
	"github.com/trailtide/trailtide/test/kafkabroker"
)

type realCluster []string

func (c realCluster) ListenAddrs() []string { return c }

// What the double only imitates is held against a real broker: epochs that rise
// at each end, implicit offsets, ends that take their time.
func TestRealKafka(t *testing.T) {
	broker := kafkabroker.Start(t, kafkabroker.Options{Config: map[string]string{
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
		"group.min.session.timeout.ms":                                "1000",
	}})
	c := realCluster(broker.Brokers())
	admin := kadm.NewClient(newClient(t, c))
	fresh := func(t *testing.T) {
		t.Helper()
		for _, topic := range []string{out, in} {
			_, _ = admin.DeleteTopic(t.Context(), topic) // perhaps there is none yet
			waitFor(t, func() bool {
				_, err := admin.CreateTopic(t.Context(), 2, 1, nil, topic)
				return err == nil
			})
		}
		_, _ = admin.DeleteGroup(t.Context(), group)
	}
	for name, test := range map[string]func(*testing.T, txn.Options){
		"commits": func(t *testing.T, o txn.Options) {
			p := open(t, o)
			var want []int
			for _, every := range []time.Duration{time.Microsecond, 50 * time.Millisecond} {
				var took []time.Duration
				tick := time.NewTicker(every)
				for range 50 {
					<-tick.C
					begun, n := time.Now(), len(want)
					if err := p.Commit(t.Context(), values(n), upTo(n+1)); err != nil {
						t.Fatal(err)
					}
					took = append(took, time.Since(begun))
					want = append(want, n)
				}
				tick.Stop()
				slices.Sort(took)
				t.Logf("a commit every %s: p50 %s, worst %s", every, took[25], took[49])
			}
			wantState(t, c, want, 100)
		},
		"second open fences": func(t *testing.T, o txn.Options) {
			older := open(t, o)
			commit(t, older, values(0), upTo(1))
			newer := open(t, o)
			for range 2 {
				if err := older.Commit(t.Context(), values(1), upTo(2)); !errors.Is(err, engine.ErrFenced) {
					t.Errorf("commit of the older: %v, want ErrFenced", err)
				}
			}
			commit(t, newer, values(2), upTo(3))
			wantState(t, c, []int{0, 2}, 3)
		},
		"fenced in the middle": func(t *testing.T, o txn.Options) {
			older := open(t, o)
			commit(t, older, values(0), upTo(1))
			var newer *txn.Producer
			err := older.CommitSlowly(t.Context(), func() { newer = open(t, o) }, values(1), upTo(2))
			if !errors.Is(err, engine.ErrFenced) {
				t.Errorf("commit of the older: %v, want ErrFenced", err)
			}
			commit(t, newer, values(2), upTo(3))
			wantState(t, c, []int{0, 2}, 3)
		},
		"timed out": func(t *testing.T, o txn.Options) {
			o.Timeout = time.Second
			p := open(t, o)
			commit(t, p, values(0), upTo(1))
			err := p.CommitSlowly(t.Context(), func() { <-time.After(2 * time.Second) }, values(1), upTo(2))
			if !errors.Is(err, engine.ErrAborted) || errors.Is(err, engine.ErrFenced) {
				t.Errorf("commit: %v, want ErrAborted: nobody has taken the ID", err)
			}
			commit(t, p, values(1), upTo(2))
			wantState(t, c, []int{0, 1}, 2)
		},
		"timed out and taken": func(t *testing.T, o txn.Options) {
			o.Timeout = time.Second
			p := open(t, o)
			commit(t, p, values(0), upTo(1))
			err := p.CommitSlowly(t.Context(), func() { <-time.After(2 * time.Second); open(t, o) }, values(1), upTo(2))
			if !errors.Is(err, engine.ErrFenced) {
				t.Errorf("commit: %v, want ErrFenced", err)
			}
			wantState(t, c, []int{0}, 1)
		},
		"stale membership": func(t *testing.T, o txn.Options) {
			p := open(t, o)
			member := newClient(t, c, kgo.ConsumerGroup(group), kgo.ConsumeTopics(in), kgo.DisableAutoCommit(), kgo.SessionTimeout(6*time.Second))
			waitFor(t, func() bool { id, generation := member.GroupMetadata(); return id != "" && generation > 0 })
			id, generation := member.GroupMetadata()
			mine := upTo(1)
			mine.Member, mine.Generation = id, generation
			commit(t, p, values(0), mine)
			stale := upTo(2)
			stale.Member, stale.Generation = id, generation+1
			if err := p.Commit(t.Context(), values(1), stale); !errors.Is(err, txn.ErrMembership) {
				t.Errorf("commit: %v, want ErrMembership", err)
			}
			mine = upTo(3)
			mine.Member, mine.Generation = id, generation
			commit(t, p, values(2), mine)
			wantState(t, c, []int{0, 2}, 3)
			member.Close() // so that the group can be deleted
		},
		"restarted broker": func(t *testing.T, o txn.Options) {
			// Longer than the restart takes: a coordinator that ends a transaction
			// for its age before its own broker is registered again skips the
			// markers of partitions without a leader (seen with 4.3.1).
			o.Timeout = time.Minute
			p := open(t, o)
			commit(t, p, values(0), upTo(1))
			node := broker.Node(1)
			done := make(chan error, 1)
			err := p.CommitSlowly(t.Context(), func() {
				if err := node.Kill(); err != nil {
					t.Error(err)
				}
				go func() { done <- node.Start(t.Context()) }()
			}, values(1), upTo(2))
			if err == nil {
				t.Log("the broker was back in time")
			} else if !errors.Is(err, engine.ErrUnavailable) && !errors.Is(err, engine.ErrAborted) {
				t.Errorf("commit: %v, want ErrUnavailable", err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if err != nil {
				commit(t, p, values(1), upTo(2))
			}
			wantState(t, c, []int{0, 1}, 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			fresh(t)
			o := options(t, c)
			o.ID = "real-" + name
			test(t, o)
		})
	}
}
