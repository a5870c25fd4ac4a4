package outbox

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// readProgress reads the notify states of a sink, by partition of the alerts
// topic, up to the end of the log as it is now (not to the last stable offset:
// an open transaction of somebody else must not hide ours).
func (b *Outbox) readProgress(ctx context.Context, sink string) (map[int32]*progress, error) {
	states, err := b.scanProgress(ctx, sink)
	if err != nil {
		return nil, fmt.Errorf("read the notify state of sink %s: %w", sink, err)
	}
	return states, nil
}

func (b *Outbox) scanProgress(ctx context.Context, sink string) (map[int32]*progress, error) {
	topic := b.o.Names.Notify()
	values := map[int32][]byte{}
	err := b.o.scan(ctx, topic, func(r *kgo.Record) {
		id, ours := strings.CutPrefix(string(r.Key), sink+"/")
		n, err := strconv.ParseInt(id, 10, 32)
		if !ours || err != nil {
			return
		}
		values[int32(n)] = r.Value
	})
	if err != nil {
		return nil, err
	}
	states := map[int32]*progress{}
	for id, v := range values {
		if v == nil {
			continue
		}
		p, err := parseProgress(v)
		if err != nil {
			return nil, err
		}
		states[id] = p
	}
	return states, nil
}
