package pipeline

import (
	"context"
	"errors"
	"io"

	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// EachEvent reads src from its start to its end and calls each with every
// event, or with the problem of what is none. ev is nil then. It keeps no
// position; src is closed when it returns. An error of each ends it.
func EachEvent(ctx context.Context, src Source, limits cloudtrail.Limits, each func(ev *cloudtrail.Event, position, problem string) error) (err error) {
	if err := src.Start(ctx, nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close(context.WithoutCancel(ctx))) }()
	l := newLane(limits, false)
	for {
		b, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.each(b, each); err != nil {
			return err
		}
	}
}

// each calls fn for the events of one batch and releases it.
func (l *lane) each(b *Batch, fn func(ev *cloudtrail.Event, position, problem string) error) error {
	if b.Release != nil {
		defer b.Release()
	}
	l.batch = b
	var failed error
	for i := range b.Records {
		rec := &b.Records[i]
		l.rec, l.label = i, ""
		if rec.Problem != "" {
			if err := fn(nil, l.place(cloudtrail.Item{}), rec.Problem); err != nil {
				return err
			}
			continue
		}
		l.unwrapper.Unwrap(rec.Payload, &l.ev, func(it cloudtrail.Item) {
			switch {
			case failed != nil || it.Kind == cloudtrail.ItemSkipped:
			case it.Kind == cloudtrail.ItemInvalid:
				failed = fn(nil, l.place(it), it.Reason)
			default:
				failed = fn(&l.ev, l.place(it), "")
			}
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}
