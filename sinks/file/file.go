// Package file appends alerts to a file as NDJSON, one alert a line. A kill or a
// full disk may cut a line: it is ended then, and the alert comes again in a line
// of its own.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/trailtide/trailtide/sinks"
)

// Options of the sink.
type Options struct {
	// Path of the file. Its directory must exist.
	Path string `yaml:"path"`
	// Sync makes each batch durable (fsync) before Write returns. Default false:
	// the operating system writes it out when it likes, and a power cut may lose
	// what was said to be delivered.
	Sync bool `yaml:"sync"`
	// MaxBytes starts a new file before the present one would grow beyond it: the
	// present one gets the time (UTC) appended to its name. A batch is never
	// split, so that one large batch may exceed it. 0: never.
	MaxBytes int64 `yaml:"max_bytes"`
	// Keep is how many such older files are kept. 0: all of them.
	Keep int `yaml:"keep"`
	// Mode of a new file. Default 0640.
	Mode os.FileMode `yaml:"mode"`
}

// Validate reports every problem at once. It opens no file.
func (o *Options) Validate() error {
	var errs []error
	if o.Path == "" {
		errs = append(errs, errors.New("path: is needed"))
	}
	if o.MaxBytes < 0 {
		errs = append(errs, errors.New("max_bytes: must not be negative"))
	}
	if o.Keep < 0 {
		errs = append(errs, errors.New("keep: must not be negative"))
	}
	if o.Keep > 0 && o.MaxBytes == 0 {
		errs = append(errs, errors.New("keep: means nothing without max_bytes"))
	}
	if o.Mode&^os.ModePerm != 0 {
		errs = append(errs, fmt.Errorf("mode: %o is not a set of permissions", o.Mode))
	}
	return errors.Join(errs...)
}

var errClosed = errors.New("the sink is closed")

// Sink appends to a file. Safe for concurrent use. Other processes may append
// to the same file as long as neither of them rotates it.
type Sink struct {
	o   Options
	now func() time.Time

	mu     sync.Mutex
	f      *os.File // nil: to be opened by the next write
	size   int64
	torn   bool // the last line may lack its end
	buf    []byte
	closed bool

	rotated time.Time // in the name of the newest older file
}

// New opens the file. A last line without its end, left by a crash, is ended
// by the first write: the half alert stays as a line of its own that does not
// parse, and the whole one is delivered again.
func New(o Options) (*Sink, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Mode == 0 {
		o.Mode = 0o640
	}
	s := &Sink{o: o, now: time.Now}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Sink) open() error {
	// Read access only to look at the last byte.
	f, err := os.OpenFile(s.o.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, s.o.Mode)
	if err != nil {
		return fmt.Errorf("open alert file: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		s.size = info.Size()
		s.torn, err = lacksEnd(f, info)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("look at alert file %s: %w", s.o.Path, err), f.Close())
	}
	s.f = f
	return nil
}

func lacksEnd(f io.ReaderAt, info os.FileInfo) (bool, error) {
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return false, nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

// maxKept bounds the buffer that outlives a batch, in bytes.
const maxKept = 1 << 20

// Write appends the batch with one write call.
func (s *Sink) Write(ctx context.Context, alerts []*sinks.Alert) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(ctx, alerts); err != nil {
		return fmt.Errorf("append to alert file %s: %w", s.o.Path, err)
	}
	return nil
}

func (s *Sink) write(ctx context.Context, alerts []*sinks.Alert) error {
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
		buf = append(a.AppendLine(buf), '\n')
	}
	s.buf = nil
	if cap(buf) <= maxKept {
		s.buf = buf
	}
	if s.o.MaxBytes > 0 && s.size > 0 && s.size+int64(len(buf)) > s.o.MaxBytes {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	if s.f == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	if err := s.endTornLine(); err != nil {
		return err
	}
	n, err := s.f.Write(buf)
	s.size += int64(n)
	if err != nil {
		// A full disk cuts a write anywhere. The batch comes again as a whole.
		s.torn = n > 0 && buf[n-1] != '\n'
		return err
	}
	if s.o.Sync {
		return s.f.Sync()
	}
	return nil
}

func (s *Sink) endTornLine() error {
	if !s.torn {
		return nil
	}
	n, err := s.f.Write([]byte{'\n'})
	s.size += int64(n)
	s.torn = n == 0
	return err
}

// Reopen closes the file and opens the path anew: call it after another
// program has renamed the file (logrotate).
func (s *Sink) Reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return errors.Join(s.shut(), s.open())
}

// shut leaves the next write to open the file.
func (s *Sink) shut() error {
	if s.f == nil {
		return nil
	}
	var err error
	if s.o.Sync {
		err = s.f.Sync()
	}
	err = errors.Join(err, s.f.Close())
	s.f = nil
	return err
}

// Close closes the file. Later writes fail.
func (s *Sink) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.shut()
}
