package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

const (
	peekBytes    = 16 << 10  // decompressed bytes in which a file's first time is looked for
	peekMaxBytes = 256 << 10 // … and how far to go when there is none
	peekWorkers  = 2         // they mostly wait for the disk
	maxAhead     = 5 * time.Minute
)

// noTime is the floor of a file whose first time is not known: it is opened
// first and holds the watermark until it has shown one.
const noTime = math.MinInt64

// file is one file that is to be read. It is small, for there may be 100,000.
type file struct {
	path  string
	id    identity
	start place // where to begin
	floor int64 // Unix nanoseconds: least event time in the file's head
	named int64 // the time in an S3 file's name, 0: none
	codec codec // as peeked
	// stream is set for standard input and pipes: they cannot be peeked or
	// read again.
	stream bool
	err    string // why it cannot be read
}

// peek fills in what is known of each file before it is opened. Files that the
// committed positions say are done come back with start.done. An error is a
// position that does not fit its file.
func peek(ctx context.Context, o *Options, pool *readers, files []*file, committed map[string][]byte) error {
	limit := o.Now().Add(maxAhead).UnixNano()
	errs := make([]error, len(files))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range peekWorkers {
		wg.Go(func() {
			head := make([]byte, peekMaxBytes)
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				f := files[i]
				if err := f.peek(pool, head, committed[f.path], limit); err != nil {
					errs[i] = fmt.Errorf("resume %s: %w", f.path, err)
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(errs...)
}

func (f *file) peek(pool *readers, buf, committed []byte, limit int64) error {
	f.floor = noTime
	f.named = nameTime(f.path)
	var was identity
	if committed != nil {
		var err error
		if f.start, was, err = parsePosition(committed); err != nil {
			return err
		}
	}
	info, err := os.Stat(f.path)
	f.stream = f.path == Stdin || err == nil && !info.Mode().IsRegular() && !info.IsDir()
	switch {
	case f.stream && committed != nil:
		return errors.New("standard input or a pipe cannot be read again from where it stood: scan a file, or begin with a new state")
	case f.stream:
		return nil
	case err != nil:
		f.err = err.Error()
		return nil
	}
	raw, err := os.Open(f.path)
	if err != nil {
		f.err = err.Error()
		return nil
	}
	defer raw.Close() //nolint:errcheck // it was only read
	n, err := io.ReadFull(raw, buf[:headBytes])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		f.err = err.Error()
		return nil
	}
	f.id = identify(info.Size(), buf[:n])
	if committed != nil {
		if err := was.check(f.id.size, buf[:n]); err != nil {
			return err
		}
		if f.start.done {
			if f.id.size == was.size {
				return nil
			}
			f.start.done = false
		}
	}
	f.floor, f.codec = f.firstTime(pool, raw, buf, limit)
	return nil
}

// firstTime is the least event time in the head of raw. What cannot be read
// shows again when the file's turn comes.
func (f *file) firstTime(pool *readers, raw *os.File, buf []byte, limit int64) (int64, codec) {
	if _, err := raw.Seek(0, io.SeekStart); err != nil {
		return noTime, plain
	}
	in, err := pool.open(raw)
	if err != nil {
		return noTime, plain
	}
	defer in.release()
	n := 0
	for _, upTo := range []int{peekBytes, peekMaxBytes} {
		k, err := io.ReadFull(in, buf[n:upTo])
		n += k
		least := int64(math.MaxInt64)
		for rest := buf[:n]; ; {
			t, after, ok := findTime(rest)
			if !ok {
				break
			}
			rest = rest[after:]
			if t <= limit {
				least = min(least, t)
			}
		}
		if least != math.MaxInt64 {
			return least, in.codec
		}
		if err != nil {
			break
		}
	}
	return noTime, in.codec
}

var eventTimeKey = []byte(`eventTime`)

// findTime finds the first eventTime in b, be its JSON plain or in a string of
// other JSON, and where to look for the next. It is a guess for the order of
// reading; what the watermark goes by is read from the events themselves.
func findTime(b []byte) (nanos int64, after int, ok bool) {
	for p := 0; ; {
		i := bytes.Index(b[p:], eventTimeKey)
		if i < 0 {
			return 0, 0, false
		}
		p += i + len(eventTimeKey)
		q := p
		for q < len(b) && q < p+16 && (b[q] == '\\' || b[q] == '"' || b[q] == ':' || isSpace(b[q])) {
			q++
		}
		if t, ok := parseTime(b[q:]); ok {
			return t, q, true
		}
	}
}

// parseTime reads "2006-01-02T15:04:05", with a Z or a fraction behind it or
// not, as UTC. Semantics: CloudTrail record contents, field eventTime.
func parseTime(b []byte) (int64, bool) {
	const layout = "0000-00-00T00:00:00"
	if len(b) < len(layout) {
		return 0, false
	}
	var v [6]int
	k := 0
	for i := range len(layout) {
		c := b[i]
		if layout[i] != '0' {
			if c != layout[i] {
				return 0, false
			}
			k++
			continue
		}
		if c < '0' || c > '9' {
			return 0, false
		}
		v[k] = v[k]*10 + int(c-'0')
	}
	if v[0] < 1970 || v[0] > 2200 || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 23 || v[4] > 59 || v[5] > 60 {
		return 0, false
	}
	return time.Date(v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], 0, time.UTC).UnixNano(), true
}

// s3Name is how CloudTrail names the files of a trail.
// Semantics: CloudTrail user guide, "Finding your CloudTrail log files".
var s3Name = regexp.MustCompile(`^\d{12}_CloudTrail(?:-Insight)?_[a-z0-9-]+_(\d{8}T\d{4})Z_`)

// nameTime is the time in an S3 file's name, 0 if there is none.
func nameTime(path string) int64 {
	m := s3Name.FindStringSubmatch(filepath.Base(path))
	if m == nil {
		return 0
	}
	t, err := time.Parse("20060102T1504", m[1])
	if err != nil {
		return 0
	}
	return t.UnixNano()
}
