package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine"
	"github.com/trailtide/trailtide/pipeline/engine/kafka/txn"
)

// Engine is the engine of the alert stage. Partition p of its state is
// partition p of the changelog, owned by who holds the transactional ID of p.
type Engine struct {
	o       Options
	opts    []kgo.Opt
	m       *metrics
	parts   []*part
	archive *Archive
	closed  atomic.Bool
	// restoring has an entry for each partition whose changelog is being read: all
	// at once would not be sooner, and need the memory of all.
	restoring chan struct{}
}

var _ engine.Engine = (*Engine)(nil)

// part is a partition of state.
type part struct {
	p int32

	mu       sync.Mutex    // guards what follows
	producer *txn.Producer // nil: not owned
	layout   bool          // the layout is in the changelog
	evidence entries
	open     *transaction
}

var errClosed = errors.New("the engine is closed")

// New returns an engine. It makes no connection.
func New(o Options) (*Engine, error) {
	opts, err := o.defaulted()
	if err != nil {
		return nil, fmt.Errorf("fleet engine: %w", err)
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("fleet engine: %w", err)
	}
	e := &Engine{
		o: o, opts: opts, m: m, archive: newArchive(opts, o.Names.Repartition(), o.CacheBytes, m),
		restoring: make(chan struct{}, runtime.GOMAXPROCS(0)+1), // one may wait for the broker
	}
	for p := range o.Partitions {
		e.parts = append(e.parts, &part{p: int32(p)}) //nolint:gosec // a partition's number
	}
	return e, nil
}

// Partitions implements engine.Engine.
func (e *Engine) Partitions() int { return e.o.Partitions }

// Archive is where the events of evidence are looked up.
func (e *Engine) Archive() *Archive { return e.archive }

func (e *Engine) part(p int) (*part, error) {
	if p < 0 || p >= len(e.parts) {
		return nil, fmt.Errorf("partition %d of %d", p, len(e.parts))
	}
	return e.parts[p], nil
}

// Positions implements engine.Engine. With Options.Offsets they are the
// group's, and none is answered here.
func (e *Engine) Positions(ctx context.Context) (map[string][]byte, error) {
	if e.o.Offsets != nil {
		return map[string][]byte{}, nil
	}
	positions, err := readPositions(ctx, e.opts, e.o.Names.Positions())
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", err)
	}
	return positions, nil
}

// Begin implements engine.Engine.
func (e *Engine) Begin(_ context.Context, p int) (engine.Txn, error) {
	part, err := e.part(p)
	if err != nil {
		return nil, err
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	switch {
	case part.producer == nil:
		return nil, engine.ErrFenced
	case part.open != nil:
		return nil, errors.New("a transaction of the partition is open")
	}
	part.open = &transaction{e: e, part: part, Changes: engine.Changes{MaxRaw: e.o.MaxRaw}}
	return part.open, nil
}

// Evidence implements engine.Engine.
func (e *Engine) Evidence(_ context.Context, p int, keys [][]byte) ([][]byte, error) {
	part, err := e.part(p)
	if err != nil {
		return nil, err
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	values := make([][]byte, len(keys))
	var whole []byte
	for i, key := range keys {
		if part.open != nil {
			if value, known := part.open.EvidenceOf(key); known {
				values[i] = value
				continue
			}
		}
		whole = append(append(whole[:0], byte(engine.Evidence)), key...)
		values[i] = bytes.Clone(part.evidence.get(whole))
	}
	return values, nil
}

// Release implements engine.Engine.
func (e *Engine) Release(_ context.Context, p int) error {
	part, err := e.part(p)
	if err != nil {
		return err
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	part.release()
	return nil
}

// release gives the partition up. The caller holds mu.
func (p *part) release() {
	if p.open != nil {
		p.open.ended = engine.ErrFenced
		p.open = nil
	}
	if p.producer != nil {
		p.producer.Close()
		p.producer = nil
	}
	p.evidence, p.layout = entries{}, false
}

// Close releases all partitions.
func (e *Engine) Close() error {
	e.closed.Store(true)
	for p := range e.parts {
		if err := e.Release(context.Background(), p); err != nil {
			return err
		}
	}
	e.archive.Close()
	return nil
}
