package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/trailtide/trailtide/pipeline"
)

// maxProblems is how many problems are kept for Problems.
const maxProblems = 1000

// Problem is a file that could not be read, or not to its end.
type Problem struct {
	Path   string
	Reason string
}

// Progress says how far the reading is; the reader is a few batches ahead of
// what is done with them.
type Progress struct {
	Bytes      int64 // read so far, as on disk; of streams too
	TotalBytes int64 // of all files as on disk; streams count nothing
	Files      int   // finished
	TotalFiles int
	Skipped    int   // files of directories that were left out for their names
	Records    int64 // found so far
	Streaming  bool  // one of the files is a stream: the total is not known
}

// Source reads files; see the package comment. It implements pipeline.Source.
// A record's partition is its file's path.
type Source struct {
	opts    Options
	readers readers
	batches sync.Pool
	buffers sync.Pool // *[]byte of readBytes

	order   []*file // by floor: the order of opening
	out     chan *batch
	stop    chan struct{}
	wait    sync.WaitGroup
	started bool
	closing sync.Once

	bytes, total, records atomic.Int64
	finished              atomic.Int64
	totalFiles, skipped   int
	streaming             bool

	mu       sync.Mutex
	problems []Problem
}

var _ pipeline.Source = (*Source)(nil)

// New validates the options. Nothing is opened before Start.
func New(o Options) (*Source, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("file source: %w", err)
	}
	return &Source{opts: o, out: make(chan *batch, 1), stop: make(chan struct{})}, nil
}

// Start finds the files, looks at the head of each, and begins to read. It
// fails for a path that leads to nothing, and for a committed position whose file
// has shrunk, begins differently now, or is a stream. Positions of files that
// the paths do not lead to are left alone.
func (s *Source) Start(ctx context.Context, committed map[string][]byte) error {
	if s.started {
		return errors.New("file source: started twice")
	}
	s.started = true
	l, err := list(ctx, &s.opts)
	if err != nil {
		close(s.out)
		return err
	}
	s.problems = l.problems
	s.skipped, s.totalFiles = l.skipped, len(l.paths)
	s.order = make([]*file, 0, len(l.paths)+len(l.problems))
	for _, p := range l.paths {
		s.order = append(s.order, &file{path: p})
	}
	if err := peek(ctx, &s.opts, &s.readers, s.order, committed); err != nil {
		close(s.out)
		return err
	}
	s.order = slices.DeleteFunc(s.order, func(f *file) bool {
		s.total.Add(f.id.size)
		s.streaming = s.streaming || f.stream
		if f.start.done {
			s.bytes.Add(f.id.size)
			s.finished.Add(1)
		}
		return f.start.done
	})
	for _, p := range l.problems {
		s.order = append(s.order, &file{path: p.Path, floor: noTime, err: p.Reason})
	}
	slices.SortFunc(s.order, func(a, b *file) int {
		return cmp.Or(cmp.Compare(a.floor, b.floor), cmp.Compare(a.named, b.named), cmp.Compare(a.path, b.path))
	})
	s.wait.Go(func() {
		defer close(s.out)
		newMerge(s).run()
	})
	return nil
}

// Read implements pipeline.Source.
func (s *Source) Read(ctx context.Context) (*pipeline.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case b, ok := <-s.out:
		if !ok {
			return nil, io.EOF
		}
		return &b.Batch, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Committed implements pipeline.Source: nobody else reads the positions of files.
func (s *Source) Committed(map[string][]byte) {}

// Close stops reading and gives the files back. A read of a stream that has
// nothing to give ends only with the stream; Close does not wait for that one.
func (s *Source) Close(ctx context.Context) error {
	s.closing.Do(func() { close(s.stop) })
	ended := make(chan struct{})
	go func() {
		s.wait.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close file source: %w", ctx.Err())
	}
}

// Progress may be called at any time, by any goroutine, once Start has returned.
func (s *Source) Progress() Progress {
	return Progress{
		Bytes: s.bytes.Load(), TotalBytes: s.total.Load(),
		Files: int(s.finished.Load()), TotalFiles: s.totalFiles,
		Skipped: s.skipped, Records: s.records.Load(), Streaming: s.streaming,
	}
}

// Problems are the files that could not be read, or not to their end, the
// first 1,000 of them. Each was a Record with a Problem too. Safe for concurrent use.
func (s *Source) Problems() []Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

func (s *Source) problem(path, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := Problem{Path: path, Reason: reason}
	if len(s.problems) < maxProblems && !slices.Contains(s.problems, p) {
		s.problems = append(s.problems, p)
	}
}
