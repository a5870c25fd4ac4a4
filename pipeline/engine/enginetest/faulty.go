package enginetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/trailtide/trailtide/pipeline/engine"
)

// Faulty is an engine whose every n-th Commit fails, for tests of what stands on an engine.
type Faulty struct {
	engine.Engine
	every   int64
	err     error
	commits atomic.Int64
	failed  atomic.Int64
}

// FailEvery wraps e: every n-th call of Commit answers an error wrapping err
// without committing. With engine.ErrUnavailable the transaction stays open
// and may be committed again; with anything else it is aborted.
func FailEvery(e engine.Engine, n int, err error) *Faulty {
	return &Faulty{Engine: e, every: int64(n), err: err}
}

// Failed is how many commits have failed so far.
func (f *Faulty) Failed() int { return int(f.failed.Load()) }

// Begin implements engine.Engine.
func (f *Faulty) Begin(ctx context.Context, p int) (engine.Txn, error) {
	txn, err := f.Engine.Begin(ctx, p)
	if err != nil {
		return nil, err
	}
	return &faultyTxn{Txn: txn, f: f}, nil
}

type faultyTxn struct {
	engine.Txn
	f *Faulty
}

func (t *faultyTxn) Commit(ctx context.Context) error {
	n := t.f.commits.Add(1)
	if n%t.f.every != 0 {
		return t.Txn.Commit(ctx)
	}
	t.f.failed.Add(1)
	err := fmt.Errorf("planned failure of commit %d: %w", n, t.f.err)
	if errors.Is(t.f.err, engine.ErrUnavailable) {
		return err
	}
	return errors.Join(err, t.Txn.Abort(ctx))
}
