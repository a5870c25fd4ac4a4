package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/memory"
)

// halting is an engine that the stop meets in the middle of a commit: while the
// changes are collected, before the store has them, or before it can answer.
type halting struct {
	engine.Engine
	stop                   context.CancelFunc
	reads, before, answers int // which call is met; 0: none
}

func met(left *int) bool {
	*left--
	return *left == 0
}

func (h *halting) Evidence(ctx context.Context, p int, keys [][]byte) ([][]byte, error) {
	if met(&h.reads) {
		h.stop()
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
	return h.Engine.Evidence(ctx, p, keys)
}

func (h *halting) Begin(ctx context.Context, p int) (engine.Txn, error) {
	txn, err := h.Engine.Begin(ctx, p)
	return &haltingTxn{txn, h, false}, err
}

type haltingTxn struct {
	engine.Txn
	h       *halting
	durable bool // and not answered
}

func (t *haltingTxn) Commit(ctx context.Context) error {
	if t.durable {
		return nil
	}
	if met(&t.h.before) {
		t.h.stop()
	}
	err := t.Txn.Commit(ctx)
	if err == nil && met(&t.h.answers) {
		t.durable = true
		t.h.stop()
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, ctx.Err())
	}
	return err
}

// A stop in the middle of a commit loses nothing of what was applied and counts
// nothing twice.
func TestStopInTheMiddle(t *testing.T) {
	rs := compile(t, testRules)
	payloads := traffic(rand.New(rand.NewPCG(9, 10)), 2000)
	calm := memory.New(memory.Options{})
	work(t, &list{payloads: payloads, batch: 20}, calm, rs, 10)
	for where, met := range map[string]func(h *halting, n int){
		"collecting": func(h *halting, n int) { h.reads = n },
		"committing": func(h *halting, n int) { h.before = n },
		"answering":  func(h *halting, n int) { h.answers = n },
	} {
		t.Run(where, func(t *testing.T) {
			store := memory.NewStore()
			r := rand.New(rand.NewPCG(11, 12))
			stops := 0
			for done := false; !done; stops++ {
				eng := memory.New(memory.Options{Store: store})
				ctx, cancel := context.WithCancel(t.Context())
				h := &halting{Engine: eng, stop: cancel}
				met(h, 1+r.IntN(6))
				w, err := New(Options{Source: &list{payloads: payloads, batch: 20}, Engine: h, Rules: rs, CommitEvents: 10, Lanes: 2, CommitEvery: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				if err := w.Run(ctx); err != nil {
					t.Fatal(err)
				}
				if done = ctx.Err() == nil; done {
					if diff := cmp.Diff(settled(t, calm), settled(t, eng)); diff != "" {
						t.Errorf("alerts differ (-calm +stopped):\n%s", diff)
					}
				}
				cancel()
				if err := eng.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if stops < 10 {
				t.Errorf("only %d stops were met", stops)
			}
		})
	}
}
