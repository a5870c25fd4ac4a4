// Package stdout writes alerts to standard output, for people or for a pipe.
package stdout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/trailtide/trailtide/sinks"
	"github.com/trailtide/trailtide/sinks/render"
)

// Format is the form of a line.
type Format string

// The forms.
const (
	NDJSON Format = "ndjson" // the contract for machines
	Human  Format = "human"  // one line for people
)

// Options of the sink.
type Options struct {
	// Writer takes the lines. Default: os.Stdout. It is not closed.
	Writer io.Writer `yaml:"-"`
	// Format of a line. Default NDJSON.
	Format Format `yaml:"format"`
	// Color paints severities in the human form.
	Color bool `yaml:"color"`
}

// Validate reports what is wrong.
func (o *Options) Validate() error {
	switch o.Format {
	case "", NDJSON, Human:
		return nil
	}
	return fmt.Errorf("format: %q is not one of ndjson, human", o.Format)
}

var errClosed = errors.New("write alerts to standard output: the sink is closed")

// Sink writes each batch with one call. Safe for concurrent use.
type Sink struct {
	o Options

	mu     sync.Mutex
	buf    []byte
	closed bool
}

// New returns a sink.
func New(o Options) (*Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Writer == nil {
		o.Writer = os.Stdout
	}
	return &Sink{o: o}, nil
}

// maxKept bounds the buffer that outlives a batch, in bytes.
const maxKept = 1 << 20

// Write blocks for as long as the reader of a pipe stands still; ctx is looked
// at before, not during the write.
func (s *Sink) Write(ctx context.Context, alerts []*sinks.Alert) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(alerts) == 0 {
		return nil
	}
	buf := s.buf[:0]
	for _, a := range alerts {
		if s.o.Format == Human {
			buf = render.AppendLine(buf, a, s.o.Color)
		} else {
			buf = a.AppendLine(buf)
		}
		buf = append(buf, '\n')
	}
	s.buf = nil
	if cap(buf) <= maxKept {
		s.buf = buf
	}
	if _, err := s.o.Writer.Write(buf); err != nil {
		return fmt.Errorf("write alerts to standard output: %w", err)
	}
	return nil
}

// Close makes later writes fail.
func (s *Sink) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}
