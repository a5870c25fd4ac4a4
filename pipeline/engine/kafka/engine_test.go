package kafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/enginetest"
	"github.com/trailtide/trailtide/pipeline/engine/kafka"
)

func subject(c *kfake.Cluster, e engine.Engine) enginetest.Subject {
	return enginetest.Subject{Engine: e, Invalid: func(t testing.TB) (kept []engine.InvalidEvent) {
		t.Helper()
		for _, r := range records(t, c, names.Invalid()) {
			letter, err := kafka.ParseInvalid(r.Value)
			if err != nil {
				t.Fatal(err)
			}
			kept = append(kept, letter)
		}
		return kept
	}}
}

func open(c *kfake.Cluster) func(testing.TB) *kafka.Engine {
	return func(t testing.TB) *kafka.Engine {
		t.Helper()
		e, err := kafka.New(options(c))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
}

func TestContract(t *testing.T) {
	enginetest.Run(t, func(t testing.TB) enginetest.Store {
		t.Helper()
		c := newCluster(t)
		return enginetest.Store{
			Shared: true,
			Open:   func(t testing.TB) enginetest.Subject { return subject(c, open(c)(t)) },
			Fail: func(testing.TB, enginetest.Subject) func() {
				h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
				return h.Remove
			},
		}
	})
}

// An engine that aborts every third commit keeps the contract all the same.
func TestContractWithAborts(t *testing.T) {
	enginetest.Run(t, func(t testing.TB) enginetest.Store {
		t.Helper()
		c := newCluster(t)
		return enginetest.Store{Open: func(t testing.TB) enginetest.Subject {
			return subject(c, enginetest.FailEvery(open(c)(t), 3, engine.ErrAborted))
		}}
	})
}
