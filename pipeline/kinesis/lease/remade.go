package lease

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// sort splits the rows of a table: those that may be of the listing's stream,
// with those that have nothing to do with it, and by their keys those of earlier
// streams of its name.
func (l Listing) sort(all []row) (rows []row, old map[string]row, err error) {
	me := l.identity()
	old = map[string]row{}
	for _, r := range all {
		switch {
		case me.before(r, l.Stream):
			old[r.key] = r
		case r.stream == l.Stream && me.another(r):
			return nil, nil, fmt.Errorf("lease %s is of %v, and the stream that was listed is %v: give each stream a table of its own, unless it was just made again", r.key, r.of, me)
		default:
			rows = append(rows, r)
		}
	}
	return rows, old, nil
}

// replace makes the leases of one generation. Those that take the place of an
// old one come last: while there is an old one, it is known that the stream was
// read before.
func (c *Coordinator) replace(ctx context.Context, rows []row, old map[string]row) (met bool, err error) {
	var fresh, again []row
	for _, r := range rows {
		if _, ok := old[r.key]; ok {
			again = append(again, r)
		} else {
			fresh = append(fresh, r)
		}
	}
	for _, some := range [][]row{fresh, again} {
		if met, err = c.create(ctx, some, old); met || err != nil {
			break
		}
	}
	return met, err
}

// discard deletes leases of streams that are no more. What fails is there the
// next time.
func (c *Coordinator) discard(ctx context.Context, old map[string]row) {
	for _, r := range old {
		err := c.store.discard(ctx, r)
		switch {
		case err == nil:
			c.log.Info("lease of a stream that is no more deleted", zap.String("lease", r.key))
		case !errors.Is(err, errRefused):
			c.log.Warn("lease of a stream that is no more could not be deleted", zap.Error(err))
		}
	}
}

// sign writes to leases that another program made which stream they are of, and
// what LATEST means for those that wait. What fails is tried the next time.
func (c *Coordinator) sign(ctx context.Context, l Listing, rows []row) {
	me := l.identity()
	var g errgroup.Group
	g.SetLimit(maxTakes)
	for _, r := range rows {
		since := int64(0)
		if r.checkpoint.Sequence == Latest && r.since == 0 {
			since = l.AsOf
		}
		if r.stream != l.Stream || since == 0 && (r.of.known() || !me.known()) {
			continue
		}
		g.Go(func() error {
			if err := c.store.sign(ctx, r, me, since); err != nil && !errors.Is(err, errRefused) {
				c.log.Warn("lease could not be signed", zap.Error(err))
			}
			return nil
		})
	}
	_ = g.Wait() // no call returns an error
}

// ours leaves out what is not of the stream that was listed under its key, and
// answers the streams to list again because of it.
func ours(all []row, listings map[string]listing) (rows []row, streams map[string]bool) {
	streams = map[string]bool{}
	for _, r := range all {
		if l, ok := listings[r.stream]; ok && l.of.another(r) {
			streams[r.stream] = true
			continue
		}
		rows = append(rows, r)
	}
	return rows, streams
}
