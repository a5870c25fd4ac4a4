package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/trailtide/trailtide/pipeline/engine"
	enginekafka "github.com/trailtide/trailtide/pipeline/engine/kafka"
)

// InvalidEvents hands out the dead letters of events that could not be read,
// oldest first, up to the topic's end as of now. It ends at the first error of
// each.
func InvalidEvents(ctx context.Context, o Options, each func(engine.InvalidEvent) error) error {
	o = o.withDefaults()
	var failed error
	err := o.scan(ctx, o.Names.Invalid(), func(r *kgo.Record) {
		if failed != nil {
			return
		}
		e, err := enginekafka.ParseInvalid(r.Value)
		if err == nil {
			err = each(e)
		}
		failed = err
	})
	return errors.Join(err, failed)
}

// DeadLetters hands out the alerts that a sink could not deliver, oldest first,
// up to the topic's end as of now. Seq is the alert's offset in its partition,
// -1 of a letter about alerts that nobody can read any more.
func DeadLetters(ctx context.Context, o Options, sink string, each func(engine.DeadLetter) error) error {
	o = o.withDefaults()
	var failed error
	err := o.scan(ctx, o.Names.Dead(sink), func(r *kgo.Record) {
		if failed != nil {
			return
		}
		var l letter
		if err := json.Unmarshal(r.Value, &l); err != nil {
			failed = fmt.Errorf("dead letter %s@%d: %w", r.Topic, r.Offset, err)
			return
		}
		d := engine.DeadLetter{Seq: -1, AlertID: l.AlertID, Sink: l.Sink, Reason: l.Reason, Body: l.Alert}
		if l.Offset != nil {
			d.Seq = *l.Offset
		}
		failed = each(d)
	})
	return errors.Join(err, failed)
}
