// Package files reads records from files: a backtest, a first look, a replay.
//
// Files are merged by time under one watermark: a file is a partition that
// holds the watermark from the time it is opened, and all files that are not
// opened yet are held by the one partition Unopened. So nothing is late because
// of the order in which files are read, and the order does not depend on the
// number of cores.
package files

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Unopened is the partition that stands for every file that is not opened yet.
// It is opened in the first batch, moves forward through Batch.Open to the least
// floor among those files, and is closed with the batch that opens the last one.
const Unopened = "(unopened)"

// Stdin is the path, and the partition, of standard input.
const Stdin = "-"

// Options configure a Source. Zero values are the defaults.
type Options struct {
	// Paths are files, directories (read recursively), globs (where no file has
	// that very name), or "-" for standard input. At least one.
	Paths []string
	// AllFiles reads every regular file of a directory. By default only names that end in
	// .json .jsonl .ndjson .log .gz .zst are read and the others counted as
	// skipped. A file that is named itself, or by a glob, is always read.
	AllFiles bool
	// MaxLine is the limit of one line, and of one element of a Records array,
	// in bytes; default 16 MiB. What is longer is one Problem and is never
	// held in memory.
	MaxLine int
	// MaxInflated is the limit of one document that is read whole, in bytes;
	// default 256 MiB.
	MaxInflated int
	// MaxOpen is how many files are read side by side; default 64. A zstd file
	// counts as eight, for its window. It bounds memory, not what is found.
	MaxOpen int
	// Stdin is read for the path "-"; default os.Stdin.
	Stdin io.Reader
	// Now is the wall clock by which a file's first time is told from nonsense
	// in the future; default time.Now.
	Now func() time.Time
}

const (
	defaultMaxLine     = 16 << 20
	defaultMaxInflated = 256 << 20
	defaultMaxOpen     = 64
	zstdWeight         = 8

	batchBytes   = 256 << 10 // a batch ends after so much payload
	batchRecords = 1000      // or after so many records
	chunkBytes   = 64 << 10  // a file is read so far before the merge looks again
	chunkRecords = 128
)

func (o *Options) validate() error {
	var errs []error
	if len(o.Paths) == 0 {
		errs = append(errs, errors.New("no path is given"))
	}
	for _, l := range []struct {
		name  string
		value *int
		def   int
		least int
	}{
		{"MaxLine", &o.MaxLine, defaultMaxLine, 1},
		{"MaxInflated", &o.MaxInflated, defaultMaxInflated, 1},
		{"MaxOpen", &o.MaxOpen, defaultMaxOpen, 1},
	} {
		if *l.value == 0 {
			*l.value = l.def
		}
		if *l.value < l.least {
			errs = append(errs, fmt.Errorf("%s is %d, it must be at least %d", l.name, *l.value, l.least))
		}
	}
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return errors.Join(errs...)
}
