package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/trailtide/trailtide/matcher"
	"github.com/trailtide/trailtide/pipeline/cloudtrail"
)

// SearchOptions say what Search looks for and where.
type SearchOptions struct {
	Source Source
	Rules  *matcher.Ruleset
	// Nameless is matched in place of Rules against objects without a string
	// eventName, which need not be CloudTrail records; nil: Rules.
	Nameless *matcher.Ruleset
	Lanes    int // goroutines that match; default GOMAXPROCS
	Limits   cloudtrail.Limits
	// AnyObject takes every JSON object for an event; KeepEventBridge leaves
	// EventBridge events whole. See cloudtrail.Unwrapper.
	AnyObject, KeepEventBridge bool
	// Positions and Events say what Found carries; neither: only the count.
	Positions, Events bool
}

// Found is what one batch held.
type Found struct {
	Count     int
	Positions []string // of the events that matched
	Events    [][]byte
	Invalid   []Problem
	Read      int64
}

// Problem is something that is not an event.
type Problem struct{ Position, Reason string }

// Search matches every event of a source, without windows, duplicates or
// commits, and calls each with what every batch held, in order. It closes the
// source. An error of each ends it.
func Search(ctx context.Context, o SearchOptions, each func(*Found) error) (err error) {
	if o.Lanes <= 0 {
		o.Lanes = runtime.GOMAXPROCS(0)
	}
	if err := o.Source.Start(ctx, nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Source.Close(context.WithoutCancel(ctx))) }()
	type task struct {
		batch *Batch
		done  chan *Found
	}
	g, gctx := errgroup.WithContext(ctx)
	tasks, order := make(chan task), make(chan task, 2*o.Lanes) // so that lanes need not wait for the slowest
	g.Go(func() error {
		defer close(tasks)
		defer close(order)
		for {
			b, err := o.Source.Read(gctx)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read the source: %w", err)
			}
			t := task{b, make(chan *Found, 1)}
			for _, ch := range []chan<- task{order, tasks} {
				select {
				case ch <- t:
				case <-gctx.Done():
					return gctx.Err()
				}
			}
		}
	})
	for range o.Lanes {
		g.Go(func() error {
			s := newSearcher(&o)
			for t := range tasks {
				t.done <- s.batch(t.batch)
			}
			return nil
		})
	}
	g.Go(func() error {
		for t := range order {
			select {
			case found := <-t.done:
				if err := each(found); err != nil {
					return err
				}
			case <-gctx.Done():
				return gctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

// searcher matches batches. One goroutine owns it.
type searcher struct {
	*lane
	o     *SearchOptions
	other *matcher.Matcher      // for objects without an event name
	take  func(cloudtrail.Item) // s.found, bound once
	found *Found
}

func newSearcher(o *SearchOptions) *searcher {
	s := &searcher{lane: newLane(o.Limits, false), o: o}
	s.unwrapper.AnyObject, s.unwrapper.KeepEventBridge = o.AnyObject, o.KeepEventBridge
	s.matcher = o.Rules.NewMatcher()
	s.other = s.matcher
	if o.Nameless != nil {
		s.other = o.Nameless.NewMatcher()
	}
	s.take = s.item
	return s
}

func (s *searcher) batch(b *Batch) *Found {
	s.found, s.lane.batch = &Found{}, b
	for i := range b.Records {
		s.rec, s.label = i, ""
		if p := b.Records[i].Problem; p != "" {
			s.found.Read++
			s.problem(s.place(cloudtrail.Item{}), p)
			continue
		}
		s.unwrapper.Unwrap(b.Records[i].Payload, &s.ev, s.take)
	}
	if b.Release != nil {
		b.Release()
	}
	return s.found
}

func (s *searcher) item(it cloudtrail.Item) {
	switch it.Kind {
	case cloudtrail.ItemSkipped:
		return
	case cloudtrail.ItemInvalid:
		s.found.Read++
		s.problem(s.place(it), it.Reason)
		return
	case cloudtrail.ItemEvent:
	}
	s.found.Read++
	m := s.matcher
	if s.ev.Name() == nil {
		m = s.other
	}
	hits, _, err := m.Match(s.hits[:0], &s.ev)
	s.hits = hits
	if err != nil {
		s.problem(s.place(it), err.Error())
		return
	}
	if len(hits) == 0 {
		return
	}
	s.found.Count++
	if s.o.Positions {
		s.found.Positions = append(s.found.Positions, s.place(it))
	}
	if s.o.Events {
		s.found.Events = append(s.found.Events, append([]byte(nil), s.ev.Raw()...))
	}
}

func (s *searcher) problem(position, reason string) {
	s.found.Invalid = append(s.found.Invalid, Problem{position, reason})
}
