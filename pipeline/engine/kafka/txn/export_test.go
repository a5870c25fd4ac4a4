package txn

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// CommitSlowly is Commit that waits between records and offsets.
func (p *Producer) CommitSlowly(ctx context.Context, wait func(), records []*kgo.Record, offsets *Offsets) error {
	if p.cl == nil {
		return errClosed
	}
	if err := p.note(ctx); err != nil {
		return err
	}
	if err := p.cl.BeginTransaction(); err != nil {
		return err
	}
	p.begun = time.Now()
	if err := p.produce(ctx, records); err != nil {
		return err
	}
	wait()
	if err := p.addOffsets(ctx, offsets); err != nil {
		return p.failed(ctx, fmt.Errorf("commit offsets: %w", err))
	}
	return p.end(ctx, records, []*Offsets{offsets})
}
